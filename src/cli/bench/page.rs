//! The results as one self-contained page.

use std::fmt::Write as _;

use pentimento::bench::{Kind, Report, Row};

use super::super::page::escaped;
use super::plot::{self, Colours};
use super::table::{clock, peaks, time};

const STYLE: &str = include_str!("page.css");

/// The HTML of a report.
pub fn of(report: &Report) -> String {
    let machine = &report.machine;
    let colours = Colours::of(report);
    let mut body = format!(
        "<header><h1>{}</h1><p>{} · {} · {} · {} threads · {}</p><p>{} · kernels timed by {}</p>\
         <p>{}</p></header>",
        escaped(&machine.device),
        escaped(&machine.driver),
        escaped(&machine.processor),
        escaped(&machine.system),
        machine.threads,
        escaped(&report.program),
        escaped(&machine.precision),
        clock(machine.clock),
        escaped(peaks(&report.peaks, machine.backend == "cpu").trim()),
    );
    let kernels: Vec<&Row> = rows(report, Kind::Kernel);
    if let Some(svg) = plot::roofline(&report.peaks, &kernels, &colours) {
        let _ = write!(
            body,
            "<h2>Roofline</h2><figure>{svg}{}<figcaption>Each point is a kernel on one shape. Work \
             and traffic are the least that the formula needs: a transform that saves products, or \
             a cache that saves traffic, lifts a point above the roof.</figcaption></figure>",
            colours.legend()
        );
    }
    let networks = rows(report, Kind::Network);
    for network in networks.iter().filter(|row| !row.steps.is_empty()) {
        let _ = write!(
            body,
            "<h2>{}: {}</h2><figure>{}{}{}</figure>",
            escaped(&network.name),
            time(network.time.median),
            plot::steps(network, &colours),
            colours.legend(),
            plot::shares(network),
        );
    }
    for (title, rows) in [("Networks", &networks), ("Kernels", &kernels)] {
        if !rows.is_empty() {
            let _ = write!(body, "<h2>{title}</h2>{}", table(rows));
        }
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>{} · pentimento bench</title>\
         <style>{STYLE}</style>{body}</html>\n",
        escaped(&machine.device)
    )
}

fn rows(report: &Report, kind: Kind) -> Vec<&Row> {
    report.rows.iter().filter(|row| row.kind == kind).collect()
}

fn table(rows: &[&Row]) -> String {
    let mut text = "<div class=scroll><table><thead><tr><th>case<th class=word>kernel<th>median\
                    <th>noise<th>GFLOP/s<th>GB/s<th>of peak<th class=word>bound by<th>error\
                    <th class=word>checked against</thead><tbody>"
        .to_owned();
    for row in rows {
        let error = row.check.error.map_or("–".to_owned(), |error| format!("{error:.1e}"));
        let class = if row.check.holds() { "" } else { " class=wrong" };
        let _ = write!(
            text,
            "<tr><td>{}<td class=word>{}<td>{}<td>{:.1}%<td>{:.1}<td>{:.2}<td>{:.0}%\
             <td class=word>{}<td{class}>{error}<td class=word>{}",
            escaped(&row.name),
            escaped(&row.kernel),
            time(row.time.median),
            100.0 * row.time.mad / row.time.median.max(f64::MIN_POSITIVE),
            row.flops_per_second() / 1e9,
            row.bytes_per_second() / 1e9,
            100.0 * row.roof.fraction,
            row.roof.limit.name(),
            escaped(&row.check.against),
        );
    }
    text + "</tbody></table></div>"
}
