//! Layers that a real component makes, as they should be and in every wrong way.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::home::Home;
use crate::plugin::limits::Meter;
use crate::plugin::package::Origin;
use crate::plugin::test_bench::{TIGHT, chain, component};
use crate::plugin::tests::OneEntry;
use crate::plugin::{Formats, PluginBudget};
use crate::progress::Silent;

/// Bytes of a layer that are compared.
const KEPT: u64 = 1 << 20;

/// Reads the layer that the plugin makes under this name, with at most `limit` bytes of it.
fn read(layer: &str, limit: u64) -> Result<Vec<u8>, String> {
    read_within(&TIGHT, layer, limit)
}

fn read_within(budget: &PluginBudget, layer: &str, limit: u64) -> Result<Vec<u8>, String> {
    let home = tempfile::tempdir().unwrap();
    let mut formats = Formats::builtin(&Home::at(home.path()));
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let cancel = Cancel::default();
    formats
        .add(
            "misbehaving",
            component("misbehaving"),
            PluginBudget {
                transfer: 4 << 20,
                ..budget.clone()
            },
            &progress,
            &cancel,
        )
        .unwrap();
    let archive = OneEntry::named(&format!("layer-{layer}"));
    let (plan, source) = formats.read(&archive, &progress, &cancel).unwrap();
    let LayerData::Entry(number) = plan.images[0].layers[0].data else {
        panic!("{plan:?}");
    };
    assert_eq!(number, 1);
    assert!(!source.readable(number));
    assert_eq!(
        source.name(number),
        format!("{layer} (made by plugin `misbehaving`)")
    );
    // A layer that has no end is not kept.
    let mut bytes = Vec::new();
    let mut opened = source.open(number).map_err(|error| chain(&error))?;
    let mut limited = opened.by_ref().take(limit);
    let read = match limit {
        u64::MAX => limited
            .by_ref()
            .take(KEPT)
            .read_to_end(&mut bytes)
            .and_then(|_| std::io::copy(&mut limited, &mut std::io::sink())),
        _ => limited.read_to_end(&mut bytes).map(|length| length as u64),
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => {
            // It stays at its end.
            assert_eq!(opened.read(&mut [0; 10]).unwrap(), 0);
            Err(error
                .get_ref()
                .map_or_else(|| error.to_string(), |error| chain(error)))
        }
    }
}

#[test]
fn a_made_layer_is_what_the_plugin_gives_piece_by_piece() {
    let bytes = read("three", u64::MAX).unwrap();
    let wanted: Vec<u8> = [1_u8, 2, 3]
        .into_iter()
        .flat_map(|turn| vec![turn; 1000])
        .collect();
    assert!(bytes == wanted);
}

#[test]
fn a_made_layer_can_be_longer_than_the_memory_of_the_plugin() {
    let budget = PluginBudget {
        compute: PluginBudget::FORMAT.compute,
        ..TIGHT
    };
    let length = budget.memory as u64 * 2;
    let layer = read_within(&budget, "endless", length).unwrap();
    assert_eq!(layer.len() as u64, length);
}

#[test]
fn a_layer_without_end_meets_the_budget_of_one_call() {
    let second = Duration::from_secs(1);
    let loose = PluginBudget {
        made: u64::MAX,
        compute: second * 600,
        host_calls: u64::MAX,
        ..TIGHT
    };
    for (budget, words) in [
        (
            PluginBudget {
                made: 5 << 20,
                ..loose
            },
            "it made more than 5 MiB of a layer or an archive",
        ),
        (
            PluginBudget {
                host_calls: 7,
                ..loose
            },
            "it called the host more than 7 times",
        ),
        (
            PluginBudget {
                compute: second / 10,
                ..loose
            },
            "it computed for longer than its 0.1 s",
        ),
        (
            PluginBudget {
                wall: Some(second / 5),
                ..loose
            },
            "it did not answer within its 0.2 s",
        ),
    ] {
        let error = read_within(&budget, "endless", u64::MAX).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn no_time_runs_while_the_host_is_at_work_on_a_layer() {
    let budget = PluginBudget {
        compute: Duration::from_millis(300),
        wall: Some(Duration::from_millis(300)),
        ..TIGHT
    };
    let mut meter = Meter::new(budget, Cancel::default());
    meter.begin_call();
    meter.pause();
    std::thread::sleep(Duration::from_millis(400));
    meter.go_on().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert!(meter.check().is_err());
}

#[test]
fn what_makes_a_layer_can_read_the_archive() {
    assert_eq!(read("source", u64::MAX).unwrap(), b"read");
}

#[test]
fn a_plugin_that_fails_while_it_makes_a_layer_is_named_with_the_reason() {
    for (layer, words) in [
        ("missing", "there is no such layer"),
        ("breaks", "the layer breaks off at 1"),
        ("greedy", "it gave 1048577 bytes of a layer where 1048576"),
        ("panic", "a panic on purpose"),
        ("loop", "it computed for longer than its 0.8 s"),
        ("allocate", "it asked for more than its 32 MiB of memory"),
    ] {
        let error = read(layer, u64::MAX).unwrap_err();
        assert!(error.contains("plugin `misbehaving`"), "{layer}: {error}");
        assert!(error.contains(words), "{layer}: {error}");
    }
}

#[test]
fn made_layers_of_one_name_are_one_entry() {
    let layer = |name: &str| crate::plugin::PlannedLayer {
        data: LayerData::Generated(name.to_owned()),
        digest: None,
        size: None,
        media_type: None,
    };
    let image = |names: &[&str]| crate::plugin::PlannedImage {
        manifest: None,
        manifest_digest: None,
        config: crate::plugin::Document::Entry(0),
        config_digest: None,
        layers: names.iter().map(|name| layer(name)).collect(),
        references: Vec::new(),
        platform: None,
        indexes: Vec::new(),
    };
    let home = tempfile::tempdir().unwrap();
    let runtime = crate::plugin::Runtime::new(&Home::at(home.path()));
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let call_context = CallContext {
        plugin: &"misbehaving".into(),
        progress: &progress,
        cancel: &Cancel::default(),
    };
    let compiled = Component::compile(
        &runtime,
        runtime.engine().unwrap(),
        &component("misbehaving").into(),
        Origin::Author,
        TIGHT,
        &call_context,
    );
    let mut plan = Plan {
        images: vec![image(&["a", "b"]), image(&["a", "c"])],
        indexes: Vec::new(),
        notices: Vec::new(),
    };
    plan.number_made_layers(
        Maker {
            component: Arc::new(compiled.unwrap()),
            plugin: "misbehaving".into(),
            version: None,
            source: OneEntry::named("x"),
            progress: Arc::new(Silent),
            cancel: Cancel::default(),
        },
        0,
    );
    let numbers: Vec<u32> = plan
        .images
        .iter()
        .flat_map(|image| &image.layers)
        .map(|layer| match layer.data {
            LayerData::Entry(number) => number,
            _ => panic!("{layer:?}"),
        })
        .collect();
    assert_eq!(numbers, [1, 2, 1, 3]);
}

#[test]
fn a_layer_made_of_what_has_passed_in_a_pipe_is_an_error_that_says_so() {
    let error = read("source-passed", u64::MAX).unwrap_err();
    assert!(
        error.contains("entry `layer-source-passed` has passed in the pipe"),
        "{error}"
    );
}
