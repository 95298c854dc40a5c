//! Programs that use msb as a library: the examples of the crate, and what its front door promises.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msb_host::image::{self, PullOptions};
use msb_host::{Context, Error, Input, Msb, RegistryAuth, SaveTarget};

use crate::archive::{Image, gzip};
use crate::env::{Run, TestEnv};
use crate::pull::faults::noise;
use crate::registry::access::{PASSWORD, USER, fill, with_passwords};
use crate::registry_scene::{Scene, assert_whole, sample};
use crate::relay::Relay;
use crate::tests;
use crate::tools;

tests! {
    the_examples_pull_with_credentials_of_their_own needs DockerRegistry, Htpasswd, Skopeo;
    the_examples_load_list_and_save;
    the_examples_use_what_they_pull needs DockerRegistry, Skopeo;
    two_pulls_at_once_of_which_one_is_given_up needs DockerRegistry, Skopeo;
    a_future_that_is_dropped_stops_its_operation needs DockerRegistry, Skopeo;
    no_function_panics_inside_of_a_runtime needs DockerRegistry, Skopeo;
    no_prune_comes_between_a_pull_and_its_use needs DockerRegistry, Skopeo;
}

/// Bytes per second at which a pull takes a while.
const SLOW: u64 = 200_000;

/// Returns a command that runs an example of the crate on the home of `env`.
fn example(env: &TestEnv, name: &str) -> Command {
    let path = tools::msb().with_file_name("examples").join(name);
    assert!(
        path.is_file(),
        "{} is not there: build it with `cargo build --examples`",
        path.display()
    );
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("MSB_HOME", env.home())
        .env("HOME", env.path("user-home"))
        .current_dir(env.path("."));
    command
}

