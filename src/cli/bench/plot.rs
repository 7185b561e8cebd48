//! Pictures of a report, as SVG that takes its colours from the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pentimento::bench::{Peaks, Report, Row};

use super::super::page::escaped;
use super::table::time;

/// Size of a plot, and what its axes take.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 16.0;
const RIGHT: f64 = 16.0;

/// Colours of the page's style; the last is for all other kernels.
const COLOURS: usize = 8;

/// Which kernel has which colour: those that take most time have their own.
pub struct Colours(Vec<String>);

impl Colours {
    pub fn of(report: &Report) -> Self {
        let mut times: BTreeMap<&str, f64> = BTreeMap::new();
        for row in &report.rows {
            for step in &row.steps {
                *times.entry(&step.kernel).or_default() += step.time;
            }
            if row.steps.is_empty() && !row.kernel.is_empty() {
                // Without networks, what single runs take.
                *times.entry(&row.kernel).or_default() += 1e-3 * row.time.median;
            }
        }
        let mut names: Vec<(&str, f64)> = times.into_iter().collect();
        names.sort_by(|a, b| b.1.total_cmp(&a.1));
        Self(names.into_iter().take(COLOURS - 1).map(|(name, _)| name.to_owned()).collect())
    }

    fn class(&self, kernel: &str) -> String {
        let index = self.0.iter().position(|name| name == kernel).unwrap_or(COLOURS - 1);
        format!("c{index}")
    }

    pub fn legend(&self) -> String {
        let names = self.0.iter().map(String::as_str).chain(["others"]).enumerate();
        let entries = names.map(|(index, name)| {
            let class = if name == "others" { COLOURS - 1 } else { index };
            format!(
                "<li><svg viewBox=\"0 0 10 10\"><rect class=c{class} width=10 height=10 rx=2 /></svg>{}",
                escaped(name)
            )
        });
        format!("<ul class=legend>{}</ul>", entries.collect::<String>())
    }
}

/// A logarithmic axis in pixels.
struct Axis {
    from: f64,
    to: f64,
    pixels: [f64; 2],
}

impl Axis {
    /// Whole decades around `values`.
    fn around(values: impl Iterator<Item = f64>, pixels: [f64; 2]) -> Option<Self> {
        let values: Vec<f64> = values.filter(|v| *v > 0.0 && v.is_finite()).collect();
        let low = values.iter().copied().reduce(f64::min)?.log10().floor();
        let high = values.iter().copied().reduce(f64::max)?.log10().ceil();
        Some(Self { from: low, to: high.max(low + 1.0), pixels })
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.log10() - self.from) / (self.to - self.from);
        self.pixels[0] + part.clamp(0.0, 1.0) * (self.pixels[1] - self.pixels[0])
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|decade| 10f64.powi(decade))
    }
}

/// Operations per second over operations per byte, with the device's roofs; `None` without peaks or
/// kernels.
pub fn roofline(peaks: &Peaks, rows: &[&Row], colours: &Colours) -> Option<String> {
    let memory = peaks.memory?;
    let ceilings = [("f32", peaks.f32), ("f16", peaks.f16), ("cooperative", peaks.cooperative)];
    let ceilings: Vec<(&str, f64)> =
        ceilings.into_iter().filter_map(|(name, peak)| Some((name, peak?))).collect();
    let intensity = |row: &Row| row.flops / row.bytes.max(1.0);
    let ridges = ceilings.iter().map(|(_, peak)| peak / memory);
    let x = rows.iter().map(|row| intensity(row)).chain(ridges);
    let x = Axis::around(x, [LEFT, WIDTH - RIGHT])?;
    let y = rows.iter().map(|row| row.flops_per_second());
    let y = Axis::around(y.chain(ceilings.iter().map(|c| c.1)), [HEIGHT - BOTTOM, TOP])?;
    if rows.is_empty() {
        return None;
    }
    let mut svg = open("Roofline");
    for decade in x.decades() {
        let at = x.at(decade);
        let _ = write!(
            svg,
            "<line class=grid x1={at:.1} x2={at:.1} y1={TOP} y2={:.1} /><text x={at:.1} y={:.1} \
             text-anchor=middle>{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0,
            plain(decade)
        );
    }
    for decade in y.decades() {
        let at = y.at(decade);
        grid_line(&mut svg, at, &plain(decade / 1e9));
    }
    let _ = write!(
        svg,
        "<text x={:.1} y={:.1} text-anchor=middle>FLOP per byte</text>\
         <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=middle>GFLOP/s</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 6.0,
        (TOP + HEIGHT - BOTTOM) / 2.0
    );
    let (low, high) = (10f64.powf(x.from), 10f64.powf(x.to));
    for (name, peak) in &ceilings {
        // Along the bandwidth, from where it enters the plot, up to the ridge and on to the right.
        let start = low.max(10f64.powf(y.from) / memory);
        let points = [(start, start * memory), (peak / memory, *peak), (high, *peak)];
        let points: Vec<String> = points
            .iter()
            .map(|&(i, rate)| format!("{:.1},{:.1}", x.at(i), y.at(rate.min(*peak))))
            .collect();
        let _ = write!(
            svg,
            "<polyline class=roof points=\"{}\" /><text class=label x={:.1} y={:.1} \
             text-anchor=end>{name} {:.0} GFLOP/s</text>",
            points.join(" "),
            WIDTH - RIGHT - 4.0,
            y.at(*peak) - 5.0,
            peak / 1e9
        );
    }
    let _ = write!(
        svg,
        "<text class=label x={:.1} y={:.1}>memory {:.1} GB/s</text>",
        LEFT + 8.0,
        TOP + 12.0,
        memory / 1e9
    );
    for row in rows {
        let _ = write!(
            svg,
            "<circle class={} cx={:.1} cy={:.1} r=4><title>{}: {}, {:.1} GFLOP/s, {:.0}% of {}\
             </title></circle>",
            colours.class(&row.kernel),
            x.at(intensity(row)),
            y.at(row.flops_per_second()),
            escaped(&row.name),
            time(row.time.median),
            row.flops_per_second() / 1e9,
            100.0 * row.roof.fraction,
            row.roof.limit.name()
        );
    }
    Some(svg + "</svg>")
}

