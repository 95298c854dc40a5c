use super::*;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(["msb"].into_iter().chain(line.split_whitespace()))?.checked()
}

#[test]
fn the_grammar_has_no_contradictions() {
    command().debug_assert();
}

#[test]
fn every_command_and_flag_of_the_manual_is_there() {
    for line in [
        "load",
        "pull python",
        "pull ghcr.io/my-org/my-image:v1 -f -q --insecure --ca-certs ca.pem",
        "pull --tls-verify=false localhost:5000/app",
        "pull --tls-verify localhost:5000/app",
        "pull --tls-verify=0 localhost:5000/app",
        "pull --force --quiet --platform linux/arm64 a b",
        "image pull alpine",
        "pull --policy newer alpine",
        "pull --policy never alpine",
        "load --input my-image.tar",
        "load -i x -t a:b -q --platform linux/arm64",
        "load --tag a --tag b:1",
        "image verify",
        "image verify --repair --format json -q a b",
        "image load --input oci-layout.tar --tag my-image:latest --quiet",
        "save --output my-image.tar my-image:latest",
        "save --format oci -o x -q a b",
        "image save a --quiet",
        "images",
        "images --format json -q",
        "images alpine ghcr.io/a/* --filter label=a=b -f dangling=true --sort size",
        "images --digests --no-trunc",
        "image tag a b c:1",
        "image untag a b --format json",
        "image history a --no-trunc --format json",
        "image exists a",
        "image inspect a b --format json",
        "image ls",
        "image list --quiet",
        "image ls alpine",
        "image ls alpine /etc -R --format json",
        "image ls -q alpine etc",
        "image cat alpine /etc/passwd",
        "image diff a b --ignore-times --format json",
        "image export alpine -o x.tar -q",
        "image mount alpine /mnt -q",
        "image mount --verity alpine /mnt --format json",
        "image mount alpine /mnt --root-hash 00",
        "image umount /mnt /mnt2",
        "image unmount -q /mnt",
        "store serve containerd /d",
        "store serve containerd --dm-verity /d",
        "store serve microsandbox",
        "store serve microsandbox --prune --home /h a b --format json -q",
        "store serve containerd --prune --containerd-root /x /d a b --format json -q",
        "image inspect python",
        "image inspect python --format json",
        "image adopt",
        "image adopt python --home /h --format json -q",
        "image disk python -o python.vmdk",
        "image disk python --output d --type raw --verity --format json -q",
        "image disk python -o d --type erofs --without-xattrs",
        "image disk python -o d --type erofs --compress zstd:19 --cluster-size 128K",
        "image disk python -o d --type erofs -z lz4 -C 1M --verity",
        "image disk python --type dm",
        "rmi alpine ubuntu -f -q",
        "image rm a --force --quiet",
        "image remove a",
        "image prune",
        "image prune -y --format json -q",
        "image prune --yes --dry-run",
        "image prune --dangling --older-than 30d --filter label=a --keep 3 --max-size 20G",
        "df --verbose --format json",
        "doctor --registry ghcr.io --format json",
        "config registries --format json",
        "config --schema",
        "completion bash",
        "man",
        "man directory",
        "version --format json",
        "pull --format json --progress json a",
        "--progress none load --format json",
        "plugin install x.wasm --grant env=A --grant clock --before env --name x",
        "plugin install --locked",
        "plugin ls --format json",
        "plugin inspect x",
        "plugin rm x y",
        "plugin update --check",
        "plugin enable x",
        "plugin disable x",
        "plugin grant x clock reveal",
        "plugin revoke x",
        "plugin order a b",
        "plugin order a --before b",
        "plugin tier a",
        "plugin tier a ambient",
        "plugin tier a --default",
        "plugin verify",
        "plugin explain-auth ghcr.io",
        "plugin push x.wasm ghcr.io/a/b:1",
        "plugin test x.wasm --archive a.tar --grant clock",
        "registry login ghcr.io --username octocat",
        "registry login ghcr.io -u octocat --password-stdin --no-verify --store file",
        "registry login h:5000 --username a --insecure --ca-certs ca.pem",
        "registry login h:5000 --username a --tls-verify=false",
        "plugin install ghcr.io/a/b --tls-verify=false",
        "registry logout ghcr.io",
        "registry ls",
        "registry list --format json",
        "registries ls",
        "regs login ghcr.io",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_makes_no_sense_is_an_error_of_usage() {
    for line in [
        "",
        "nonsense",
        "image",
        "save",
        "rmi",
        "image inspect",
        "image ls -R",
        "image cat a",
        "image diff a",
        "image export",
        "image mount alpine",
        "image umount",
        "store",
        "store serve",
        "store serve containerd",
        "store serve containerd /d --containerd-root /x",
        "image disk a -o b --type qcow2",
        "image disk a -o b --type erofs --compress lzma",
        "image disk a -o b --type erofs --compress zstd:23",
        "image disk a -o b --type erofs --compress lz4 --cluster-size 4K",
        "image disk a -o b --type erofs --cluster-size 64K",
        "image disk a",
        "image disk a --type raw",
        "images --format yaml",
        "load my-image.tar",
        "pull",
        "pull --ca-certs",
        "pull --policy sometimes a",
        "pull --policy always --force a",
        "image tag a",
        "image untag",
        "image exists",
        "images --filter dangling",
        "images --filter nonsense=a",
        "images --sort nonsense",
        "image prune --older-than 30",
        "image prune --max-size much",
        "completion tcsh",
        "registry",
        "registry login",
        "registry login h --password secret",
        "registry login h --store",
        "registry logout",
        "registry ls --format yaml",
        "images --debug --trace",
        "--debug images --trace",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn the_help_has_every_command_in_a_group() {
    let command = command();
    let visible = command.get_subcommands().filter(|it| !it.is_hide_set());
    let mut visible: Vec<&str> = visible.map(clap::Command::get_name).collect();
    let listed = GROUPS.iter().flat_map(|(_, commands)| *commands);
    let mut listed: Vec<&str> = listed.map(|(name, _)| *name).collect();
    visible.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, visible);
    let help = command.clone().render_help().to_string();
    for text in [
        "Images:",
        "Registries and plugins:",
        "  pull        Pull images",
        "Examples:",
    ] {
        assert!(help.contains(text), "{text}: {help}");
    }
    let widths = help.lines().map(|line| line.chars().count());
    assert!(widths.max() <= Some(88), "{help}");
}

#[test]
fn commands_of_other_tools_say_where_to_go() {
    for (line, tip) in [
        ("login ghcr.io -u me", "msb registry login ghcr.io -u me"),
        ("inspect alpine", "msb image inspect alpine"),
        ("tag a b", "msb image tag a b"),
        ("prune --all", "msb image prune --all"),
        ("push a", "skopeo copy"),
        ("ps -a", "msb image inspect"),
        ("run -it alpine sh", "keeps images and runs none"),
        ("system df", "msb df"),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(tip), "{line}: {error}");
    }
}

#[test]
fn the_verbosity_may_stand_anywhere() {
    for (line, level) in [
        ("images", None),
        ("--debug images", Some(LogLevel::Debug)),
        ("image ls --trace", Some(LogLevel::Trace)),
        ("image --warn ls", Some(LogLevel::Warn)),
        ("rmi a --error", Some(LogLevel::Error)),
        ("load --info", Some(LogLevel::Info)),
    ] {
        assert_eq!(parse(line).unwrap().flag(), level, "{line}");
    }
}
