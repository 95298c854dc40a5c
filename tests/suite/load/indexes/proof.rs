//! What proves that an image has the digest of an index.

use super::{Both, INDEX, assert_found, assert_removed, index, layout, loaded, named};
use crate::archive::{archive, hex};
use crate::env::TestEnv;
use crate::tests;

tests! {
    a_name_with_the_digest_of_an_index_is_proven;
    an_index_that_leads_elsewhere_proves_nothing;
    an_index_that_is_damaged_later_proves_nothing;
}

fn a_name_with_the_digest_of_an_index_is_proven() {
    let both = Both::new("app");
    for tag in ["", ":1"] {
        let pinned = format!("registry.test/app{tag}@{}", both.digest());
        let files = both.files(&[named(&both.index, INDEX, &pinned)]);
        for env in loaded(&files) {
            assert_eq!(env.references(), [pinned.as_str()]);
            assert_found(&env, "registry.test/app", &both.index, &both.mine);
            assert_removed(&env, &pinned);
        }
    }
}

fn an_index_that_leads_elsewhere_proves_nothing() {
    let (app, other) = (Both::new("app"), Both::new("other"));
    let pinned = format!("registry.test/app@{}", other.digest());
    let blobs = [app.blobs.clone(), other.blobs.clone()].concat();
    let indexes = [&app.index[..], &other.index];
    // Of the same archive, and with a blob that only says that it is the index.
    let whole = layout(
        &index(
            &[
                named(&app.index, INDEX, &pinned),
                named(&other.index, INDEX, "registry.test/other:1"),
            ],
            "of the layout",
        ),
        &blobs,
        &indexes,
    );
    for env in loaded(&whole) {
        assert_eq!(env.references(), ["<none>", "registry.test/other:1"]);
        env.msb(&format!("image inspect {pinned}"))
            .failure(&["image not found"]);
        let found = env.json(&format!(
            "image inspect registry.test/other@{} --format json",
            other.digest()
        ));
        assert_eq!(found["id"], other.mine.id());
    }
    let mut files = app.files(&[named(&app.index, INDEX, "registry.test/app:1")]);
    let path = format!("blobs/sha256/{}", hex(&app.digest()));
    let entry = files.iter_mut().find(|(name, _)| *name == path).unwrap();
    entry.1.push(b' ');
    let env = TestEnv::new();
    env.write("in.tar", &archive(&files));
    env.msb("load -i in.tar")
        .failure(&[&app.digest(), "has other content"]);
    env.assert_clean();
}

fn an_index_that_is_damaged_later_proves_nothing() {
    let both = Both::new("app");
    let files = both.files(&[named(&both.index, INDEX, "registry.test/app:1")]);
    let env = TestEnv::new();
    env.write("in.tar", &archive(&files));
    env.msb("load -i in.tar").success();
    let kept = both.digest().replace(':', "_");
    let kept = env.home().join("cache/blobs").join(kept);
    std::fs::write(&kept, "{}").unwrap();
    env.msb(&format!(
        "image inspect registry.test/app@{}",
        both.digest()
    ))
    .failure(&["image not found"]);
    let run = env.msb("image verify").failure(&["damage in 1 image"]);
    assert!(run.stdout.contains(kept.to_str().unwrap()), "{run:#?}");
    // Loading it again brings the index back.
    env.msb("load -i in.tar").success();
    assert_found(&env, "registry.test/app", &both.index, &both.mine);
}
