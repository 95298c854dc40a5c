use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn the_templates_are_valid() {
    for template in [WITH_TOTAL, WITHOUT_TOTAL, WITHOUT_BAR] {
        ProgressStyle::with_template(template).unwrap();
    }
}

#[test]
fn the_time_that_is_left_is_told_in_whole_seconds() {
    assert_eq!(time_left(4), "4s left  ");
    assert_eq!(time_left(185), "3m 05s left  ");
}

#[test]
fn a_layer_is_called_by_its_digest_or_by_the_end_of_its_name() {
    for (name, shown) in [
        (format!("blobs/sha256/{HEX}"), "e3b0c44298fc"),
        (format!("{HEX}/layer.tar"), "e3b0c44298fc"),
        (format!("{HEX}.tar"), "e3b0c44298fc"),
        ("layer.tar".to_owned(), "layer.tar"),
        (
            "some/where/far/away/layer.tar".to_owned(),
            "…/away/layer.tar",
        ),
        ("\u{1b}[2J".to_owned(), "\\u{1b}[2J"),
    ] {
        assert_eq!(label(&name), shown);
        assert!(label(&name).chars().count() <= NAME);
    }
}

#[test]
fn the_heading_counts_layers_once_there_are_some() {
    let mut layers = Layers {
        phase: "Reading\u{7}".to_owned(),
        ..Layers::default()
    };
    assert_eq!(layers.heading(), "Reading\\u{7}");
    layers.done = 2;
    assert_eq!(layers.heading(), "Reading\\u{7}  2 layers");
    layers.total = 3;
    assert_eq!(layers.heading(), "Reading\\u{7}  2/3 layers");
    layers.overall = Some(ProgressBar::hidden());
    assert_eq!(layers.heading(), "Reading\\u{7}");
}
