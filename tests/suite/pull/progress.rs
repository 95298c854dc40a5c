//! What a terminal shows during a pull.

use crate::archive::{Image, gzip, sha256};
use crate::cli::terminal::Terminal;
use crate::env::TestEnv;
use crate::faulty::route::On;
use crate::faulty::{Registry, fault};
use crate::pull::faults::noise;
use crate::registry_scene::{Scene, assert_whole};
use crate::relay::Relay;
use crate::tests;

tests! {
    each_layer_has_a_bar_with_bytes_rate_and_time_left needs DockerRegistry, Skopeo, Tmux;
    layers_that_are_there_and_those_of_another_msb_are_told needs DockerRegistry, Skopeo, Tmux;
    a_layer_that_is_tried_again_is_told_above_the_bars needs Tmux;
    ctrl_c_on_a_terminal_leaves_it_as_it_was needs DockerRegistry, Skopeo, Tmux;
}

fn image(own: u64) -> Image {
    let common = format!("srv/\nsrv/common = {}", noise(1, 500_000));
    let own = format!("srv/\nsrv/own = {}", noise(own, 900_000));
    Image::new("", &[&common, &own]).compressed(gzip)
}

fn has_bar(line: &str) -> bool {
    line.contains(['━', '╸', '╌'])
}

/// Returns the lines of layers.
fn bars(screen: &str) -> Vec<&str> {
    let is_of_layer = |line: &&str| has_bar(line) && !line.contains(" layers ");
    screen.lines().filter(is_of_layer).collect()
}

fn each_layer_has_a_bar_with_bytes_rate_and_time_left() {
    let scene = Scene::new();
    scene.registry.push("app:1", &image(2));
    let relay = Relay::to(scene.registry.host(), 150_000);
    let terminal = Terminal::new(&scene.env);
    terminal.enter(&format!("msb pull {}/app:1", relay.host()));
    let screen = terminal.wait_until("two bars that say how long it takes", |screen| {
        let bars = bars(screen);
        bars.len() == 2 && bars.iter().all(|bar| bar.contains(" left"))
    });
    for bar in bars(&screen) {
        assert!(bar.contains("KiB/"), "bytes and all of them: {screen}");
        assert!(bar.contains("KiB/s"), "the rate: {screen}");
    }
    let overall = screen.lines().find(|line| line.contains("/2 layers"));
    let overall = overall.unwrap_or_else(|| panic!("no line for all of it: {screen}"));
    assert!(has_bar(overall) && overall.contains("KiB/s"), "{screen}");
    assert!(overall.contains(" left"), "{screen}");
    relay.set_rate(100_000_000);
    let screen = terminal.wait_for("✓ Pulled");
    assert_eq!(bars(&screen), [] as [&str; 0], "{screen}");
    assert_whole(&scene.env);
}

fn layers_that_are_there_and_those_of_another_msb_are_told() {
    let scene = Scene::new();
    scene.registry.push("app:1", &image(2));
    scene.registry.push("other:1", &image(3));
    let relay = Relay::to(scene.registry.host(), 100_000_000);
    let name = |image: &str| format!("{}/{image}", relay.host());
    scene.env.msb(&format!("pull {}", name("app:1"))).success();
    relay.set_rate(150_000);
    let before = relay.received();
    let first = Terminal::new(&scene.env);
    first.enter(&format!("msb pull {}", name("other:1")));
    first.wait_for("already exists");
    while relay.received() < before + 100_000 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let second = Terminal::beside(&scene.env);
    second.enter(&format!("msb pull {}", name("other:1")));
    second.wait_for("Waiting for another msb");
    relay.set_rate(100_000_000);
    first.wait_for("✓ Pulled");
    second.wait_for("✓ Pulled");
    assert_whole(&scene.env);
}

fn a_layer_that_is_tried_again_is_told_above_the_bars() {
    let (env, registry) = (TestEnv::new(), Registry::start());
    let image = image(2);
    registry.put_image("app", "1", &image);
    let layer = On::Blob(sha256(&image.layers[1]));
    registry.fault(layer, 1, fault::too_many_requests("2"));
    let terminal = Terminal::new(&env);
    terminal.enter(&format!("msb pull {}/app:1", registry.host()));
    let told = format!("Trying again in 2 s: registry {} limits", registry.host());
    let screen = terminal.wait_for(&told);
    let of_layer = |line: &&&str| line.contains("trying again");
    assert_eq!(bars(&screen).iter().filter(of_layer).count(), 1, "{screen}");
    let screen = terminal.wait_for("✓ Pulled");
    assert!(
        screen.contains(&told),
        "what happened can be read later: {screen}"
    );
}

fn ctrl_c_on_a_terminal_leaves_it_as_it_was() {
    let scene = Scene::new();
    scene.registry.push("app:1", &image(2));
    let relay = Relay::to(scene.registry.host(), 100_000);
    let terminal = Terminal::new(&scene.env);
    terminal.enter(&format!("msb pull {}/app:1; echo exit $?", relay.host()));
    terminal.wait_until("a bar", |screen| !bars(screen).is_empty());
    terminal.press("C-c");
    let screen = terminal.wait_for("exit 130");
    assert_eq!(bars(&screen), [] as [&str; 0], "{screen}");
    assert!(
        screen.contains("hint: what was received is kept"),
        "{screen}"
    );
}
