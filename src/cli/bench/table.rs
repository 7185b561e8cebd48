//! The results for a terminal, at most 100 columns wide.

use std::fmt::Write as _;

use pentimento::bench::{Clock, Comparison, Kind, Peaks, Report, Row, Verdict};

/// Columns of a case's name.
const NAME: usize = 43;

/// Everything that was measured.
pub fn report(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!("{}, {}\n", machine.device, machine.driver);
    if !machine.processor.is_empty() {
        let _ = writeln!(text, "{}, {} threads", machine.processor, machine.threads);
    }
    let _ = writeln!(text, "{}; kernels timed by {}", machine.precision, clock(machine.clock));
    text += &peaks(&report.peaks, machine.backend == "cpu");
    for (kind, title) in [(Kind::Network, "network, bytes to bytes"), (Kind::Kernel, "kernel")] {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(
            text,
            "\n{title:NAME$} {:>9} {:>6} {:>8} {:>7} {:>12}  check",
            "median", "noise", "GFLOP/s", "GB/s", "of peak"
        );
        rows.iter().for_each(|row| text += &line(row));
    }
    text + &predictions(report)
}

/// Measured times beside predicted ones, where there are any.
fn predictions(report: &Report) -> String {
    let rows: Vec<_> = report.rows.iter().filter_map(|row| Some((row, row.predicted?))).collect();
    if rows.is_empty() {
        return String::new();
    }
    let title = "by the cost model";
    let mut text = format!("\n{title:NAME$} {:>9} {:>9} {:>9}\n", "median", "predicted", "off by");
    for (row, predicted) in rows {
        let off = 100.0 * (predicted / row.time.median.max(f64::MIN_POSITIVE) - 1.0);
        let [measured, predicted] = [row.time.median, predicted].map(time);
        let name = shortened(&row.name);
        let _ = writeln!(text, "{name:NAME$} {measured:>9} {predicted:>9} {off:>+8.0}%");
    }
    text
}

/// Whose clock.
pub fn clock(clock: Clock) -> &'static str {
    match clock {
        Clock::Device => "timestamps of the device",
        Clock::Host => "the host's clock",
        Clock::Wait => "the host's clock, with the way to the device: it has no timestamps",
    }
}

/// What the device reaches at most.
pub fn peaks(peaks: &Peaks, cpu: bool) -> String {
    let near = if cpu { "L1" } else { "workgroup" };
    let parts = [
        ("f32", peaks.f32, 1e9, "GFLOP/s"),
        ("f16", peaks.f16, 1e9, "GFLOP/s"),
        ("cooperative", peaks.cooperative, 1e9, "GFLOP/s"),
        ("memory", peaks.memory, 1e9, "GB/s"),
        (near, peaks.workgroup, 1e9, "GB/s"),
        ("launch", peaks.launch, 1e-6, "us"),
    ];
    let known = parts.into_iter().filter_map(|(name, value, unit, suffix)| {
        Some(format!("{name} {:.1} {suffix}", value? / unit))
    });
    let known: Vec<String> = known.collect();
    if known.is_empty() { String::new() } else { format!("peaks: {}\n", known.join(", ")) }
}

fn line(row: &Row) -> String {
    let noise = 100.0 * row.time.mad / row.time.median.max(f64::MIN_POSITIVE);
    let of_peak = format!("{:.0}% {}", 100.0 * row.roof.fraction, row.roof.limit.name());
    let check = match row.check.error {
        None => "-".to_owned(),
        Some(error) if row.check.holds() => format!("{error:.0e}"),
        Some(error) => format!("{error:.0e} WRONG"),
    };
    format!(
        "{:NAME$} {:>9} {:>5.1}% {:>8.1} {:>7.2} {:>12}  {check}\n",
        shortened(&row.name),
        time(row.time.median),
        noise,
        row.flops_per_second() / 1e9,
        row.bytes_per_second() / 1e9,
        of_peak,
    )
}

/// What changed since an earlier run.
pub fn comparison(comparison: &Comparison<'_>) -> String {
    let mut text = String::new();
    for warning in &comparison.warnings {
        let _ = writeln!(text, "\nwarning: {warning}");
    }
    let title = "compared";
    let _ = writeln!(
        text,
        "\n{title:NAME$} {:>9} {:>9} {:>8} {:>7}",
        "before", "now", "change", "noise"
    );
    for change in &comparison.changes {
        let verdict = match change.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "SLOWER",
            Verdict::Same => "",
        };
        let line = format!(
            "{:NAME$} {:>9} {:>9} {:>+7.1}% {:>6.1}%  {verdict}",
            shortened(&change.row.name),
            time(change.old.median),
            time(change.row.time.median),
            100.0 * (change.ratio - 1.0),
            100.0 * change.noise,
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if !comparison.added.is_empty() {
        let _ = writeln!(text, "not in the earlier run: {}", comparison.added.join(", "));
    }
    text
}

/// "1.23 ms"
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.3} s"),
        s if s >= 1e-3 => format!("{:.3} ms", s * 1e3),
        s => format!("{:.2} us", s * 1e6),
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME - 1) {
        Some((end, _)) if name.chars().count() > NAME => format!("{}…", &name[..end]),
        _ => name.to_owned(),
    }
}
