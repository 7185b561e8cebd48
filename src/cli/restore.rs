//! `pentimento restore`

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use pentimento::photo::{Batch, Encoding, ReadOptions};
use pentimento::{DeviceInfo, Engine, Error, Model, Result};
use sha2::{Digest as _, Sha256};

use super::album::{self, Busy, Rules, Shared};
use super::crew::Seat;
use super::faces::FaceArgs;
use super::inputs::{self, Job, Jobs};
use super::journal::{self, Journal, Stamp};
use super::output::{print, print_note, progress, shown, tick};
use super::report::{FORMAT, Report};
use super::run::Run;
use super::{EngineArgs, film, model, movie, page, target, value};

/// Restores pictures
///
/// With a face model (the default) the faces in every picture are found, restored and put back;
/// with --aligned every picture is taken for one face, cut out square, and the result has the size
/// of the network. With an upscaling model pictures may show anything, and the result is several
/// times as large. A folder of results remembers what it holds: a run that was broken off goes on
/// where it ended, and pictures that have not changed are not restored again.
///
/// JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP and PPM are read and written, with all pages and frames;
/// HEIC and JPEG XL are read. Pictures are turned upright. EXIF, colour profiles, transparency, gray
/// and 16 bits are kept where the format of the result can hold them.
/// Films are restored where ffmpeg is installed: sound, subtitles, chapters and times stay as they
/// are.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Restore {
    /// Pictures, and folders with pictures; with --y4m one video, "-" for standard input
    #[arg(value_name = "IN", required = true)]
    pub inputs: Vec<PathBuf>,

    /// Where results go: a file for one picture, otherwise a folder, which is created. There every
    /// picture keeps its name. With --y4m a video, standard output by default.
    #[arg(short, long, value_name = "OUT", required_unless_present = "y4m")]
    output: Option<PathBuf>,

    /// Restore the frames of an uncompressed video (YUV4MPEG2)
    #[arg(long, conflicts_with_all = ["watch", "json", "report", "html"])]
    y4m: bool,

    /// Model: a .safetensors or .pth file, the name of a model that was pulled, or "default" for
    /// weights/mmrbnet-256.safetensors, whose digest is checked. Without this, that of the
    /// environment variable PENTIMENTO_MODEL, or the default.
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// Encoder of films, by ffmpeg's name. Without this libx264, for more than 8 bits libx265, for
    /// .webm libvpx-vp9.
    #[arg(long, value_name = "CODEC", help_heading = "Films")]
    video_codec: Option<String>,

    /// Constant quality of films in the encoder's own scale, less is better. Without this what can
    /// hardly be told from the frames: 17 of libx264, 19 of libx265, 24 of libvpx-vp9.
    #[arg(long, value_name = "NUMBER", help_heading = "Films")]
    crf: Option<u32>,

    #[command(flatten)]
    pub assumptions: model::Assumptions,

    #[command(flatten)]
    pub faces: FaceArgs,

    /// How many faces the network takes at a time, of one photo or of several: a number, or "auto", by
    /// what keeps the device busy. Results are the same.
    #[arg(long, value_name = "N", value_parser = value::batch, default_value = "auto",
          help_heading = "Faces")]
    pub batch: Batch,

    #[command(flatten)]
    engine: EngineArgs,

    /// Restore what an earlier run has restored already, too, and replace files that are not results
    #[arg(long)]
    pub force: bool,

    /// Restore damaged JPEG and TIFF files, too, as far as they can be read; the rest is gray or black
    #[arg(long)]
    salvage: bool,

    /// Of a file of several pages or frames, restore this one alone, from 1. Without this, all of
    /// them are restored: pages to TIFF, frames to GIF, PNG or WebP.
    #[arg(long, value_name = "NUMBER", value_parser = value::page)]
    pub page: Option<usize>,

    /// Quality of JPEG, WebP and AVIF results, 1 to 100. Without this a JPEG or lossy WebP has that of
    /// its input of the same format, but at least 75. Otherwise a JPEG has 95, an AVIF 90, and a WebP
    /// is lossless.
    #[arg(long, value_name = "QUALITY", value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: Option<u8>,

    /// What transparent pixels are laid on where the format of the result holds no transparency:
    /// "white", "black", "gray", or a colour such as "#f0e8d0"
    #[arg(long, value_name = "COLOUR", value_parser = value::colour, default_value = "white")]
    matte: [u8; 3],

    /// Give a picture up that takes longer than this to be read, or to be written
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..),
          default_value_t = 600)]
    patience: u64,

    /// When all is done, wait for further pictures in the folders, until Ctrl-C
    #[arg(long)]
    pub watch: bool,

    /// Print one JSON report instead of a line per picture.
    #[arg(long)]
    pub json: bool,

    /// Write the JSON report to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Write a page to this file that shows every picture before and after, with sliders
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Print nothing but errors.
    #[arg(short, long)]
    pub quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  pentimento restore face.jpg -o restored.png
  pentimento restore album/ more/*.jpg -o restored/
  pentimento restore party.jpg -o large.png --scale 2 --background realesr-general-x4v3
  pentimento restore cut-out.png -o restored.png --aligned --device cpu
  pentimento restore street.jpg -o large.png --model realesr-general-x4v3.pth --memory 1GB
  pentimento restore old.mp4 -o new.mp4
  ffmpeg -i old.mp4 -f yuv4mpegpipe - | pentimento restore --y4m - | ffmpeg -i - new.mp4
  pentimento restore frames/ -o restored/ --smooth 0.85
  pentimento restore scans/ -o restored/ --watch --html restored/index.html

Exit code: 0 when every picture was restored, 1 when one failed, 130 after Ctrl-C.";

impl Restore {
    pub fn run(&self) -> Result<ExitCode> {
        // Only --y4m may leave it out.
        let output = self.output.as_deref().unwrap_or(Path::new("-"));
        if self.y4m {
            return self.film(output);
        }
        if let Some(input) = self.inputs.iter().find(|path| movie::is_film(path) && !path.is_dir())
        {
            return self.movie(input, output);
        }
        if self
            .inputs
            .iter()
            .map(PathBuf::as_path)
            .chain([output])
            .any(|path| path.as_os_str() == "-")
        {
            let what =
                "pictures are read from files and written to files; - is for videos with --y4m";
            return Err(Error::Input(what.to_owned()));
        }
        let start = Instant::now();
        let path = model::path(self.model.as_deref())?;
        let Jobs { jobs, failures, folder, passed_over, results } =
            inputs::pair(&self.inputs, output)?;
        self.make_folders_of_reports(&inputs::folders(&jobs))?;
        self.check_reports(&jobs, folder.as_deref(), &path)?;
        if self.watch && folder.is_none() {
            let what = "--watch needs folders: one to look at, and one for the results".to_owned();
            return Err(Error::Input(what));
        }
        let model = self.assumptions.open(&path)?;
        model::tell(&path, &model, self.quiet);
        let crew = self.crew(&model)?;
        album::stop_gently()?;
        let journal = match &folder {
            Some(folder) => {
                inputs::create_folder(folder)?;
                Some(Journal::open(folder, &inputs::folders(&jobs), self.options(&path)?)?)
            }
            None => None,
        };
        let bar = progress(self.quiet, "{bar:30} {pos}/{len} {per_sec} {eta} left  {wide_msg}");
        tick(&bar);
        let mut run = Run {
            start,
            command: self,
            output,
            model: &path,
            architecture: model.architecture(),
            crew,
            journal: Shared::new(journal),
            rules: self.rules(),
            bar,
            busy: Busy::default(),
            pictures: Vec::new(),
            passed_over,
            tried: HashMap::new(),
            unsettled: HashMap::new(),
        };
        for (input, error) in failures {
            // Folders without pictures are what is waited for.
            if !self.watch || !input.is_dir() {
                run.tried.insert(input.clone(), Stamp::of(&input));
                run.tell(input, Err(error));
            }
        }
        if results > 0 && !self.quiet {
            let what = if results == 1 { "1 file is a result" } else { "files are results" };
            let count = if results == 1 { String::new() } else { format!("{results} ") };
            print_note(&format!("{count}{what} of an earlier run, and not restored again"));
        }
        run.restore(jobs)?;
        while self.watch && !album::is_stopped() {
            run.write()?;
            let jobs = run.wait()?;
            run.restore(jobs)?;
        }
        run.finish()
    }

    /// Every device that is asked for, with a worker of its own.
    fn crew(&self, model: &Model) -> Result<Vec<Seat>> {
        let engines = self.engine.engines()?;
        if engines.len() > 1 && self.faces.is_film() {
            let what = "--smooth follows faces from frame to frame on one device; name one with \
                        --device";
            return Err(Error::Input(what.to_owned()));
        }
        let seat = |(device, engine): (String, Engine)| {
            let DeviceInfo { name, kind, .. } = engine.device();
            let spare = self.engine.options().cpu_instead().filter(|_| kind != "cpu");
            match (self.faces.worker(&engine, model, self.batch), spare) {
                (Err(why @ (Error::DeviceLost(_) | Error::Device(_))), Some(spare)) => {
                    print_note(&format!("{name}: {why}; the CPU computes instead"));
                    let engine = Engine::new(&spare)?;
                    let worker = self.faces.worker(&engine, model, self.batch)?;
                    Ok(Seat::new(device, engine, worker, None))
                }
                (worker, spare) => Ok(Seat::new(device, engine, worker?, spare)),
            }
        };
        engines.into_iter().map(seat).collect()
    }

    fn rules(&self) -> Rules {
        let Self { force, patience, quality, matte, salvage, page, .. } = *self;
        let encoding = Encoding { quality, matte };
        let reading = ReadOptions { salvage };
        Rules { force, patience: Duration::from_secs(patience), encoding, reading, page }
    }

    /// Says before the work that the report, or the page, cannot be written, or would replace
    /// something that this run reads or writes.
    fn check_reports(&self, jobs: &[Job], folder: Option<&Path>, model: &Path) -> Result<()> {
        let journal = folder.map(|folder| folder.join(journal::NAME));
        let inputs = jobs.iter().map(|job| (job.input.as_path(), "an input"));
        let results = jobs.iter().map(|job| (job.output.as_path(), "a result"));
        let given = self.faces.given().chain([model]).map(|path| (path, "a model or list"));
        let mut others: Vec<_> = inputs.chain(results).chain(given).collect();
        others.extend(journal.iter().map(|path| (path.as_path(), "the journal")));
        if let Some(page) = &self.html {
            target::check_apart(page, &others)?;
            others.push((page, "the page"));
        }
        if let Some(report) = &self.report {
            target::check_apart(report, &others)?;
        }
        for (path, begin) in [(&self.report, Report::BEGIN), (&self.html, page::BEGIN)] {
            if let Some(path) = path {
                target::check_report(path, begin.as_bytes(), self.force)?;
            }
        }
        Ok(())
    }

    /// Makes the folders of results that the report, or the page, will lie in.
    fn make_folders_of_reports(&self, results: &[PathBuf]) -> Result<()> {
        let parents = [&self.report, &self.html].into_iter().flatten().filter_map(|p| p.parent());
        parents
            .filter(|parent| results.iter().any(|folder| folder == parent))
            .try_for_each(inputs::create_folder)
    }

    /// Restores a video.
    fn film(&self, output: &Path) -> Result<ExitCode> {
        let [input] = &self.inputs[..] else {
            return Err(Error::Input("--y4m takes one video".to_owned()));
        };
        let place = film::check(input, output, self.force)?;
        let model = self.assumptions.open(&model::path(self.model.as_deref())?)?;
        let mut worker = self.faces.film_worker(&self.engine.engine()?, &model, self.batch)?;
        album::stop_gently()?;
        let bar = progress(self.quiet, "{pos} frames {per_sec} {wide_msg}");
        tick(&bar);
        film::run(&mut worker, input, output, place, &bar)?;
        bar.finish_and_clear();
        if let Some(note) = place.note() {
            print_note(&note);
        }
        let stopped = album::is_stopped();
        Ok(if stopped { ExitCode::from(album::INTERRUPTED) } else { ExitCode::SUCCESS })
    }

    /// Restores a film.
    fn movie(&self, input: &Path, output: &Path) -> Result<ExitCode> {
        let refuse = |what: &str| Err(Error::Input(what.to_owned()));
        if self.inputs.len() > 1 {
            return refuse("films are restored one at a time, without pictures beside them");
        }
        if self.watch || self.json || self.report.is_some() || self.html.is_some() {
            return refuse("--watch, --json, --report and --html are for pictures, not for films");
        }
        let output = match input.file_name() {
            Some(name) if output.is_dir() || inputs::ends_with_separator(output) => {
                inputs::create_folder(output)?;
                output.join(name)
            }
            _ => output.to_owned(),
        };
        let start = Instant::now();
        let path = model::path(self.model.as_deref())?;
        let model = self.assumptions.open(&path)?;
        let mut worker = self.faces.film_worker(&self.engine.engine()?, &model, self.batch)?;
        album::stop_gently()?;
        let bar =
            progress(self.quiet, "{bar:30} {pos}/{len} frames {per_sec} {eta} left  {wide_msg}");
        tick(&bar);
        let digest = self.options(&path)?;
        let (codec, crf) = (self.video_codec.as_deref(), self.crf);
        let options = movie::Options { codec, crf, force: self.force, digest: &digest };
        let restored = movie::run(&mut worker, [input, &output], &options, &bar);
        bar.finish_and_clear();
        let movie::Restored { frames, kept, all, notes } = restored?;
        let stopped = album::is_stopped();
        if !self.quiet {
            let (from, to) = (shown(input), shown(&output));
            let seconds = start.elapsed().as_secs_f64();
            let before = match kept {
                0 => String::new(),
                kept => format!(", {kept} of them by an earlier run"),
            };
            print(&format!("{from} -> {to}  {frames} frames{before}, {seconds:.1} s\n"))?;
            for note in notes {
                print_note(&format!("{from}: {note}"));
            }
        }
        if stopped {
            print_note(&format!(
                "stopped: {} holds {frames} of {all} frames; the same command goes on",
                shown(&output)
            ));
            return Ok(ExitCode::from(album::INTERRUPTED));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What results depend on besides their input: the version, the files of all networks, and
    /// every option; as a digest.
    fn options(&self, model: &Path) -> Result<String> {
        let mut files = self.faces.files()?;
        files.push(model.to_owned());
        let files: Vec<_> = files.iter().map(|path| (path, Stamp::of(path))).collect();
        let Rules { encoding, reading, page, .. } = self.rules();
        let version = env!("CARGO_PKG_VERSION");
        let Self { assumptions, faces, engine, .. } = self;
        let all = format!(
            "{version} {FORMAT} {files:?} {assumptions:?} {faces:?} {engine:?} {encoding:?} \
             {reading:?} {page:?}"
        );
        Ok(Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
