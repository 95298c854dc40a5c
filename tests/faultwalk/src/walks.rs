//! Walking a command: each of its calls fails once, in each way in which it can, and the command is
//! killed once in front of each.

use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use faultwalk::{Fault, Plan};

use crate::Result;
use crate::check::{Expected, Finding};
use crate::place::{Place, Run};
use crate::scene::{Scene, Stage};
use crate::table::Row;

/// Walks a scene: all points of it, or so many of each kind, spread evenly.
pub(crate) fn walk(stage: &Stage, scene: &Scene, most: Option<usize>) -> Result<Row> {
    let place = stage.place("walk-0");
    let expected = Expected::of(stage, scene, &place)?;
    stage.set(scene, &place)?;
    let whole = run(stage, scene, &place, Plan::Count)?;
    let mut plans = Vec::new();
    for fault in Fault::ALL {
        let count = whole.count(fault);
        plans.extend(spread(count, most).map(|number| Plan::Fail(fault, number)));
    }
    plans.extend(spread(whole.kinds.len(), most).map(Plan::Kill));
    let mut row = Row::of(scene.name);
    row.calls = whole.kinds.len();
    for (plan, (was_hit, findings)) in each(stage, &plans, |place, plan| {
        at(stage, scene, &expected, place, plan)
    })? {
        if was_hit {
            match plan {
                Plan::Kill(_) => row.kills += 1,
                _ => row.faults += 1,
            }
        }
        row.add(&named(plan), findings);
    }
    Ok(row)
}

/// Runs a scene with one fault, and returns what the run said and what is wrong.
pub(crate) fn one(stage: &Stage, scene: &Scene, plan: Plan) -> Result<(String, Vec<Finding>)> {
    let place = stage.place("one");
    let expected = Expected::of(stage, scene, &place)?;
    stage.set(scene, &place)?;
    let walked = run(stage, scene, &place, plan)?;
    let hit = walked
        .hit
        .clone()
        .unwrap_or_else(|| "no such call".to_owned());
    let run = ended(&walked.output);
    let said = format!("{hit}\n{}", run.words());
    let judged = (!matches!(plan, Plan::Kill(_))).then_some(&run);
    Ok((said, expected.check(stage, scene, &place, judged)?))
}

/// Returns a plan as `--at` takes it.
pub(crate) fn named(plan: Plan) -> String {
    match plan {
        Plan::Count => "none".to_owned(),
        Plan::Fail(fault, number) => format!("{fault}:{number}"),
        Plan::Kill(number) => format!("KILL:{number}"),
    }
}

/// Returns the plan that a word names.
pub(crate) fn plan(word: &str) -> Option<Plan> {
    let (what, number) = word.split_once(':')?;
    let number = number.parse().ok().filter(|number| *number > 0)?;
    if what == "KILL" {
        return Some(Plan::Kill(number));
    }
    let fault = Fault::ALL
        .into_iter()
        .find(|fault| fault.to_string() == what)?;
    Some(Plan::Fail(fault, number))
}

fn at(
    stage: &Stage,
    scene: &Scene,
    expected: &Expected,
    place: &Place,
    plan: Plan,
) -> Result<(bool, Vec<Finding>)> {
    stage.set(scene, place)?;
    let walked = run(stage, scene, place, plan)?;
    let was_hit = walked.hit.is_some();
    let run = ended(&walked.output);
    // A kill is not the doing of msb.
    let judged = !(was_hit && matches!(plan, Plan::Kill(_)));
    let mut findings = expected.check(stage, scene, place, judged.then_some(&run))?;
    if let Some(hit) = walked.hit {
        for finding in &mut findings {
            finding.what = format!("{hit}: {}", finding.what);
        }
    }
    Ok((was_hit, findings))
}

fn run(stage: &Stage, scene: &Scene, place: &Place, plan: Plan) -> Result<faultwalk::Walked> {
    let mut command = stage.command(scene, place)?;
    Ok(faultwalk::run(&mut command, &stage.below(place), plan)?)
}

fn ended(output: &Output) -> Run {
    Run {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        is_late: false,
    }
}

/// Does something for each item, on every processor, each in a place of its own.
pub(crate) fn each<I: Copy + Send + Sync, T: Send>(
    stage: &Stage,
    items: &[I],
    work: impl Fn(&Place, I) -> Result<T> + Sync,
) -> Result<Vec<(I, T)>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| -> Result<()> {
        let started: Vec<_> = (0..workers)
            .map(|worker| {
                let (next, done, work) = (&next, &done, &work);
                scope.spawn(move || -> Result<()> {
                    let place = stage.place(&format!("walk-{worker}"));
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = work(&place, *item)?;
                        let mut done = done.lock().map_err(|_| "a worker panicked")?;
                        done.push((*item, result));
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in started {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok(())
    })?;
    Ok(done.into_inner().map_err(|_| "a worker panicked")?)
}

/// Returns the numbers from 1 to `count`, or so many of them, spread evenly.
fn spread(count: usize, most: Option<usize>) -> impl Iterator<Item = usize> {
    let points = most.map_or(count, |most| most.min(count));
    (0..points).map(move |point| 1 + (2 * point + 1) * count / (2 * points))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_spread_over_all_calls() {
        assert_eq!(spread(3, None).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(spread(100, Some(4)).collect::<Vec<_>>(), [13, 38, 63, 88]);
        assert_eq!(spread(2, Some(4)).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(spread(0, Some(4)).count(), 0);
    }

    #[test]
    fn a_plan_is_named_as_it_is_asked_for() {
        for word in ["EIO:1", "ENOSPC:20", "EMFILE:3", "KILL:4"] {
            assert_eq!(plan(word).map(named).as_deref(), Some(word));
        }
        for word in ["EIO", "EIO:0", "EIO:x", "EPERM:1", ""] {
            assert_eq!(plan(word), None, "{word}");
        }
    }
}
