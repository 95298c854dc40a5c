//! Images of many layers that change the same few paths again and again.
//!
//! `MSB_TRUTH_SEED` is a number that leads to other changes.

use super::build::Recipe;
use super::compare_both;
use crate::tests;

tests! {
    many_layers_of_changes_at_random needs Root, Docker, Buildah, Busybox, Skopeo, Umoci;
}

const LAYERS: usize = 10;
const CHANGES: usize = 150;

/// What happens to the paths `$p` and `$q`; a change that fails is none. Symbolic links lead
/// nowhere: buildah loses what takes the place of one that leads in circles.
const KINDS: &[&str] = &[
    "mkdir -p $p",
    "rm -rf $p",
    "rm -rf $p; mkdir $p",
    "rm -rf $p; mkdir -p $p/a; echo $n >$p/a/$n",
    "mv $p $q",
    "mv -T $p $q",
    "ln $p $q",
    "rm -rf $p; ln $q $p",
    "ln -s nowhere/$q $p",
    "rm -rf $p; ln -s nowhere/$q $p",
    "rm -f $p; echo $n >$p",
    "rm -f $p; echo $n >$p",
    "[ -f $p ] && echo $n >>$p",
    "chmod 7$(($n % 8))5 $p",
    "chown $n:7$n $p",
    "mkfifo $p",
    "mknod $p c 1 $n",
    "setfattr -n user.n -v $n $p",
    "touch -h -d @$n$n.5 $p",
    "setcap cap_chown+ep $p",
    "[ -e $q ] || cp -a $p $q",
];

fn many_layers_of_changes_at_random() {
    let seed = std::env::var("MSB_TRUTH_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut numbers = Numbers(seed);
    let scripts: Vec<String> = (0..LAYERS).map(|_| script(&mut numbers)).collect();
    let steps: Vec<&str> = scripts.iter().map(String::as_str).collect();
    compare_both(
        "random",
        &Recipe {
            files: "",
            steps: &steps,
        },
    );
}

/// Returns the script of a layer.
fn script(numbers: &mut Numbers) -> String {
    let mut script = "exec 2>/dev/null; set +e; mkdir -p /x; cd /x\n".to_owned();
    for _ in 0..CHANGES {
        let kind = KINDS[numbers.below(KINDS.len())];
        let (p, q, n) = (path(numbers), path(numbers), numbers.below(1000));
        script = format!("{script}p={p} q={q} n={n}; mkdir -p ${{p%/*}} ${{q%/*}}; {kind}\n");
    }
    script + "true\n"
}

/// Returns one of a few paths.
fn path(numbers: &mut Numbers) -> String {
    let names: Vec<&str> = (0..2 + numbers.below(3))
        .map(|_| ["a", "b", "c", "d"][numbers.below(4)])
        .collect();
    names.join("/")
}

/// Numbers that look random and are the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX generator; its upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}
