//! Kills at random moments, without anything that slows the command down.

use std::time::{Duration, Instant};

use crate::Result;
use crate::check::Expected;
use crate::place::{PATIENCE, finish};
use crate::scene::{SCENES, Stage};
use crate::table::Row;
use crate::walks::each;

/// Kills every command in turn, for so long.
pub(crate) fn run(stage: &Stage, time: Duration) -> Result<Row> {
    let place = stage.place("walk-0");
    let mut scenes = Vec::new();
    for scene in &SCENES {
        let expected = Expected::of(stage, scene, &place)?;
        stage.set(scene, &place)?;
        let started = Instant::now();
        finish(stage.command(scene, &place)?, PATIENCE)?;
        scenes.push((scene, expected, started.elapsed()));
    }
    let mut row = Row::of("kills");
    let started = Instant::now();
    let mut random = fastrand::Rng::with_seed(13);
    while started.elapsed() < time {
        // A moment in each command, also just after its end.
        let moments: Vec<(usize, f64)> = (0..scenes.len())
            .map(|scene| (scene, random.f64() * 1.1))
            .collect();
        let killed = each(stage, &moments, |place, (scene, moment)| {
            let (scene, expected, takes) = scenes.get(scene).ok_or("no such scene")?;
            stage.set(scene, place)?;
            let run = finish(stage.command(scene, place)?, takes.mul_f64(moment))?;
            let ended = (!run.is_late).then_some(&run);
            let findings = expected.check(stage, scene, place, ended)?;
            Ok((scene.name, run.is_late, findings))
        })?;
        for ((_, moment), (scene, was_killed, findings)) in killed {
            row.kills += usize::from(was_killed);
            row.add(&format!("{scene} at {:.0} %", moment * 100.0), findings);
        }
    }
    Ok(row)
}
