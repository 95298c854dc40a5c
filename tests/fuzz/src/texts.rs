//! Layers to start from, as text. What the lines mean is said where archives are made of them, in
//! `host/src/tar/fixture.rs`.

/// Layers with a little of everything.
pub const LAYERS: &[(&str, &str)] = &[
    (
        "everything",
        "dir a mode=700 uid=5 mtime=9\nfile a/b data=hello uid=7 pax.SCHILY.xattr.user.k=v\n\
         symlink l -> a/b\nlink a/h -> a/b\nchar c 1:3\nblock e 8:1\nfifo p\nfile big fill=9000\n\
         dir empty\nfile none",
    ),
    (
        "duplicates",
        "file a data=first\nfile b data=other\nfile a data=second uid=7\nlink c -> a\nfile a fill=5000",
    ),
    (
        "types",
        "dir d\ndir d/e\nfile d/e/a data=deep\nlink kept -> d/e/a\nfile d data=now-a-file\n\
         file a\ndir a mode=700\nfile a/b",
    ),
    (
        "links",
        "dir d\nfile d/a\nsymlink l -> d\nfile l/b data=x\nlink m -> l/b\nlink c -> later\nfile later data=y\n\
         symlink up -> ../../d\nfile up/z",
    ),
    (
        "whiteouts",
        "dir d mode=700\nfile d/.wh.a\nfile d/b\nfile .wh.c\ndir o\nfile o/.wh..wh..opq\nfile .wh.d\nfile d/x",
    ),
    (
        "aufs",
        "dir .wh..wh.plnk\nfile .wh..wh.plnk/7.9 data=x\nlink a -> .wh..wh.plnk/7.9\nfile .wh..wh.aufs",
    ),
    (
        "sparse",
        "file a data=abcde pax.GNU.sparse.size=70 pax.GNU.sparse.map=10,2,50,3\n\
         file b pax.GNU.sparse.size=40 pax.GNU.sparse.numblocks=0",
    ),
    (
        "sparse pairs",
        "pax GNU.sparse.size=9000 GNU.sparse.numblocks=1 GNU.sparse.offset=4096 GNU.sparse.numbytes=3\n\
         file a data=abc\nfile b data=behind",
    ),
    (
        "extensions",
        "global uid=3 SCHILY.xattr.user.g=1\nlongpath some/long/path\nlonglink target\nlink x -> y\nfile target\n\
         pax path=p/q mtime=1.5 size=3 LIBARCHIVE.xattr.user.a=QUI=\nfile z data=abc",
    ),
    (
        "star and others",
        "file s data=x magic=star\nfile v data=y magic=v7\nfile g data=z magic=gnu\nentry Z odd data=text\n\
         entry 7 cont data=abc\nentry V label\nentry D dump data=q",
    ),
    (
        "root",
        "dir ./ mode=711\ndir ./a\nfile ./a/../b data=1\nfile /c data=2\nfile a//d",
    ),
    ("nothing", ""),
];

/// Returns a layer with directories and links of many sizes, one of them of two blocks.
pub fn wide() -> String {
    let mut lines = String::from("dir w\n");
    for number in 0..70 {
        lines += &format!("file w/{:0>90} data={number}\n", number);
    }
    for length in [1, 60, 99] {
        lines += &format!("symlink s{length} -> {}\n", "t".repeat(length));
    }
    for depth in 1..9 {
        lines += &format!("dir {}\n", vec!["deep"; depth].join("/"));
    }
    lines
}

/// Returns a sparse file with its map in front of its data.
pub fn sparse_1_0() -> String {
    format!(
        "file c pax.GNU.sparse.major=1 pax.GNU.sparse.minor=0 pax.GNU.sparse.name=n \
         pax.GNU.sparse.realsize=9 data=1\\n4\\n2\\n{}xx",
        "\\0".repeat(506)
    )
}

/// References, good and bad.
pub const REFERENCES: &[&str] = &[
    "python",
    "python:3.12",
    "docker.io/library/python:latest",
    "index.docker.io/python",
    "ghcr.io/my-org/my-image:v1",
    "localhost:5000/x",
    "[::1]:5000/x:1",
    "LocalHost/x",
    "docker.io/a.b/c",
    "a__b/c-d.e_f",
    "Org/app",
    "a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "a:b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Archives around images, in the form that `documents` reads.
pub const ARCHIVES: &[(&str, &str)] = &[
    (
        "layout",
        r#"--- @
layer
--- @
{"os":"linux","architecture":"arm","variant":"v7","rootfs":{"type":"layers","diff_ids":["$0"]}}
--- @
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"$1","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"$0","size":5}]}
--- @
{"manifests":[{"digest":"$2","platform":{"os":"linux","architecture":"arm"}}]}
--- oci-layout
{"imageLayoutVersion":"1.0.0"}
--- index.json
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"$2","size":9,"annotations":{"io.containerd.image.name":"docker.io/library/a:1","org.opencontainers.image.ref.name":"1"}},{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"$3"},{"digest":"sha256:00","platform":{"os":"unknown","architecture":"unknown"}}]}"#,
    ),
    (
        "docker",
        r#"--- a/layer.tar
layer
--- c.json
{"created":"2024-01-01T00:00:00Z","config":{"Env":["A=b"],"Cmd":["sh"],"Labels":{"k":"v"},"ExposedPorts":{"80/tcp":{}}},"history":[{"created_by":"x","empty_layer":true}],"rootfs":{"diff_ids":["$0"]}}
--- repositories
{}
--- manifest.json
[{"Config":"c.json","RepoTags":["a:1","<none>:<none>"],"Layers":["a/layer.tar"]}]"#,
    ),
    (
        "both",
        r#"--- @
layer
--- @
{"rootfs":{"diff_ids":["$0"]},"config":null}
--- @
{"config":{"digest":"$1"},"layers":[{"digest":"$0","mediaType":"","size":null}]}
--- index.json
{"manifests":[{"digest":"$2","annotations":null,"data":"e30="}]}
--- manifest.json
[{"Config":"blobs/sha256/$+1","RepoTags":null,"Layers":["blobs/sha256/$+0"]},{"Config":"blobs/sha256/$+1"}]"#,
    ),
];
