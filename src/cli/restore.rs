//! `pentimento restore`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use pentimento::photo::{self, Format, Work};
use pentimento::{DeviceInfo, Result};
use serde::Serialize;

use super::faces::{FaceArgs, Finished, Worker};
use super::inputs::{self, Job, Jobs};
use super::output::{about, exit_code, print, print_json, progress};
use super::{EngineArgs, model};

/// Restores pictures
///
/// With a face model (the default) the faces in every picture are found, restored and put back;
/// with --aligned every picture is taken for one face, cut out square, and the result has the size
/// of the network. With an upscaling model pictures may show anything, and the result is several
/// times as large. JPEG, PNG, WebP, TIFF, BMP and PPM are read and written; pictures are turned
/// upright, colour profiles and transparency are kept.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Restore {
    /// Pictures, and folders with pictures
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,

    /// Where results go: a file for one picture, otherwise a folder, which is created. There every
    /// picture keeps its name.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Model: a .safetensors or .pth file, or the name of a model that was pulled. Without this,
    /// that of the environment variable PENTIMENTO_MODEL, or weights/mmrbnet-256.safetensors.
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,

    #[command(flatten)]
    assumptions: model::Assumptions,

    #[command(flatten)]
    faces: FaceArgs,

    #[command(flatten)]
    engine: EngineArgs,

    /// Print one JSON report instead of a line per picture.
    #[arg(long)]
    json: bool,

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
  pentimento restore street.jpg -o large.png --model realesr-general-x4v3.pth --memory 1GB";

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    device: &'a DeviceInfo,
    model: &'a Path,
    architecture: &'a str,
    restored: usize,
    failed: usize,
    seconds: f64,
    pictures: Vec<Outcome>,
}

/// What became of one input.
#[derive(Serialize)]
struct Outcome {
    input: PathBuf,
    #[serde(flatten)]
    result: Ending,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Ending {
    Restored(Done),
    Failed { error: String },
}

#[derive(Serialize)]
struct Done {
    output: PathBuf,
    /// Height and width.
    input_size: [usize; 2],
    output_size: [usize; 2],
    #[serde(flatten)]
    work: Work,
    /// What became of every face, where they were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    faces: Option<Vec<photo::Outcome>>,
    seconds: Seconds,
}

#[derive(Serialize)]
struct Seconds {
    read: f64,
    /// With the setup of the network, when it has not run at this size before.
    restore: f64,
    write: f64,
}

impl Restore {
    pub fn run(&self) -> Result<ExitCode> {
        let start = Instant::now();
        let path = model::path(self.model.as_deref())?;
        let Jobs { jobs, failures } = inputs::pair(&self.inputs, &self.output)?;
        let model = self.assumptions.open(&path)?;
        let engine = self.engine.engine()?;
        let mut worker = self.faces.worker(&engine, &model)?;
        inputs::create_folders(&jobs)?;

        let bar = progress(self.quiet, "{bar:30} {pos}/{len} {eta} {wide_msg}");
        bar.set_length(jobs.len() as u64);
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut pictures = Vec::new();
        for (input, error) in failures {
            pictures.push(self.tell(&bar, input, Err(error)));
        }
        for Job { input, output } in jobs {
            bar.set_message(input.display().to_string());
            let result = restore(&mut worker, &input, output);
            pictures.push(self.tell(&bar, input, result));
            bar.inc(1);
        }
        bar.finish_and_clear();

        let failed = pictures.iter().filter(|p| matches!(p.result, Ending::Failed { .. })).count();
        let restored = pictures.len() - failed;
        let seconds = start.elapsed().as_secs_f64();
        let device = engine.device();
        if self.json {
            print_json(&Report {
                version: env!("CARGO_PKG_VERSION"),
                device,
                model: &path,
                architecture: model.architecture(),
                restored,
                failed,
                seconds,
                pictures,
            })?;
        } else if !self.quiet && pictures.len() > 1 {
            let name = &device.name;
            let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
            print(&format!("{restored} restored{failed} in {seconds:.1} s on {name}\n"))?;
        }
        Ok(exit_code(failed))
    }

    /// Says what became of `input`, and keeps it for the report.
    fn tell(&self, bar: &ProgressBar, input: PathBuf, result: Result<Done>) -> Outcome {
        let result = match result {
            Ok(done) => {
                if !self.quiet && !self.json {
                    bar.suspend(|| done.print(&input));
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

impl Done {
    fn print(&self, input: &Path) {
        let [height, width] = self.output_size;
        let seconds = self.seconds.read + self.seconds.restore + self.seconds.write;
        let (input, output) = (input.display(), self.output.display());
        // A closed pipe is noticed by the summary at the end.
        let faces = self.faces.as_ref().map_or_else(String::new, |faces| {
            let restored = faces.iter().filter(|face| face.left.is_none()).count();
            match (restored, faces.len()) {
                (_, 0) => ", no face".to_owned(),
                (1, 1) => ", 1 face".to_owned(),
                (restored, all) if restored == all => format!(", {all} faces"),
                (restored, all) => format!(", {restored} of {all} faces"),
            }
        });
        let _ = print(&format!("{input} -> {output}  {width}x{height}{faces}, {seconds:.2} s\n"));
        for note in &self.work.notes {
            eprintln!("note: {input}: {note}");
        }
    }
}

fn restore(worker: &mut Worker, input: &Path, output: PathBuf) -> Result<Done> {
    let start = Instant::now();
    let picture = photo::read(input)?;
    let [height, width] = worker.output_size(picture.height, picture.width)?;
    Format::of(&output)?.check_size(&output, height, width)?;
    let read = start.elapsed();
    let Finished { picture: restored, work, faces } = worker.restore(input, &picture)?;
    let computed = start.elapsed();
    photo::write(&restored, &output)?;
    let seconds = Seconds {
        read: read.as_secs_f64(),
        restore: (computed - read).as_secs_f64(),
        write: (start.elapsed() - computed).as_secs_f64(),
    };
    let input_size = [picture.height, picture.width];
    Ok(Done { output, input_size, output_size: [height, width], work, faces, seconds })
}
