//! `pentimento bench`

#[cfg(any(target_os = "linux", windows))]
mod compile;
mod demand;
#[cfg(not(any(target_os = "linux", windows)))]
mod no_compile;
mod page;
mod plot;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pentimento::bench::{
    Bench as Measure, Comparison, FORMAT, KernelCase, NETWORKS, Network, Peaks, Report, Row,
    kernels, trace,
};
use pentimento::{Engine, Error, Model, Result, Shape};
use serde::Serialize;

use super::output::{print, print_json, progress, write_text};
use super::{EngineArgs, model, value};

/// Measures kernels and networks on this machine
///
/// Every kernel runs on the shapes that real networks have, with random data, and its result is
/// compared with the plain CPU version of the same kernel. Times are medians; each is set against
/// what this device reaches at most, as probes measure it first.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Bench {
    /// Only cases whose name, kernel or network contains TEXT; may be given several times
    #[arg(short, long, value_name = "TEXT")]
    filter: Vec<String>,

    /// The text of --filter is the whole name of a case
    #[arg(long, requires = "filter")]
    exact: bool,

    /// Only networks, only kernels, or only the probes
    #[arg(long, value_name = "KIND")]
    only: Option<Only>,

    /// Measure kernels by every variant that can compute a case, not by the chosen one alone
    #[arg(long, conflicts_with = "compile")]
    variants: bool,

    /// List the cases, measure nothing
    #[arg(long)]
    list: bool,

    /// Also measure this model, whatever --filter says; may be given several times
    #[arg(short, long, value_name = "FILE")]
    model: Vec<PathBuf>,

    /// Input size of these models in pixels, height x width, for networks that take any
    #[arg(long, value_name = "HxW", value_parser = value::size, default_value = "256x256")]
    size: [usize; 2],

    /// Pictures that the networks take at a time; several numbers, with commas, are measured in turn
    #[arg(long, value_name = "N", default_value = "1", value_delimiter = ',',
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: Vec<u16>,

    /// How long each case is repeated, in seconds; at least three times
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = value::seconds)]
    seconds: f64,

    /// Compare with an earlier run that --json printed into FILE; exit code 3 when a case became
    /// slower by more than its noise
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// Take what the device reaches at most from an earlier run that --json printed into FILE,
    /// instead of probing it again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["compile", "list", "on_demand"])]
    peaks: Option<PathBuf>,

    /// Write the results to FILE as one self-contained page: roofline, steps of the networks, table
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write one run of the first network to FILE, step by step, for Perfetto or Chrome's
    /// about:tracing
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// For programs that measure several engines in turn: prepare the only case that is left, print
    /// some of its results, then run it once for each line on standard input and print the seconds
    #[arg(long, conflicts_with_all = ["json", "html", "trace", "compare", "list"])]
    on_demand: bool,

    /// Compile every variant of every kernel and run none: print what the driver makes of each
    #[arg(long, conflicts_with_all = ["html", "trace", "list", "on_demand", "model", "only"])]
    compile: bool,

    /// With --compile, write the driver's texts to FOLDER, among them the machine code
    #[arg(long, value_name = "FOLDER", requires = "compile")]
    code: Option<PathBuf>,

    /// With --compile, also write what --json prints to FILE
    #[arg(long, value_name = "FILE", requires = "compile")]
    save: Option<PathBuf>,

    #[command(flatten)]
    engine: EngineArgs,

    /// Print JSON instead of text
    #[arg(long)]
    json: bool,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Only {
    Networks,
    Kernels,
    Peaks,
}

const HELP: &str = "\
Examples:
  pentimento bench                                    everything, on the best device
  pentimento bench --filter gfpgan --device cpu       one network and its kernels
  pentimento bench --filter 'conv3x3 512-512' --json > old.json
  pentimento bench --filter 'conv3x3 512-512' --compare old.json
  pentimento bench --filter mmrbnet-256 --html bench.html --trace trace.json
  pentimento bench --model GFPGANv1.4.pth --only peaks

A convolution's GFLOP/s count two operations per product of the direct formula, also where a
transform (Winograd) needs fewer: the share of the peak may then exceed 100%. GB/s count what must
be read and written at least. A second column of noise is 1.48 times the median absolute deviation.";

/// Exit code when a case became slower.
const SLOWER: u8 = 3;

