//! A run of `pentimento restore` over pictures, and what it tells.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use pentimento::{Engine, Error, Result};

use super::album::{self, Busy, Context, Rules, Shared};
use super::below;
use super::crew::{self, Seat, Share};
use super::inputs::{self, Job, Jobs};
use super::journal::Stamp;
use super::output::{about, exit_code, print, print_error, print_json, print_note, write_text};
use super::page;
use super::report::{Became, Done, Ending, FORMAT, Outcome, Report};
use super::restore::Restore;

/// How often the folders are looked at by `--watch`. A picture is taken when it has not changed
/// between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// A picture that cannot be restored and was changed less than this before may still be copied: with
/// `--watch` it is tried again, and only then counts as failed.
const SETTLED: Duration = Duration::from_secs(10);

/// A run while it goes on.
pub struct Run<'a> {
    pub start: Instant,
    pub command: &'a Restore,
    pub output: &'a Path,
    pub model: &'a Path,
    pub architecture: &'a str,
    pub crew: Vec<Seat>,
    pub journal: Shared,
    pub rules: Rules,
    pub bar: ProgressBar,
    pub busy: Busy,
    pub pictures: Vec<Outcome>,
    pub passed_over: Vec<PathBuf>,
    /// What was tried, as it was then, so that `--watch` does not try it again.
    pub tried: HashMap<PathBuf, Option<Stamp>>,
    /// What failed while it may still have been copied.
    pub unsettled: HashMap<PathBuf, Error>,
}

