//! `pentimento convert`

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use indicatif::ProgressBar;
use pentimento::checkpoint::Checkpoint;
use pentimento::{Error, Model, Result};
use pentimento_convert::{
    Contents, Convert as Conversion, Element, Format, Kept, Limits, Options, Recognition, Report,
    Source,
};

use super::album::INTERRUPTED;
use super::inputs::{Job, create_folders, ends_with_separator};
use super::output::{
    about, bytes, exit_code, one_line, print, print_error, print_note, progress, shown,
};
use super::value;

/// Converts checkpoints of PyTorch, ONNX and ncnn models to safetensors
///
/// Nothing in a checkpoint is executed: it is read as data, and refused when it asks Python for
/// anything but tensors. Optimizer state and the like are left out. The result holds the tensors
/// bit for bit, is memory-mapped by `pentimento restore`, and names the architecture in its metadata.
///
/// ONNX and ncnn models have no names of tensors: their network is recognised by what it computes,
/// step by step, and refused where it differs from the ones that are known.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Convert {
    /// Checkpoints: .pth, .pt or .ckpt files of PyTorch, .safetensors files, folders or indices
    /// (.index.json) of those in several files, .onnx files, and .param files of ncnn with the .bin
    /// file beside them
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,

    /// Where results go: a file for one checkpoint, otherwise a folder, which is created. Without
    /// this, beside each input, under its name with the extension .safetensors.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// Type of the floating-point numbers: f32, f16 or keep. Tensors that f16 would damage stay f32
    /// and are named.
    #[arg(long, value_name = "TYPE", value_parser = value::element, default_value = "keep")]
    dtype: Element,

    /// Entry of the checkpoint that holds the weights, such as "params", as --list shows them: with
    /// "/" between entries that lie in each other, and "generator." for those tensors whose names
    /// begin so. Without this, the smoothed ones, if there are any.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,

    /// Architecture to write to the metadata, where it is not recognised
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,

    /// Drop objects that are not tensors, such as a training program's options, instead of refusing
    /// the file. They are not executed either.
    #[arg(long)]
    skip_unknown: bool,

    /// Leave out tensors of this name, in which * stands for any text, because they serve the
    /// training alone. May be given several times.
    #[arg(long, value_name = "PATTERN")]
    drop: Vec<String>,

    /// Read a file that takes 64 times what one from the internet may take: for files of your own
    #[arg(long)]
    trust: bool,

    /// Read a damaged zip file as it is, without comparing its checksums
    #[arg(long)]
    no_checksums: bool,

    /// Replace outputs that are there already
    #[arg(short, long)]
    force: bool,

    /// Say what the checkpoints hold and write nothing
    #[arg(long)]
    list: bool,

    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  pentimento convert GFPGANv1.4.pth                   writes GFPGANv1.4.safetensors
  pentimento convert *.pth -o models/ --dtype f16
  pentimento convert 550000.pt -o faces.safetensors --key g_ema --skip-unknown
  pentimento convert x4plus.param                     with x4plus.bin beside it
  pentimento convert gfpgan_1.4.onnx
  pentimento convert model.pth --list";

impl Convert {
    pub fn run(&self) -> Result<ExitCode> {
        let mut failures = 0;
        if self.list {
            for input in &self.inputs {
                match self.list(input) {
                    Ok(text) => print(&text)?,
                    Err(error) => failures += fail(input, &error),
                }
            }
            return Ok(exit_code(failures));
        }
        let jobs = pair(&self.inputs, self.output.as_deref())?;
        create_folders(&jobs)?;
        stop_cleanly();
        for Job { input, output } in &jobs {
            let start = Instant::now();
            let bar = progress(self.quiet, "{bar:30} {bytes}/{total_bytes} {eta} {wide_msg}");
            bar.set_message(input.display().to_string());
            let result = self.convert(input, output, &bar);
            bar.finish_and_clear();
            match result {
                Ok(report) if !self.quiet => {
                    tell(input, output, &report, start.elapsed().as_secs_f64())?;
                }
                Ok(_) => {}
                Err(pentimento_convert::Error::Cancelled) => {
                    eprintln!("stopped; nothing was written of {}", shown(input));
                    return Ok(ExitCode::from(INTERRUPTED));
                }
                Err(error) => failures += fail(input, &error),
            }
        }
        Ok(exit_code(failures))
    }