/// What `--list --json` prints.
#[derive(Serialize)]
struct Listed<'c> {
    kind: &'static str,
    name: &'c str,
    kernel: &'c str,
    networks: Vec<&'c str>,
    /// Operations and bytes of a kernel.
    #[serde(rename = "flops_and_bytes", skip_serializing_if = "Option::is_none")]
    work: Option<[f64; 2]>,
}

impl Bench {
    pub fn run(&self) -> Result<ExitCode> {
        if self.compile {
            return self.compile(&self.engine.engine()?);
        }
        let old = self.compare.as_deref().map(read).transpose()?;
        let engine = self.engine.engine()?;
        let networks = self.networks();
        let cases = self.kernels(&engine)?;
        let nothing = networks.is_empty() && cases.is_empty() && self.model.is_empty();
        if nothing && self.only != Some(Only::Peaks) {
            let filters = self.filter.join(", ");
            return Err(Error::Input(format!(
                "no case matches {filters}; `pentimento bench --list` shows all"
            )));
        }
        if self.on_demand {
            return self.serve(&engine, &networks, &cases);
        }
        if self.list {
            return self.print_list(&networks, &cases);
        }
        let peaks = self.peaks.as_deref().map(|path| peaks(path, &engine)).transpose()?;
        let report = self.measure(&engine, peaks, &networks, &cases)?;
        if let Some(path) = &self.html {
            write_text(path, &page::of(&report))?;
        }
        if let Some(path) = &self.trace {
            self.write_trace(&engine, &networks, path)?;
        }
        let comparison = old.as_ref().map(|old| Comparison::new(old, &report));
        if self.json {
            print_json(&report)?;
        } else {
            let mut text = table::report(&report);
            if let Some(comparison) = &comparison {
                text += &table::comparison(comparison);
            }
            print(&text)?;
        }
        let wrong = report.rows.iter().filter(|row| !row.check.holds()).count();
        if wrong > 0 {
            return Err(Error::Internal(format!(
                "{wrong} results differ from their twins by more than they may"
            )));
        }
        match comparison.is_some_and(|comparison| comparison.is_slower()) {
            true => Ok(ExitCode::from(SLOWER)),
            false => Ok(ExitCode::SUCCESS),
        }
    }