fn msb(env: &TestEnv) -> Msb {
    Msb::builder().home(env.home()).open().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// A registry with a small image, and one that takes a while by way of the relay.
fn two_images() -> (Scene, Relay) {
    let scene = Scene::filled();
    let large = format!("srv/\nsrv/large = {}", noise(7, 2_000_000));
    let large = Image::new("", &[&large]).compressed(gzip);
    scene.registry.push("large:1", &large);
    let relay = Relay::to(scene.registry.host(), SLOW);
    (scene, relay)
}

fn the_examples_pull_with_credentials_of_their_own() {
    let scene = with_passwords();
    fill(&scene, "app:1");
    let name = scene.name("app:1");
    let pull = |password: &str| {
        Run::of(
            example(&scene.env, "pull_with_auth")
                .args([&*name, USER])
                .env("REGISTRY_PASSWORD", password),
        )
    };
    let denied = pull("secret-wrong");
    assert_eq!(denied.code, Some(1), "{denied:?}");
    assert!(!denied.stderr.contains("secret-wrong"), "{denied:?}");
    let pulled = pull(PASSWORD).success();
    assert!(pulled.stdout.starts_with(&format!("{name} sha256:")));
    assert_whole(&scene.env);
    // The same without a process of its own, and with what no registry takes.
    let auth = RegistryAuth::basic(USER, "secret-wrong");
    let error = msb(&scene.env).pull(&name).force(true).auth(auth).run();
    assert!(matches!(error, Err(Error::Pull(_))), "{error:?}");
}

fn the_examples_load_list_and_save() {
    let env = TestEnv::new();
    let archive = env.write("in.tar", &Image::new("app:1", &["a = b"]).docker());
    let run = Run::of(example(&env, "load_and_save").arg(&archive).arg("out.tar")).success();
    assert!(run.stdout.contains("bytes saved"), "{run:?}");
    let digest = env.json("images --format json")[0]["digest"].clone();
    assert!(run.stdout.contains(digest.as_str().unwrap()), "{run:?}");
    let list = Run::of(&mut example(&env, "list")).success();
    let layers = format!("\n  {}", env.home().join("cache/layers").display());
    assert_eq!(list.stdout.matches(&layers).count(), 1, "{list:?}");
    env.msb("rmi app:1").success();
    env.msb("load -i out.tar").success();
    env.msb("image verify").success();
}

fn the_examples_use_what_they_pull() {
    let scene = Scene::filled();
    let name = scene.name("app:1");
    let run = Run::of(example(&scene.env, "sandbox").args([&*name, "devbox"])).success();
    assert_eq!(run.stdout.matches("mount -t erofs").count(), 2, "{run:?}");
    assert!(run.stdout.contains("used by devbox\nreleased 1"), "{run:?}");
    let path = run.stdout.split_whitespace().find(|it| it.starts_with('/'));
    assert!(std::path::Path::new(path.unwrap()).is_file(), "{run:?}");
    scene.env.msb("image prune -y").success();
    assert_eq!(scene.env.references(), [] as [String; 0]);
}

fn two_pulls_at_once_of_which_one_is_given_up() {
    let (scene, relay) = two_images();
    let archive = Image::new("loaded:1", &["a = b"]).docker();
    let archive = scene.env.write("in.tar", &archive);
    let name = scene.name("app:1");
    let slow = format!("{}/large:1", relay.host());
    let mut two_pulls = example(&scene.env, "two_pulls");
    let run = Run::of(two_pulls.args([&name, &slow]).arg(&archive)).success();
    assert!(run.stdout.contains(&format!("pulled {name}")), "{run:?}");
    assert_eq!(run.stdout.matches("loaded ").count(), 1, "{run:?}");
    assert_eq!(run.stdout.matches("listed ").count(), 2, "{run:?}");
    assert!(!scene.env.references().contains(&slow));
    // What was received of the other one is kept for the next pull.
    scene.env.msb("image verify").success();
}

fn a_future_that_is_dropped_stops_its_operation() {
    let (scene, relay) = two_images();
    let msb = msb(&scene.env);
    let name = format!("{}/large:1", relay.host());
    runtime().block_on(async {
        let pull = msb.pull(&name).into_future();
        let begun = tokio::time::timeout(Duration::from_secs(1), pull).await;
        assert!(begun.is_err(), "the line is not slow");
    });
    // What was on its way may still come; then nothing does.
    std::thread::sleep(Duration::from_secs(1));
    let received = relay.received();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(relay.received(), received);
    scene.env.msb("image verify").success();
    relay.set_rate(1_000_000_000);
    runtime().block_on(async { msb.pull(&name).await }).unwrap();
    assert_whole(&scene.env);
}

fn no_function_panics_inside_of_a_runtime() {
    let scene = Scene::filled();
    let name = scene.name("app:1");
    let archive = Image::new("loaded:1", &["a = b"]).docker();
    let archive = scene.env.write("in.tar", &archive);
    let copy = scene.env.path("out.tar");
    let task = async move {
        // What blocks is not nice to others, but it works.
        let msb = msb(&scene.env);
        msb.pull(&name).run().unwrap();
        msb.load(Input::Path(archive)).run().unwrap();
        msb.save([&name], SaveTarget::File(copy)).run().unwrap();
        msb.logins().run().unwrap();
        assert_eq!(msb.images().run().unwrap().images.len(), 2);
        let (store, client) = (msb.store().unwrap(), msb.client().unwrap());
        let options = PullOptions {
            force: true,
            ..PullOptions::default()
        };
        let reference = name.parse().unwrap();
        image::pull(&store, &client, &reference, &options, &Context::default()).unwrap();
        drop((store, client, msb));
        scene
    };
    let runtime = runtime();
    let scene = runtime.block_on(async { tokio::spawn(task).await.unwrap() });
    assert_whole(&scene.env);
}

fn no_prune_comes_between_a_pull_and_its_use() {
    let scene = Scene::new();
    scene.registry.push("app:1", &sample());
    let name = scene.name("app:1");
    let is_over = AtomicBool::new(false);
    let until = Instant::now() + Duration::from_secs(4);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let msb = msb(&scene.env);
            while !is_over.load(Ordering::Relaxed) {
                msb.prune().run().unwrap();
            }
        });
        let msb = msb(&scene.env);
        let mut pulls = 0;
        while Instant::now() < until {
            let image = msb.pull(&name).used_by("devbox").run().unwrap();
            let digest = image.manifest_digest.to_string();
            // Had it been removed in between, this would fail or show no paths.
            let details = msb.inspect(&digest).run().unwrap();
            assert_eq!(details.used_by, ["devbox"]);
            for layer in details.layers {
                assert!(layer.erofs_path.unwrap().is_file());
            }
            assert_eq!(msb.release("devbox").run().unwrap(), 1);
            pulls += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(pulls > 10, "{pulls}");
    });
    assert_whole(&scene.env);
}
