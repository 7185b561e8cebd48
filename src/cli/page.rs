//! A page that shows every picture, and every face in it, before and after.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use pentimento::Result;
use serde_json::Value;

use super::report::{Ending, Report};
use super::{crew, preview};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How a page begins.
pub const BEGIN: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
                         <meta name=viewport content=\"width=device-width\">\
                         <title>Restored pictures</title>";

/// The HTML of a page at `path`, which links to the pictures where they are.
///
/// # Errors
/// As [`Done::to_json`](super::report::Done::to_json).
pub fn of(report: &Report<'_>, path: &Path) -> Result<String> {
    let mut body = String::new();
    let Report { seconds, architecture, .. } = report;
    let device = escaped(&crew::described(&report.devices));
    let mut failures = String::new();
    for picture in &report.pictures {
        let name = escaped(&picture.input.display().to_string());
        let known;
        let done = match &picture.result {
            Ending::Restored(done) => {
                known = done.to_json()?;
                &known
            }
            Ending::Kept { done, .. } => done,
            Ending::Failed { error } => {
                let _ = write!(failures, "<li>{}</li>", escaped(error));
                continue;
            }
        };
        let Some(output) = done["output"].as_str() else { continue };
        let [before, after] = [picture.input.as_path(), Path::new(output)]
            .map(|picture| link(path, &preview::of(path, picture)));
        let faces = done["faces"].as_array().map_or(&[][..], Vec::as_slice);
        let size =
            [&done["input_size"][1], &done["input_size"][0]].map(|v| v.as_f64().unwrap_or(1.0));
        let aspect = size[0] / size[1].max(1.0);
        let _ = write!(
            body,
            "<article><h2>{name}</h2>{}<ul class=faces>",
            slider(&before, &after, &format!("aspect-ratio:{aspect:.4}"), &name, None)
        );
        for (i, face) in faces.iter().enumerate() {
            let Some(crop) = Crop::of(face, size) else { continue };
            let label = format!("face {} of {name}", i + 1);
            let said = match face["skipped"].as_str() {
                Some(why) => format!("left alone: {}", escaped(why)),
                None if face["printed"] == true => "restored from a print".to_owned(),
                None => "restored".to_owned(),
            };
            let _ = write!(
                body,
                "<li>{}<p>{said}</p><p>{}</p></li>",
                slider(&before, &after, "", &label, Some(&crop)),
                facts(face)
            );
        }
        body.push_str("</ul></article>");
    }
    if !failures.is_empty() {
        failures = format!("<section><h2>Failed</h2><ul>{failures}</ul></section>");
    }
    let counts = report.counts();
    Ok(format!(
        "{BEGIN}<style>{STYLE}</style><header><h1>Restored pictures</h1>\
         <p>{counts}, in {seconds:.1} s by {architecture} on {device}. Drag the handle of a picture, \
         or use the arrow keys: the original is at the left.</p></header>\
         <main>{body}{failures}</main><script>{SCRIPT}</script></html>\n"
    ))
}

/// Score, size and pose of a face, as far as they are known: of given faces there is no score.
fn facts(face: &Value) -> String {
    let mut facts = Vec::new();
    if let Some(score) = face["score"].as_f64() {
        facts.push(format!("score {score:.2}"));
    }
    let at = |i: usize, axis: usize| face["landmarks"][i][axis].as_f64();
    if let (Some(lx), Some(ly), Some(rx), Some(ry)) = (at(0, 0), at(0, 1), at(1, 0), at(1, 1)) {
        facts.push(format!("eyes {:.0} pixels apart", (rx - lx).hypot(ry - ly)));
    }
    for turn in ["yaw", "pitch", "roll"] {
        if let Some(degrees) = face["pose"][turn].as_f64() {
            facts.push(format!("{turn} {degrees:.0}°"));
        }
    }
    facts.join(", ")
}

/// A square around a face.
struct Crop {
    /// Of the picture's width, times 100: how wide the picture is when the square is 100 wide.
    zoom: [f64; 2],
    /// Where the picture lies so that the square shows, for `background-position`, in hundredths.
    at: [f64; 2],
}

