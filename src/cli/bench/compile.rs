//! `pentimento bench --compile`

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use pentimento::bench::{
    COMPILE_FORMAT, Classes, Compilation, CompileRow, Compiler, Launchable, Widths, launchables,
};
use pentimento::{Engine, Error, Result};

use super::super::output::{print, print_json, progress, write_text};
use super::{Bench, SLOWER};

/// Columns of a row's name.
const NAME: usize = 62;

/// An estimate that grew by more counts as worse.
const WORSE: f64 = 1.02;

impl Bench {
    /// Compiles what is asked for, and says what became of it.
    pub(super) fn compile(&self, engine: &Engine) -> Result<ExitCode> {
        let old = self.compare.as_deref().map(read).transpose()?;
        let mut compiler = Compiler::new(engine)?;
        let mut wanted = launchables(engine)?;
        wanted.retain(|launch| self.wants_launch(launch));
        if wanted.is_empty() {
            return Err(Error::Input(format!(
                "no case matches {}; `pentimento bench --list` shows all",
                self.filter.join(", ")
            )));
        }
        let bar = progress(self.quiet || self.json, "{bar:20} {pos}/{len} {wide_msg}");
        bar.set_length(wanted.len() as u64);
        for (number, launch) in wanted.iter().enumerate() {
            bar.set_message(launch.variant.clone());
            let texts = compiler.compile(launch)?;
            if let Some(folder) = &self.code {
                save_texts(folder, number, launch.kernel(), &texts)?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let report = compiler.finish();
        if let Some(path) = &self.save {
            write_text(path, &(serde_json::to_string_pretty(&report).map_err(unwritable)? + "\n"))?;
        }
        let worse = old.as_ref().map(|old| changes(old, &report));
        if self.json {
            print_json(&report)?;
        } else {
            let changes = worse.as_ref().map_or("", |(text, _)| text.as_str());
            print(&(table(&report) + changes))?;
        }
        let faulty = report.rows.iter().filter(|row| row.chosen && row.is_faulty()).count();
        if faulty > 0 {
            return Err(Error::Device(format!(
                "{faulty} kernels that are launched without tuning were refused or spill registers"
            )));
        }
        match worse.is_some_and(|(_, worse)| worse) {
            true => Ok(ExitCode::from(SLOWER)),
            false => Ok(ExitCode::SUCCESS),
        }
    }

    fn wants_launch(&self, launch: &Launchable) -> bool {
        let cases: Vec<&str> = launch.cases.iter().map(String::as_str).collect();
        self.wants(&[launch.kernel()]) || self.wants(&cases) || self.wants(&launch.networks)
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::Internal(format!("cannot write JSON: {error}"))
}

/// The driver's texts, numbered as the rows of the report are.
fn save_texts(
    folder: &Path,
    number: usize,
    kernel: &str,
    texts: &[(String, String)],
) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "make the folder",
        path: folder.to_owned(),
        source,
    })?;
    for (name, text) in texts {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_lowercase();
        let kernel = kernel.replace('/', "-");
        write_text(&folder.join(format!("{number:04}-{kernel}-{name}.txt")), text)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Compilation> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let report: Compilation = serde_json::from_str(&text).map_err(|error| {
        let path = path.display();
        Error::Input(format!("{path}: no report of `pentimento bench --compile --json`: {error}"))
    })?;
    if report.format != COMPILE_FORMAT {
        return Err(Error::Input(format!(
            "{}: a report of format {}, this program reads {COMPILE_FORMAT}; compile again",
            path.display(),
            report.format
        )));
    }
    Ok(report)
}

/// Everything that was compiled.
fn table(report: &Compilation) -> String {
    let mut text = format!("{}, {}, {}\n", report.device, report.driver, report.precision);
    text +=
        "Instructions by width: 16 bits or fewer / 32 / 64 / more. * is launched without tuning.\n";
    let _ = writeln!(
        text,
        "\n{:NAME$} {:>6} {:>5} {:>6} {:>7} {:>5} {:>7} {:>8}  {:15} {:15} {:15} {:15} {:>6} {:>5} {:>5} {:>5}",
        "kernel",
        "s",
        "regs",
        "spills",
        "shared",
        "sub",
        "code",
        "cycles",
        "loads",
        "stores",
        "shared loads",
        "shared stores",
        "matrix",
        "/KiB",
        "moves",
        "bars"
    );
    let mut rows: Vec<&CompileRow> = report.rows.iter().collect();
    rows.sort_by_key(|row| !row.case().starts_with("layer "));
    rows.iter().for_each(|row| text += &line(row));
    let seconds: f64 = report.rows.iter().map(|row| row.seconds).sum();
    let longest = report.rows.iter().map(|row| row.seconds).fold(0.0, f64::max);
    let spilling = report.rows.iter().filter(|row| row.is_faulty()).count();
    let _ = writeln!(
        text,
        "{} kernels in {seconds:.1} s, the longest in {longest:.1} s; {spilling} refused or spilling",
        report.rows.len()
    );
    text
}

fn line(row: &CompileRow) -> String {
    let mark = if row.chosen { "*" } else { " " };
    let name: String = format!("{mark}{}", row.key()).chars().take(NAME).collect();
    if let Some(why) = &row.refused {
        return format!("{name:NAME$} REFUSED: {why}\n");
    }
    let figures = &row.figures;
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
    let classes = figures.classes;
    let widths = |of: fn(&Classes) -> Widths| {
        classes.map_or("-".to_owned(), |c| of(&c).map(|n| n.to_string()).join("/"))
    };
    let count = |of: fn(&Classes) -> u32| classes.map_or("-".to_owned(), |c| of(&c).to_string());
    format!(
        "{name:NAME$} {:>6.2} {:>5} {:>6} {:>7} {:>5} {:>7} {:>8}  {:15} {:15} {:15} {:15} {:>6} {:>5} {:>5} {:>5}\n",
        row.seconds,
        number(figures.registers),
        number(figures.spills),
        number(figures.shared_bytes),
        number(figures.subgroups),
        number(figures.code_bytes),
        number(figures.cycles),
        widths(|c| c.loads),
        widths(|c| c.stores),
        widths(|c| c.shared_loads),
        widths(|c| c.shared_stores),
        count(|c| c.matrix),
        figures.products_per_kib().map_or("-".to_owned(), |value| format!("{value:.1}")),
        count(|c| c.transposes + c.fragment_loads),
        count(|c| c.barriers),
    )
}

/// What changed since `old`, and whether something became worse.
fn changes(old: &Compilation, new: &Compilation) -> (String, bool) {
    let known: HashMap<String, &CompileRow> = old.rows.iter().map(|row| (row.key(), row)).collect();
    let mut text = String::new();
    if (&old.device, &old.driver) != (&new.device, &new.driver) {
        let _ = writeln!(text, "\nwarning: compared with {}, {}", old.device, old.driver);
    }
    let _ =
        writeln!(text, "\n{:NAME$} {:>13} {:>13} {:>19}", "changed", "regs", "spills", "cycles");
    let (mut worse, mut compared) = (false, 0);
    for row in &new.rows {
        let Some(before) = known.get(&row.key()) else { continue };
        compared += 1;
        let [was, is] = [&before.figures, &row.figures];
        let same = (was.registers, was.spills, was.cycles) == (is.registers, is.spills, is.cycles);
        if same && before.refused.is_some() == row.refused.is_some() {
            continue;
        }
        let slower = is.cycles.zip(was.cycles).is_some_and(|(is, was)| is > WORSE * was);
        let bad = row.is_faulty() && !before.is_faulty() || slower;
        worse |= bad;
        let pair = |was: Option<f64>, is: Option<f64>| {
            let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.0}"));
            format!("{} > {}", number(was), number(is))
        };
        let name: String = row.key().chars().take(NAME).collect();
        let _ = writeln!(
            text,
            "{name:NAME$} {:>13} {:>13} {:>19}{}",
            pair(was.registers, is.registers),
            pair(was.spills, is.spills),
            pair(was.cycles, is.cycles),
            if bad { "  WORSE" } else { "" }
        );
    }
    let _ = writeln!(text, "{compared} of {} kernels are in both runs", new.rows.len());
    (text, worse)
}
