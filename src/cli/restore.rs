//! `pentimento restore`

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use pentimento::{Engine, Error, Result};
use sha2::{Digest as _, Sha256};

use super::album::{self, Busy};
use super::faces::{FaceArgs, Worker};
use super::inputs::{self, Job, Jobs};
use super::journal::{Journal, Stamp};
use super::output::{about, exit_code, print, print_json, progress, write_text};
use super::report::{Done, Ending, FORMAT, Outcome, Report};
use super::{EngineArgs, film, model, page};

/// Restores pictures
///
/// With a face model (the default) the faces in every picture are found, restored and put back;
/// with --aligned every picture is taken for one face, cut out square, and the result has the size
/// of the network. With an upscaling model pictures may show anything, and the result is several
/// times as large. A folder of results remembers what it holds: a run that was broken off goes on
/// where it ended, and pictures that have not changed are not restored again.
///
/// JPEG, PNG, WebP, TIFF, BMP and PPM are read and written; pictures are turned upright; EXIF, colour
/// profiles, transparency, gray and 16 bits are kept where the format of the result can hold them.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Restore {
    /// Pictures, and folders with pictures; with --y4m one video, "-" for standard input
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,

    /// Where results go: a file for one picture, otherwise a folder, which is created. There every
    /// picture keeps its name. With --y4m a video, standard output by default.
    #[arg(short, long, value_name = "OUT", required_unless_present = "y4m")]
    output: Option<PathBuf>,

    /// Restore the frames of an uncompressed video (YUV4MPEG2)
    #[arg(long, conflicts_with_all = ["force", "watch", "json", "report", "html"])]
    y4m: bool,

    /// Model: a .safetensors or .pth file, the name of a model that was pulled, or "default" for
    /// weights/mmrbnet-256.safetensors, whose digest is checked. Without this, that of the
    /// environment variable PENTIMENTO_MODEL, or the default.
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,

    #[command(flatten)]
    assumptions: model::Assumptions,

    #[command(flatten)]
    faces: FaceArgs,

    #[command(flatten)]
    engine: EngineArgs,

    /// Restore what an earlier run has restored already, too.
    #[arg(long)]
    force: bool,

    /// When all is done, wait for further pictures in the folders, until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Print one JSON report instead of a line per picture.
    #[arg(long)]
    json: bool,

    /// Write the JSON report to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Write a page to this file that shows every picture before and after, with sliders
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Print nothing but errors.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  pentimento restore face.jpg -o restored.png
  pentimento restore album/ more/*.jpg -o restored/
  pentimento restore party.jpg -o large.png --scale 2 --background realesr-general-x4v3
  pentimento restore cut-out.png -o restored.png --aligned --device cpu
  pentimento restore street.jpg -o large.png --model realesr-general-x4v3.pth --memory 1GB
  ffmpeg -i old.mp4 -f yuv4mpegpipe - | pentimento restore --y4m - | ffmpeg -i - new.mp4
  pentimento restore frames/ -o restored/ --smooth 0.85
  pentimento restore scans/ -o restored/ --watch --html restored/index.html

Exit code: 0 when every picture was restored, 1 when one failed, 130 after Ctrl-C.";

/// How often the folders are looked at by `--watch`. A picture is taken when it has not changed
/// between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// A run while it goes on.
struct Run<'a> {
    start: Instant,
    command: &'a Restore,
    output: &'a Path,
    model: &'a Path,
    architecture: &'a str,
    engine: &'a Engine,
    worker: Worker,
    journal: Option<Journal>,
    bar: ProgressBar,
    busy: Busy,
    pictures: Vec<Outcome>,
    /// What was tried, as it was then, so that `--watch` does not try it again.
    tried: HashMap<PathBuf, Option<Stamp>>,
}

impl Restore {
    pub fn run(&self) -> Result<ExitCode> {
        // Only --y4m may leave it out.
        let output = self.output.as_deref().unwrap_or(Path::new("-"));
        if self.y4m {
            return self.film(output);
        }
        let start = Instant::now();
        let path = model::path(self.model.as_deref())?;
        let Jobs { jobs, failures, folder } = inputs::pair(&self.inputs, output)?;
        if self.watch && folder.is_none() {
            let what = "--watch needs folders: one to look at, and one for the results".to_owned();
            return Err(Error::Input(what));
        }
        let model = self.assumptions.open(&path)?;
        model::tell(&path, &model, self.quiet);
        let engine = self.engine.engine()?;
        let worker = self.faces.worker(&engine, &model)?;
        album::stop_gently()?;
        let journal = match &folder {
            Some(folder) => {
                inputs::create_folder(folder)?;
                Some(Journal::open(folder, &inputs::folders(&jobs), self.options(&path)?)?)
            }
            None => None,
        };
        let bar = progress(self.quiet, "{bar:30} {pos}/{len} {per_sec} {eta} left  {wide_msg}");
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut run = Run {
            start,
            command: self,
            output,
            model: &path,
            architecture: model.architecture(),
            engine: &engine,
            worker,
            journal,
            bar,
            busy: Busy::default(),
            pictures: Vec::new(),
            tried: HashMap::new(),
        };
        if !self.watch {
            for (input, error) in failures {
                run.tell(input, Err(error));
            }
        }
        run.restore(jobs)?;
        while self.watch && !album::is_stopped() {
            run.write()?;
            let jobs = run.wait()?;
            run.restore(jobs)?;
        }
        run.finish()
    }

    /// Restores a video.
    fn film(&self, output: &Path) -> Result<ExitCode> {
        let [input] = &self.inputs[..] else {
            return Err(Error::Input("--y4m takes one video".to_owned()));
        };
        let model = self.assumptions.open(&model::path(self.model.as_deref())?)?;
        let mut worker = self.faces.worker(&self.engine.engine()?, &model)?;
        worker.expect_film();
        album::stop_gently()?;
        let bar = progress(self.quiet, "{pos} frames {per_sec} {wide_msg}");
        bar.enable_steady_tick(Duration::from_millis(200));
        film::run(&mut worker, input, output, &bar)?;
        bar.finish_and_clear();
        let stopped = album::is_stopped();
        Ok(if stopped { ExitCode::from(album::INTERRUPTED) } else { ExitCode::SUCCESS })
    }

    /// What results depend on besides their input: the version, the files of all networks, and
    /// every option; as a digest.
    fn options(&self, model: &Path) -> Result<String> {
        let mut files = self.faces.files()?;
        files.push(model.to_owned());
        let files: Vec<_> = files.iter().map(|path| (path, Stamp::of(path))).collect();
        let (version, Self { assumptions, faces, engine, .. }) = (env!("CARGO_PKG_VERSION"), self);
        let all = format!("{version} {FORMAT} {files:?} {assumptions:?} {faces:?} {engine:?}");
        Ok(Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Run<'_> {
    /// Restores `jobs`, without those that are done.
    fn restore(&mut self, jobs: Vec<Job>) -> Result<()> {
        let mut open = Vec::new();
        for job in jobs {
            self.tried.insert(job.input.clone(), Stamp::of(&job.input));
            let again = self.command.force || self.command.faces.is_film();
            let known = self.journal.as_ref().filter(|_| !again);
            match known.and_then(|journal| journal.done(&job)) {
                Some(done) => {
                    let result = Ending::Kept { kept: true, done: done.clone() };
                    self.pictures.push(Outcome { input: job.input, result });
                }
                None => open.push(job),
            }
        }
        self.bar.set_length((self.bar.position() + open.len() as u64).max(1));
        let (command, bar) = (self.command, self.bar.clone());
        let pictures = &mut self.pictures;
        let busy = album::run(
            &mut self.worker,
            open,
            self.journal.as_mut(),
            &self.bar,
            self.start,
            |input, result| pictures.push(command.tell(&bar, input, result)),
        )?;
        self.busy.working += busy.working;
        self.busy.whole += busy.whole;
        Ok(())
    }

    fn tell(&mut self, input: PathBuf, result: Result<Done>) {
        self.pictures.push(self.command.tell(&self.bar, input, result));
    }

    /// Waits for pictures that are new or have changed, and then have not changed for a moment.
    fn wait(&mut self) -> Result<Vec<Job>> {
        self.bar.set_message("waiting for pictures");
        let mut last: HashMap<PathBuf, Option<Stamp>> = HashMap::new();
        while !album::is_stopped() {
            // Folders without pictures are what is waited for.
            let Jobs { mut jobs, .. } = inputs::pair(&self.command.inputs, self.output)?;
            let now: HashMap<PathBuf, Option<Stamp>> =
                jobs.iter().map(|job| (job.input.clone(), Stamp::of(&job.input))).collect();
            jobs.retain(|Job { input, .. }| {
                let stamp = &now[input];
                stamp.is_some()
                    && self.tried.get(input) != Some(stamp)
                    && last.get(input) == Some(stamp)
            });
            if !jobs.is_empty() {
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
            device: self.engine.device(),
            model: self.model,
            architecture: self.architecture,
            restored: self.count(|ending| matches!(ending, Ending::Restored(_))),
            kept: self.count(|ending| matches!(ending, Ending::Kept { .. })),
            failed: self.count(|ending| matches!(ending, Ending::Failed { .. })),
            interrupted: album::is_stopped(),
            seconds: self.start.elapsed().as_secs_f64(),
            busy: (whole > 0.0).then(|| self.busy.working.as_secs_f64() / whole),
            pictures: std::mem::take(&mut self.pictures),
        }
    }

    /// Writes the report and the page that were asked for.
    fn write(&mut self) -> Result<()> {
        let command = self.command;
        let report = self.report();
        if let Some(path) = &command.report {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|error| Error::Internal(error.to_string()))?;
            write_text(path, &(text + "\n"))?;
        }
        if let Some(path) = &command.html {
            write_text(path, &page::of(&report, path)?)?;
        }
        self.pictures = report.pictures;
        Ok(())
    }

    fn finish(mut self) -> Result<ExitCode> {
        self.bar.finish_and_clear();
        self.write()?;
        let command = self.command;
        let report = self.report();
        if command.json {
            print_json(&report)?;
        } else if !command.quiet && report.pictures.len() > 1 {
            let Report { restored, kept, failed, seconds, .. } = report;
            let name = &report.device.name;
            let some = |n: usize, what: &str| {
                if n == 0 { String::new() } else { format!(", {n} {what}") }
            };
            let (kept, failed) = (some(kept, "already there"), some(failed, "failed"));
            print(&format!("{restored} restored{kept}{failed} in {seconds:.1} s on {name}\n"))?;
        }
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
                            eprintln!("note: {}: {note}", input.display());
                        }
                    });
                }
                Ending::Restored(done)
            }
            Err(error) => {
                let error = about(&input, &error);
                bar.suspend(|| eprintln!("error: {error}"));
                Ending::Failed { error }
            }
        };
        Outcome { input, result }
    }
}