impl Crop {
    fn of(face: &Value, [width, height]: [f64; 2]) -> Option<Self> {
        let points = face["landmarks"].as_array()?;
        let at = |i: usize, axis: usize| points.get(i)?.get(axis)?.as_f64();
        let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
        for i in 0..points.len() {
            for axis in 0..2 {
                let v = at(i, axis)?;
                (low[axis], high[axis]) = (low[axis].min(v), high[axis].max(v));
            }
        }
        // Eyes and mouth span about a third of a head.
        let side = (2.8 * (high[0] - low[0]).max(high[1] - low[1])).max(1.0);
        let centre = [0, 1].map(|axis| (low[axis] + high[axis]) / 2.0);
        let sizes = [width, height];
        let zoom = sizes.map(|size| 100.0 * size / side);
        let at = [0, 1].map(|axis| {
            let free = sizes[axis] - side;
            if free.abs() < 1e-6 { 0.0 } else { 100.0 * (centre[axis] - side / 2.0) / free }
        });
        Some(Self { zoom, at })
    }
}

/// Two pictures over each other and a handle between them.
fn slider(before: &str, after: &str, style: &str, label: &str, crop: Option<&Crop>) -> String {
    let layer = |url: &str, class: &str, alt: &str| match crop {
        None => format!("<img class={class} src=\"{url}\" alt=\"{alt}\" loading=lazy>"),
        Some(Crop { zoom: [zx, zy], at: [x, y] }) => format!(
            "<div class={class} role=img aria-label=\"{alt}\" style=\"background-image:url('{url}');\
             background-size:{zx:.2}% {zy:.2}%;background-position:{x:.2}% {y:.2}%\"></div>"
        ),
    };
    let (below, above) = (layer(after, "after", "after"), layer(before, "before", "before"));
    format!(
        "<div class=pair style=\"{style}\">{below}{above}<input type=range min=0 max=100 value=50 \
         step=1 aria-label=\"part of {label} that shows the original\"></div>"
    )
}

/// Text as part of HTML.
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The address of `target` seen from the page at `page`: relative where both have a root in common.
fn link(page: &Path, target: &Path) -> String {
    let whole = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into())
    };
    let (folder, target) = (whole(page.parent().unwrap_or(Path::new(""))), whole(target));
    let (from, to): (Vec<_>, Vec<_>) =
        (folder.components().collect(), target.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if shared == 0 {
        return format!("file://{}", encoded(&target));
    }
    let up = from.iter().skip(shared).map(|_| Component::ParentDir);
    encoded(&up.chain(to.into_iter().skip(shared)).collect::<PathBuf>())
}

/// A path as part of an address: what is not plain is percent-encoded (RFC 3986, 2.1).
fn encoded(path: &Path) -> String {
    let mut out = String::new();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b'\\' if cfg!(windows) => out.push('/'),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_and_plain() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("out/index.html");
        std::fs::create_dir(folder.path().join("out")).unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let picture = folder.path().join("in/a b\"é#.jpg");
        std::fs::write(&picture, "").unwrap();
        assert_eq!(link(&page, &picture), "../in/a%20b%22%C3%A9%23.jpg");
        assert_eq!(escaped("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn a_face_is_told_as_far_as_it_is_known() {
        let mut face = serde_json::json!({
            "landmarks": [[40, 40], [70, 80], [50, 50], [42, 60], [58, 60]],
            "pose": {"yaw": -20.4, "pitch": 3.0, "roll": 53.1}, "score": 0.934
        });
        let told = "score 0.93, eyes 50 pixels apart, yaw -20°, pitch 3°, roll 53°";
        assert_eq!(facts(&face), told);
        face["score"] = Value::Null;
        assert_eq!(facts(&face), told.split_once(", ").unwrap().1);
        assert_eq!(facts(&serde_json::json!({"landmarks": "none"})), "");
    }

    #[test]
    fn a_crop_shows_the_face() {
        let face =
            serde_json::json!({"landmarks": [[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]]});
        let crop = Crop::of(&face, [200.0, 100.0]).unwrap();
        // 56 pixels around (50, 50).
        assert!((crop.zoom[0] - 357.14).abs() < 0.01 && (crop.at[0] - 15.28).abs() < 0.01);
        assert!((crop.at[1] - 50.0).abs() < 0.01);
        assert!(Crop::of(&serde_json::json!({"landmarks": [["x"]]}), [1.0, 1.0]).is_none());
    }
}