    fn measure(
        &self,
        engine: &Engine,
        peaks: Option<Peaks>,
        networks: &[&Network],
        cases: &[KernelCase],
    ) -> Result<Report> {
        let bar = progress(self.quiet || self.json, "{bar:20} {pos}/{len} {wide_msg}");
        bar.set_message("what this device reaches at most");
        let peaks = peaks.map_or_else(|| Peaks::measure(engine), Ok)?;
        let bench = Measure { engine, peaks, seconds: self.seconds };
        bar.set_length((networks.len() + self.model.len() + cases.len()) as u64);
        let mut rows = Vec::new();
        for network in networks {
            bar.set_message(network.name);
            let model = network.model()?;
            rows.extend(self.network(&bench, network.name, &model, network.size)?);
            bar.inc(1);
        }
        for given in &self.model {
            bar.set_message(given.display().to_string());
            let (name, model) = open(given)?;
            rows.extend(self.network(&bench, &name, &model, self.size)?);
            bar.inc(1);
        }
        for case in cases {
            bar.set_message(case.name.clone());
            rows.push(bench.kernel(case)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(bench.report(rows))
    }

    fn network(
        &self,
        bench: &Measure<'_>,
        name: &str,
        model: &Model,
        size: [usize; 2],
    ) -> Result<Vec<Row>> {
        let row = |&batch: &u16| {
            let row = bench.network(name, model, shape(model, size, batch))?;
            let name = if batch == 1 { name.to_owned() } else { format!("{name} batch {batch}") };
            Ok(Row { name, ..row })
        };
        self.batch.iter().map(row).collect()
    }

    /// The first network, whether of the table or of a file.
    fn first(&self, networks: &[&Network]) -> Result<(String, Model, Shape)> {
        let (name, model, size) = match (networks.first(), self.model.first()) {
            (Some(network), _) => (network.name.to_owned(), network.model()?, network.size),
            (None, Some(path)) => {
                let (name, model) = open(path)?;
                (name, model, self.size)
            }
            (None, None) => {
                let what = "no network is left; leave out --only kernels, or change --filter";
                return Err(Error::Input(what.to_owned()));
            }
        };
        let shape = shape(&model, size, self.batch.first().copied().unwrap_or(1));
        Ok((name, model, shape))
    }

    fn write_trace(&self, engine: &Engine, networks: &[&Network], path: &Path) -> Result<()> {
        let (name, model, shape) = self.first(networks)?;
        write_text(path, &trace(engine, &name, &model, shape)?.to_string())
    }

    fn serve(
        &self,
        engine: &Engine,
        networks: &[&Network],
        cases: &[KernelCase],
    ) -> Result<ExitCode> {
        match cases {
            [case] if networks.is_empty() && self.model.is_empty() => demand::kernel(engine, case),
            [] if networks.len() + self.model.len() == 1 => {
                let (name, model, shape) = self.first(networks)?;
                demand::network(engine, &name, &model, shape)
            }
            _ => {
                let many = cases.len() + networks.len() + self.model.len();
                Err(Error::Input(format!("{many} cases are left, --on-demand takes one")))
            }
        }
    }

    fn networks(&self) -> Vec<&'static Network> {
        let wanted = self.only.is_none_or(|only| only == Only::Networks);
        let fits = |network: &&Network| wanted && self.wants(&[network.name]);
        NETWORKS.iter().filter(fits).collect()
    }

    fn kernels(&self, engine: &Engine) -> Result<Vec<KernelCase>> {
        if self.only.is_some_and(|only| only != Only::Kernels) {
            return Ok(Vec::new());
        }
        let mut cases = kernels(engine)?;
        cases.retain(|case| {
            let names = [case.name.as_str(), case.variant.name()];
            self.wants(&names) || self.wants(&case.networks)
        });
        if self.variants {
            let all = cases.iter().map(KernelCase::variants).collect::<Result<Vec<_>>>()?;
            return Ok(all.into_iter().flatten().collect());
        }
        Ok(cases)
    }

    fn wants(&self, names: &[&str]) -> bool {
        let fits = |name: &str, text: &str| match self.exact {
            true => name == text,
            false => name.contains(text),
        };
        let has = |text: &String| names.iter().any(|name| fits(name, text));
        self.filter.is_empty() || self.filter.iter().any(has)
    }

    fn print_list(&self, networks: &[&Network], cases: &[KernelCase]) -> Result<ExitCode> {
        let networks = networks.iter().map(|network| Listed {
            kind: "network",
            name: network.name,
            kernel: "",
            networks: Vec::new(),
            work: None,
        });
        let cases = cases.iter().map(|case| Listed {
            kind: "kernel",
            name: &case.name,
            kernel: case.variant.name(),
            networks: case.networks.clone(),
            work: Some([2.0 * case.work.multiply_adds as f64, case.work.bytes as f64]),
        });
        let all: Vec<Listed<'_>> = networks.chain(cases).collect();
        if self.json {
            print_json(&all)?;
        } else {
            let line = |case: &Listed<'_>| match case.kind {
                "network" => format!("{}\n", case.name),
                _ => format!("{:52} {:18} {}\n", case.name, case.kernel, case.networks.join(" ")),
            };
            print(&all.iter().map(line).collect::<String>())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// That of `batch` pictures of `height × width`.
fn shape(model: &Model, [height, width]: [usize; 2], batch: u16) -> Shape {
    let shape = model.input_shape(height, width);
    Shape { n: usize::from(batch) * shape.n, ..shape }
}

/// A model file, and how it is called in the results.
fn open(given: &Path) -> Result<(String, Model)> {
    let path = model::path(Some(given))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok((name, Model::open(&path)?))
}

/// What `engine`'s device reached in the report at `path`.
///
/// # Errors
/// As [`read`], and [`Error::Input`] when it is the report of another device.
fn peaks(path: &Path, engine: &Engine) -> Result<Peaks> {
    let Report { machine, peaks, .. } = read(path)?;
    let device = engine.device();
    if (&machine.device, &machine.driver) != (&device.name, &device.driver) {
        let path = path.display();
        return Err(Error::Input(format!(
            "{path}: a report of {}, {}; this device is {}, {}",
            machine.device, machine.driver, device.name, device.driver
        )));
    }
    Ok(peaks)
}

/// A report that an earlier run printed.
///
/// # Errors
/// [`Error::Input`] when it is none, or one of another version.
fn read(path: &Path) -> Result<Report> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let report: Report = serde_json::from_str(&text).map_err(|error| {
        Error::Input(format!("{}: no report of `pentimento bench --json`: {error}", path.display()))
    })?;
    if report.format != FORMAT {
        return Err(Error::Input(format!(
            "{}: a report of format {}, this program reads {FORMAT}; measure again",
            path.display(),
            report.format
        )));
    }
    Ok(report)
}
