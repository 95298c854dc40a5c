//! What must hold after a command that went wrong, whatever went wrong.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use crate::Result;
use crate::place::{PATIENCE, Place, Run, finish};
use crate::scene::{Scene, Stage};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// An image that has nothing to do with the command is gone, or the catalogue cannot be read.
    Lost,
    /// Something is listed that is not whole, or an output is torn.
    Unsound,
    /// Files that nothing needs stay, after the next prune.
    LeftOver,
    /// A later command waits, or fails where it would have succeeded.
    Locked,
    /// It ended by a signal or a panic, or with words that do not say what failed on what.
    Words,
}

/// Something that is wrong, and what shows it.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) wrong: Wrong,
    pub(crate) what: String,
}

/// What a scene comes to when nothing goes wrong.
#[derive(Debug)]
pub(crate) struct Expected {
    before: BTreeSet<String>,
    after: BTreeSet<String>,
    /// The files that are left when everything was pruned.
    files: BTreeSet<String>,
    /// What `out` has before and after.
    outputs: [Vec<(String, Vec<u8>)>; 2],
    code: Option<i32>,
}

impl Expected {
    /// Runs a scene without any fault.
    pub(crate) fn of(stage: &Stage, scene: &Scene, place: &Place) -> Result<Self> {
        stage.set(scene, place)?;
        let before = if place.has_store() {
            place.images()?
        } else {
            BTreeSet::new()
        };
        let old = outputs(place)?;
        let run = finish(stage.command(scene, place)?, PATIENCE)?;
        if run.status.code() != Some(0) && scene.restores.is_none() {
            return Err(format!("{} fails without a fault: {}", scene.name, run.words()).into());
        }
        let after = place.images()?;
        let new = outputs(place)?;
        finish(stage.command(scene, place)?, PATIENCE)?;
        if let Some(line) = scene.restores {
            stage.must(place, line)?;
        }
        stage.must(place, "image prune --yes")?;
        Ok(Self {
            before,
            after,
            files: place.files()?.into_iter().collect(),
            outputs: [old, new],
            code: run.status.code(),
        })
    }

    /// Looks at what a run that went wrong has left, with fresh runs of msb.
    pub(crate) fn check(
        &self,
        stage: &Stage,
        scene: &Scene,
        place: &Place,
        run: Option<&Run>,
    ) -> Result<Vec<Finding>> {
        let mut findings = Findings::default();
        if let Some(run) = run {
            self.judge(run, &mut findings);
        }
        self.outputs(place, run, &mut findings)?;
        self.images(place, scene, run, &mut findings);
        // The same once more: nothing that was left may be in its way.
        let again = finish(stage.command(scene, place)?, PATIENCE)?;
        let is_done = scene
            .done_already
            .is_some_and(|words| again.stderr.contains(words));
        if again.is_late {
            findings.push(
                Wrong::Locked,
                format!("the next run does not end: {}", again.words()),
            );
        } else if again.status.code() != self.code && !again.status.success() && !is_done {
            findings.push(
                Wrong::Locked,
                format!("the next run fails: {}", again.words()),
            );
        }
        if let Some(line) = scene.restores {
            stage.must(place, line)?;
        }
        self.settled(place, &mut findings);
        let prune = place.msb("image prune --yes")?;
        if !prune.status.success() {
            findings.push(
                Wrong::Locked,
                format!("the next prune fails: {}", prune.words()),
            );
        }
        let left: Vec<String> = place
            .files()?
            .into_iter()
            .filter(|file| !self.files.contains(file))
            .collect();
        if !left.is_empty() {
            findings.push(Wrong::LeftOver, left.join(", "));
        }
        if let Err(words) = place.images() {
            findings.push(Wrong::Lost, format!("after a prune: {words}"));
        }
        Ok(findings.0)
    }

    fn judge(&self, run: &Run, findings: &mut Findings) {
        let is_expected = run.status.code() == self.code;
        if let Some(what) = run.misbehaviour().filter(|_| !is_expected || run.is_late) {
            findings.push(Wrong::Words, format!("{what}: {}", run.words()));
        }
    }

    /// What was written beside the home is what was there before, or all that is to be there.
    fn outputs(&self, place: &Place, run: Option<&Run>, findings: &mut Findings) -> Result<()> {
        let [before, after] = &self.outputs;
        let succeeded = run.is_some_and(|run| run.status.success());
        for (name, bytes) in outputs(place)? {
            let is = |all: &[(String, Vec<u8>)]| all.contains(&(name.clone(), bytes.clone()));
            let is_known = before.iter().chain(after).any(|(known, _)| *known == name);
            if is_known && !is(after) && (succeeded || !is(before)) {
                findings.push(Wrong::Unsound, format!("out/{name} is torn"));
            }
        }
        Ok(())
    }

    /// What has nothing to do with the command is there; what it is about is there as a whole, or
    /// not at all.
    fn images(&self, place: &Place, scene: &Scene, run: Option<&Run>, findings: &mut Findings) {
        if !place.has_store() {
            return;
        }
        let listed = match place.images() {
            Ok(listed) => listed,
            Err(words) => {
                findings.push(Wrong::Lost, format!("`msb images` fails: {words}"));
                return;
            }
        };
        let stays = self.before.intersection(&self.after);
        for image in stays.filter(|image| !listed.contains(*image)) {
            findings.push(Wrong::Lost, format!("{image} is not listed"));
        }
        for image in &listed {
            if !self.before.contains(image) && !self.after.contains(image) {
                findings.push(Wrong::Unsound, format!("{image} is listed"));
            }
        }
        let succeeded = run.is_some_and(|run| run.status.success());
        if succeeded && listed != self.after && scene.restores.is_none() {
            let what = format!("exit code 0, and the images are {listed:?}");
            findings.push(Wrong::Unsound, what);
        }
        let selectors: &[&str] = match scene.restores {
            Some(_) => &["keep:1"],
            None => &[],
        };
        if let Some(what) = place.unsound(selectors) {
            findings.push(Wrong::Unsound, what);
        }
    }

    /// After the command was run once more, all is as if nothing had gone wrong.
    fn settled(&self, place: &Place, findings: &mut Findings) {
        let listed = match place.images() {
            Ok(listed) => listed,
            Err(words) => {
                findings.push(Wrong::Lost, format!("`msb images` fails: {words}"));
                return;
            }
        };
        if listed != self.after {
            findings.push(
                Wrong::Lost,
                format!("after another run the images are {listed:?}"),
            );
        }
        if let Some(what) = place.unsound(&[]) {
            findings.push(Wrong::Unsound, format!("after another run: {what}"));
        }
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn push(&mut self, wrong: Wrong, what: String) {
        self.0.push(Finding { wrong, what });
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lost => "lost",
            Self::Unsound => "unsound",
            Self::LeftOver => "left over",
            Self::Locked => "locked",
            Self::Words => "words",
        })
    }
}

/// Returns the names and contents of the files that commands write beside the home.
fn outputs(place: &Place) -> Result<Vec<(String, Vec<u8>)>> {
    let Ok(entries) = fs::read_dir(place.folder().join("out")) else {
        return Ok(Vec::new());
    };
    let mut outputs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        outputs.push((name, fs::read(entry.path())?));
    }
    outputs.sort();
    Ok(outputs)
}