impl Run<'_> {
    /// Restores `jobs`, without those that are done.
    pub fn restore(&mut self, jobs: Vec<Job>) -> Result<()> {
        let mut open = Vec::new();
        for job in jobs {
            self.tried.insert(job.input.clone(), Stamp::of(&job.input));
            let again = self.command.force || self.command.faces.is_film();
            let journal = self.journal.lock();
            let known = journal.as_ref().filter(|_| !again);
            match known.and_then(|journal| journal.done(&job)) {
                Some(done) => {
                    let result = Ending::Kept { kept: true, done: done.clone() };
                    let outcome = Outcome { input: job.input, result };
                    self.command.keep(&mut self.pictures, outcome);
                }
                None => open.push(job),
            }
        }
        self.bar.set_length((self.bar.position() + open.len() as u64).max(1));
        let (command, bar, model) = (self.command, self.bar.clone(), self.model);
        let (pictures, unsettled) = (&mut self.pictures, &mut self.unsettled);
        let renew = |engine: &Engine| {
            let model = command.assumptions.open(model)?;
            command.faces.worker(engine, &model, command.batch)
        };
        let lost_before = crew::lost(&self.crew).count();
        let context = Context {
            journal: &self.journal,
            rules: &self.rules,
            bar: &self.bar,
            start: self.start,
        };
        let busy =
            album::run(&mut self.crew, renew, open, &context, |input, result| match result {
                Err(error) if command.watch && is_young(&input) => {
                    unsettled.insert(input, error);
                }
                result => command.keep(pictures, command.tell(&bar, input, result)),
            })?;
        for note in self.crew.iter_mut().flat_map(Seat::take_notes) {
            self.bar.suspend(|| print_note(&note));
        }
        if crew::lost(&self.crew).count() > lost_before {
            self.say_what_was_lost();
        }
        self.busy.working += busy.working;
        self.busy.whole += busy.whole;
        Ok(())
    }

    fn say_what_was_lost(&self) {
        for Share { device, name, lost, .. } in crew::lost(&self.crew) {
            let why = lost.as_deref().unwrap_or_default();
            // Only a device that nobody named has a spare.
            let (named, others) = match device.as_str() {
                "" => (String::new(), "the CPU"),
                device => (format!(" (--device {device})"), "the other devices"),
            };
            let note = format!("{name}{named}: {why}; {others} took its pictures");
            self.bar.suspend(|| print_note(&note));
        }
    }

    pub fn tell(&mut self, input: PathBuf, result: Result<Done>) {
        let outcome = self.command.tell(&self.bar, input, result);
        self.command.keep(&mut self.pictures, outcome);
    }

    /// Waits for pictures that are new or have changed, and then have not changed for a moment.
    pub fn wait(&mut self) -> Result<Vec<Job>> {
        self.bar.set_message("waiting for pictures");
        let mut last: HashMap<PathBuf, Option<Stamp>> = HashMap::new();
        while !album::is_stopped() {
            let Jobs { mut jobs, failures, passed_over, .. } =
                inputs::pair(&self.command.inputs, self.output)?;
            self.passed_over = passed_over;
            for (input, error) in failures {
                // Folders without pictures are what is waited for. The rest is said once.
                let stamp = Stamp::of(&input);
                if !input.is_dir() && self.tried.get(&input) != Some(&stamp) {
                    self.tried.insert(input.clone(), stamp);
                    self.tell(input, Err(error));
                }
            }
            let now: HashMap<PathBuf, Option<Stamp>> =
                jobs.iter().map(|job| (job.input.clone(), Stamp::of(&job.input))).collect();
            jobs.retain(|Job { input, .. }| {
                let stamp = &now[input];
                let settled = self.unsettled.contains_key(input) && !is_young(input);
                stamp.is_some()
                    && (self.tried.get(input) != Some(stamp) || settled)
                    && last.get(input) == Some(stamp)
            });
            if !jobs.is_empty() {
                for job in &jobs {
                    self.unsettled.remove(&job.input);
                }
                return Ok(jobs);
            }
            last = now;
            thread::sleep(LOOK);
        }
        Ok(Vec::new())
    }

    fn count(&self, is: impl Fn(&Ending) -> bool) -> usize {
        self.pictures.iter().filter(|picture| is(&picture.result)).count()
    }

    fn report(&mut self) -> Report<'_> {
        let whole = self.busy.whole.as_secs_f64();
        Report {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            // There is always one.
            device: self.crew[0].engine.device(),
            devices: self.crew.iter().flat_map(Seat::shares).cloned().collect(),
            batch: self.crew[0].share.batch,
            model: self.model,
            architecture: self.architecture,
            restored: self.count(|ending| ending.became(Became::Restored)),
            without_a_face: self.count(|ending| ending.became(Became::WithoutAFace)),
            left_alone: self.count(|ending| ending.became(Became::LeftAlone)),
            kept: self.count(|ending| matches!(ending, Ending::Kept { .. })),
            failed: self.count(|ending| matches!(ending, Ending::Failed { .. })),
            passed_over: &self.passed_over,
            interrupted: album::is_stopped(),
            seconds: self.start.elapsed().as_secs_f64(),
            busy: (whole > 0.0).then(|| self.busy.working.as_secs_f64() / whole),
            pictures: std::mem::take(&mut self.pictures),
        }
    }

    /// Writes the report and the page that were asked for: both, even when one cannot be written.
    pub fn write(&mut self) -> Result<()> {
        let command = self.command;
        let report = self.report();
        let written = command.report.as_ref().map_or(Ok(()), |path| {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|error| Error::Internal(error.to_string()))?;
            write_text(path, &(text + "\n"))
        });
        let shown = (command.html.as_ref())
            .map_or(Ok(()), |path| write_text(path, &page::of(&report, path)?));
        self.pictures = report.pictures;
        match (written, shown) {
            (Err(error), Err(other)) => {
                print_error(&error);
                Err(other)
            }
            (written, shown) => written.and(shown),
        }
    }

    pub fn finish(mut self) -> Result<ExitCode> {
        self.bar.finish_and_clear();
        for (input, error) in std::mem::take(&mut self.unsettled) {
            self.tell(input, Err(error));
        }
        // What became of the pictures is said even when it cannot be written.
        let written = self.write();
        let command = self.command;
        let report = self.report();
        if command.json {
            print_json(&report)?;
        } else if !command.quiet && report.pictures.len() > 1 {
            let (counts, seconds) = (report.counts(), report.seconds);
            let devices = crew::described(&report.devices);
            print(&format!("{counts} in {seconds:.1} s on {devices}\n"))?;
        }
        if !command.quiet && !command.json && !report.passed_over.is_empty() {
            let count = report.passed_over.len();
            let files =
                if count == 1 { "file of another kind was" } else { "files of other kinds were" };
            let names = below::few(report.passed_over);
            print_note(&format!("{count} {files} passed over: {names}"));
        }
        written?;
        if report.interrupted && !command.watch {
            return Ok(ExitCode::from(album::INTERRUPTED));
        }
        Ok(exit_code(report.failed))
    }
}

impl Restore {
    /// Says what became of `input`, and keeps it for the report.
    fn tell(&self, bar: &ProgressBar, input: PathBuf, result: Result<Done>) -> Outcome {
        let result = match result {
            Ok(done) => {
                if !self.quiet && !self.json {
                    bar.suspend(|| {
                        // A closed pipe is noticed by the summary at the end.
                        let _ = print(&done.line(&input));
                        for note in &done.work.notes {
                            print_note(&format!("{}: {note}", input.display()));
                        }
                    });
                }
                Ending::Restored(done)
            }
            Err(error) => {
                let error = about(&input, &error);
                bar.suspend(|| print_error(&error));
                Ending::Failed { error }
            }
        };
        Outcome { input, result }
    }

    /// Keeps `outcome` for the report, when watching in the place of an earlier one of its input.
    fn keep(&self, pictures: &mut Vec<Outcome>, outcome: Outcome) {
        let before = self.watch.then(|| pictures.iter_mut().find(|p| p.input == outcome.input));
        match before.flatten() {
            Some(before) => *before = outcome,
            None => pictures.push(outcome),
        }
    }
}

/// Whether the file may still be copied.
fn is_young(path: &Path) -> bool {
    let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < SETTLED))
}
