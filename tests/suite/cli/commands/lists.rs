//! What `images`, `image inspect` and `image prune` print.

use super::{assert_prints, loaded, sample};
use crate::env::TestEnv;
use crate::tests;

tests! {
    images_lists_references_ids_sizes_and_times;
    images_as_json_has_the_documented_keys;
    images_of_an_empty_store;
    inspect_shows_configuration_and_layers;
    inspect_as_json_has_the_documented_keys;
    prune_reports_what_is_gone;
    prune_wants_an_answer_or_yes;
}

fn images_lists_references_ids_sizes_and_times() {
    let env = loaded();
    env.msb("load -q -i in.tar --tag ghcr.io/my-org/other:v2")
        .success();
    assert_prints(
        &env,
        &env.msb("images"),
        "exit 0
         --- stdout
         REFERENCE                  ID              SIZE       CREATED
         sample:1                   […]    4.5 KiB    20[…] […]
         ghcr.io/my-org/other:v2    […]    4.5 KiB    20[…] […]
         --- stderr",
    );
}

fn images_as_json_has_the_documented_keys() {
    let env = loaded();
    let images = env.json("images --format json");
    let keys: Vec<&String> = images[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "architecture",
            "created_at",
            "digest",
            "id",
            "layer_count",
            "os",
            "reference",
            "size_bytes"
        ]
    );
    assert_eq!(images[0]["id"], sample().id());
    assert_eq!(images[0]["layer_count"], 2);
    assert_eq!(images[0]["reference"], "sample:1");
}

fn images_of_an_empty_store() {
    let env = TestEnv::new();
    assert_prints(
        &env,
        &env.msb("images"),
        "exit 0
         --- stdout
         --- stderr
         No images found.",
    );
    assert_eq!(env.msb("images --format json").success().stdout, "[]\n");
    assert_eq!(env.msb("images -q").success().stdout, "");
}

fn inspect_shows_configuration_and_layers() {
    let env = loaded();
    let expected = "exit 0
         --- stdout
         Reference:       sample:1
         Digest:          sha256:[…]
         ID:              sha256:[…]
         Architecture:    […]
         OS:              linux
         Size:            4.5 KiB
         Created:         20[…] […]

         Config
           Cmd:           /bin/sh
           Env:
             A=1

         Layers (2)
             1  sha256:[…]     2.5 KiB  application/vnd.oci.image.layer.v1.tar
                EROFS                  12.0 KiB  [HOME]/cache/layers/[…].erofs
             2  sha256:[…]     2.0 KiB  application/vnd.oci.image.layer.v1.tar
                EROFS                  12.0 KiB  [HOME]/cache/layers/[…].erofs
         --- stderr";
    assert_prints(&env, &env.msb("image inspect sample:1"), expected);
}

fn inspect_as_json_has_the_documented_keys() {
    let env = loaded();
    let image = env.json("image inspect sample:1 --format json");
    for key in [
        "reference",
        "digest",
        "size_bytes",
        "architecture",
        "os",
        "layer_count",
        "created_at",
        "config",
        "layers",
    ] {
        assert!(!image[key].is_null(), "{key}");
    }
    for (position, layer) in image["layers"].as_array().unwrap().iter().enumerate() {
        for key in [
            "diff_id",
            "blob_digest",
            "media_type",
            "compressed_size_bytes",
            "erofs_size_bytes",
            "erofs_path",
            "position",
        ] {
            assert!(!layer[key].is_null(), "{key}");
        }
        assert_eq!(layer["position"], position);
        let path = layer["erofs_path"].as_str().unwrap();
        let size = std::fs::metadata(path).unwrap().len();
        assert_eq!(layer["erofs_size_bytes"], size);
    }
    assert_eq!(image["config"]["cmd"], serde_json::json!(["/bin/sh"]));
}

fn prune_reports_what_is_gone() {
    let env = loaded();
    assert_prints(
        &env,
        &env.msb("image prune --yes"),
        "exit 0
         --- stdout
         Image refs:  1
         Manifests:   1
         Layers:      2
         Reclaimed:   […] KiB
         --- stderr
            ✓ Pruned       image cache",
    );
    assert_prints(
        &env,
        &env.msb("image prune --yes"),
        "exit 0
         --- stdout
         --- stderr
         Nothing to prune.",
    );
    let report = env.json("image prune --yes --format json");
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "image_refs_removed",
            "manifests_removed",
            "layers_removed",
            "fsmeta_removed",
            "vmdk_removed",
            "bytes_reclaimed",
            "skipped_in_use",
            "removed"
        ]
    );
    env.assert_clean();
}

fn prune_wants_an_answer_or_yes() {
    let env = loaded();
    assert_prints(
        &env,
        &env.msb("image prune"),
        "exit 1
         --- stdout
         --- stderr
         error: non-interactive terminal; use --yes to prune cached images",
    );
    assert_eq!(env.references(), ["sample:1"]);
}