    fn options(&self) -> Options {
        Options {
            key: self.key.clone(),
            skip_unknown: self.skip_unknown,
            verify_checksums: !self.no_checksums,
            limits: if self.trust { Limits::of_a_trusted_file() } else { Limits::default() },
            ..Options::default()
        }
    }

    fn convert(
        &self,
        input: &Path,
        output: &Path,
        bar: &ProgressBar,
    ) -> pentimento_convert::Result<Report> {
        let recognise = |source: &mut Source| recognise(input, source);
        let conversion = Conversion {
            options: self.options(),
            element: self.dtype,
            recognise: Some(&recognise),
            architecture: self.arch.clone(),
            overwrite: self.force,
            leave_out: self.drop.clone(),
            cancelled: Some(&STOPPED),
        };
        pentimento_convert::convert(input, output, &conversion, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
    }

    fn list(&self, input: &Path) -> pentimento_convert::Result<String> {
        let mut source = Source::open(input, &self.options())?;
        source
            .leave_out(|name| self.drop.iter().any(|drop| pentimento_convert::matches(drop, name)));
        let recognition = recognise(input, &mut source);
        Ok(listing(input, source.contents(), recognition))
    }
}

/// Converts `input` to `output` with every type kept, replacing what is there.
///
/// # Errors
/// [`Error::Checkpoint`] says why `input` cannot be converted.
pub fn to_safetensors(input: &Path, output: &Path) -> Result<()> {
    let recognise = |source: &mut Source| recognise(input, source);
    let conversion = Conversion {
        // A published checkpoint may carry its training program's options.
        options: Options { skip_unknown: true, ..Options::default() },
        element: Element::Keep,
        recognise: Some(&recognise),
        architecture: None,
        overwrite: true,
        leave_out: Vec::new(),
        cancelled: None,
    };
    pentimento_convert::convert(input, output, &conversion, &mut |_, _| {})
        .map(|_| ())
        .map_err(|error| Error::Checkpoint { path: input.to_owned(), what: error.to_string() })
}

/// Pairs every input with its output.
///
/// # Errors
/// When two inputs would have one output.
fn pair(inputs: &[PathBuf], output: Option<&Path>) -> Result<Vec<Job>> {
    let into_folder = output.filter(|o| inputs.len() > 1 || o.is_dir() || ends_with_separator(o));
    let mut taken: HashMap<PathBuf, &Path> = HashMap::new();
    let mut jobs = Vec::new();
    for input in inputs {
        let output = match (into_folder, output) {
            (None, Some(file)) => file.to_owned(),
            (None, None) => renamed(input),
            (Some(folder), _) => {
                let name = renamed(input).file_name().map(PathBuf::from).unwrap_or_default();
                folder.join(name)
            }
        };
        if let Some(other) = taken.insert(output.clone(), input) {
            let (one, two) = (other.display(), input.display());
            let what = format!("both {one} and {two} would be written there; name outputs with -o");
            return Err(Error::Checkpoint { path: output, what });
        }
        jobs.push(Job { input: input.clone(), output });
    }
    Ok(jobs)
}

/// `model.pth` → `model.safetensors`, `shards/` → `shards.safetensors`
fn renamed(input: &Path) -> PathBuf {
    // A folder's name may have dots that begin no extension.
    let name = match input.file_name() {
        Some(name) if input.is_dir() => format!("{}.safetensors", name.to_string_lossy()).into(),
        _ => input.with_extension("safetensors"),
    };
    input.with_file_name(name.file_name().unwrap_or_default())
}

/// Whether the user has asked to stop.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C, or the signal to terminate, ends a conversion, whose temporary file goes with
/// it; a second one ends the program.
fn stop_cleanly() {
    let set = ctrlc::set_handler(|| {
        if STOPPED.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    });
    // Refused where a handler is set already, or by the system: then the program ends at once.
    drop(set);
}

/// The engine's own recogniser, which builds the network: a name that it gives is one that runs.
fn recognise(input: &Path, source: &mut Source) -> Result<Recognition, String> {
    let model = Checkpoint::from_source(source, input)
        .and_then(|checkpoint| Model::from_checkpoint(checkpoint, &Default::default()));
    let info = model.map_err(|e| e.to_string())?.info();
    let parameters = info.parameters.into_iter();
    Ok(Recognition {
        architecture: info.architecture.to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}

/// Says what went wrong; one failure.
fn fail(input: &Path, error: &pentimento_convert::Error) -> usize {
    print_error(&about(input, error));
    1
}

/// Says what was done, and what a person should know of it.
fn tell(input: &Path, output: &Path, report: &Report, seconds: f64) -> Result<()> {
    let architecture = match &report.recognition {
        Some(Ok(recognition)) => &recognition.architecture,
        _ => "unknown architecture",
    };
    print(&format!(
        "{} -> {}  {architecture}, {} tensors, {}, {seconds:.2} s\n",
        input.display(),
        output.display(),
        report.tensors,
        bytes(usize::try_from(report.bytes).unwrap_or(usize::MAX)),
    ))?;
    let name = input.display();
    let mut notes = choices(report.container.as_deref(), &report.candidates, &report.stripped);
    if !report.dropped.is_empty() {
        notes.push(format!("left out {}", few(&report.dropped)));
    }
    if report.flushed > 0 {
        notes.push(format!("{} values were too small for f16 and became 0", report.flushed));
    }
    for Kept { name, dtype, overflowed, flushed, error } in &report.kept {
        notes.push(format!(
            "{name} stays {dtype}: {overflowed} values would overflow, {flushed} become 0, the \
             rest change by {error:.1e} of their norm"
        ));
    }
    for note in notes {
        print_note(&format!("{name}: {note}"));
    }
    if let Some(Err(reason)) = &report.recognition {
        let of =
            if reason.contains(&name.to_string()) { String::new() } else { format!("{name}: ") };
        eprintln!(
            "warning: the engine cannot run this yet: {}",
            one_line(&format!("{of}{reason}"))
        );
    }
    Ok(())
}

/// What was chosen where the file left a choice.
fn choices(container: Option<&str>, candidates: &[String], stripped: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    let others: Vec<String> = candidates
        .iter()
        .filter(|name| *name != container.unwrap_or_default())
        .map(|name| format!("--key \"{}\"", escaped(name)))
        .collect();
    if !others.is_empty() {
        let taken = container.map_or("the top level".to_owned(), escaped);
        notes.push(format!("took {taken}; others with {}", few(&others)));
    }
    if !stripped.is_empty() {
        notes.push(format!("names without {}", stripped.join("")));
    }
    notes
}

/// Texts of a file may hold what a terminal would obey.
fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

/// `a, b, c and 7 more`
fn few(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = items.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match items.len() {
        0..=SHOWN => shown,
        n => format!("{shown} and {} more", n - SHOWN),
    }
}

/// What `--list` prints of a checkpoint.
fn listing(input: &Path, contents: &Contents, recognition: Result<Recognition, String>) -> String {
    let mut text = format!("{}\n", input.display());
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:14}{value}");
    };
    row(
        "format",
        match contents.format {
            Format::Zip => "PyTorch, zip",
            Format::Legacy => "PyTorch, before 1.6",
            Format::Safetensors => "safetensors",
            Format::Onnx => "ONNX, recognised by its structure",
            Format::Ncnn => "ncnn, recognised by its structure",
        },
    );
    let container = contents.container.as_deref();
    row("weights", &container.map_or("at the top level".to_owned(), escaped));
    for note in choices(container, &contents.candidates, &contents.stripped) {
        row("", &note);
    }
    match recognition {
        Ok(Recognition { architecture, parameters }) => {
            row("architecture", &architecture);
            for (name, value) in parameters {
                row("", &format!("{name}: {value}"));
            }
        }
        Err(reason) => row("architecture", &format!("unknown: {reason}")),
    }
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for tensor in &contents.tensors {
        *types.entry(tensor.dtype.name()).or_default() += tensor.numel();
    }
    let types: Vec<String> = types.iter().map(|(name, n)| format!("{n} {name}")).collect();
    row("values", &types.join(" + "));
    for dropped in &contents.dropped {
        row("left out", dropped);
    }
    for (key, value) in &contents.metadata {
        row("metadata", &format!("{}: {}", escaped(key), escaped(value)));
    }
    let _ = writeln!(text, "  {} tensors", contents.tensors.len());
    for tensor in &contents.tensors {
        let _ = writeln!(text, "  {:9} {} {:?}", tensor.dtype.name(), tensor.name, tensor.shape());
    }
    text
}
