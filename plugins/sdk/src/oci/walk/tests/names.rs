//! What the images of a layout are called.

use super::*;

#[test]
fn the_name_of_an_index_is_that_of_its_images_unless_they_have_their_own() {
    let nested = index(&[
        descriptor(MANIFEST, &manifest("a")),
        named(descriptor(MANIFEST, &manifest("b")), "own:1"),
        named(descriptor(MANIFEST, &manifest("c")), "latest"),
    ]);
    let mut archive = layout(&[named(descriptor(INDEX, &nested), "outer:1")]).blob(&nested);
    for name in ["a", "b", "c"] {
        archive = with_image(archive, name);
    }
    let plan = plan(&archive).unwrap();
    let references: Vec<_> = plan
        .images
        .iter()
        .map(|image| image.references.join(" "))
        .collect();
    assert_eq!(references, ["outer:1", "own:1", "outer:1"]);
}

#[test]
fn case_87_a_descriptor_per_tag_makes_one_image_with_all_names() {
    let image = descriptor(MANIFEST, &manifest("a"));
    let descriptors = [
        named(image.clone(), "a:1"),
        named(image.clone(), "a:2"),
        named(image, "a:1"),
    ];
    let plan = plan(&with_image(layout(&descriptors), "a")).unwrap();
    assert_eq!(plan.images.len(), 1);
    assert_eq!(plan.images[0].references, ["a:1", "a:2"]);
}

#[test]
fn a_tag_without_a_name_is_noticed_and_is_no_reference() {
    let image = descriptor(MANIFEST, &manifest("a"));
    let plan_of_tag = plan(&with_image(layout(&[named(image.clone(), "latest")]), "a")).unwrap();
    assert_eq!(plan_of_tag.images[0].references, [""; 0]);
    assert!(plan_of_tag.notices[0].starts_with("`latest` is a tag without a name"));

    let both = [named(image.clone(), "latest"), named(image, "a:latest")];
    let plan_of_both = plan(&with_image(layout(&both), "a")).unwrap();
    assert_eq!(plan_of_both.images[0].references, ["a:latest"]);
    assert_eq!(plan_of_both.notices, [""; 0]);
}