/// A bar per step of a network, in order: how long it takes.
pub fn steps(network: &Row, colours: &Colours) -> String {
    let height = 240.0;
    let longest = network.steps.iter().map(|step| step.time).fold(f64::MIN_POSITIVE, f64::max);
    let pitch = (WIDTH - LEFT - RIGHT) / network.steps.len().max(1) as f64;
    let base = height - 24.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"Steps of {}\">",
        escaped(&network.name)
    );
    for part in [0.0, 0.5, 1.0] {
        let at = base - part * (base - TOP);
        let label = if part > 0.0 { time(part * longest) } else { "0".to_owned() };
        grid_line(&mut svg, at, &label);
    }
    for (index, step) in network.steps.iter().enumerate() {
        let tall = step.time / longest * (base - TOP);
        let [_, c, h, w] = step.output;
        let _ = write!(
            svg,
            "<rect class={} x={:.2} y={:.2} width={:.2} height={:.2}><title>{} ({}) {c} × {h} × \
             {w}: {}, {:.1} GFLOP/s, {:.0}% of {}</title></rect>",
            colours.class(&step.kernel),
            LEFT + index as f64 * pitch,
            base - tall,
            (pitch * 0.86).max(0.6),
            tall.max(0.5),
            escaped(&step.name),
            step.kernel,
            time(step.time),
            step.flops / step.time.max(1e-12) / 1e9,
            100.0 * step.roof.fraction,
            step.roof.limit.name()
        );
    }
    let _ = write!(
        svg,
        "<text x={LEFT} y={:.1}>{} steps, first to last</text></svg>",
        height - 6.0,
        network.steps.len()
    );
    svg
}

/// What part of a network's time each kernel takes.
pub fn shares(network: &Row) -> String {
    let mut kernels: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for step in &network.steps {
        let (sum, count) = kernels.entry(&step.kernel).or_default();
        *sum += step.time;
        *count += 1;
    }
    let all: f64 = network.steps.iter().map(|step| step.time).sum();
    let mut kernels: Vec<_> = kernels.into_iter().collect();
    kernels.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    let parts = kernels.iter().map(|(name, (sum, count))| {
        format!("{name} {:.1}% in {count}", 100.0 * sum / all.max(f64::MIN_POSITIVE))
    });
    format!("<figcaption>{}</figcaption>", parts.collect::<Vec<_>>().join(" · "))
}

fn open(label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{label}\">")
}

/// A power of ten.
fn plain(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("{value}") }
}

/// A horizontal line across the plot at height `at`, and what it stands for beside the axis.
fn grid_line(svg: &mut String, at: f64, label: &str) {
    let _ = write!(
        svg,
        "<line class=grid x1={LEFT} x2={:.1} y1={at:.1} y2={at:.1} /><text x={:.1} y={:.1} \
         text-anchor=end>{label}</text>",
        WIDTH - RIGHT,
        LEFT - 8.0,
        at + 4.0,
    );
}
