//! Faces that somebody found before: a report of the program, or a list by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Face;

/// Faces by picture.
pub struct GivenFaces {
    pictures: BTreeMap<PathBuf, Vec<Face>>,
    by_name: BTreeMap<PathBuf, PathBuf>,
    /// Faces of any picture that is not named.
    rest: Option<Vec<Face>>,
}

/// The parts of a report that are read.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    pictures: Vec<Entry>,
    faces: Option<Vec<Face>>,
}

#[derive(Deserialize)]
struct Entry {
    input: PathBuf,
    faces: Option<Vec<Face>>,
}

/// Further away than this, in pixels, no landmark lies: pictures are at most 2³² wide.
const FARTHEST: f64 = (1_u64 << 32) as f64;

impl GivenFaces {
    /// Reads `{"pictures": [{"input": PATH, "faces": [{"landmarks": [[x, y], …]}, …]}, …]}`, or
    /// `{"faces": [{"landmarks": …}]}` for any picture. Whatever else is there is passed over.
    ///
    /// # Errors
    /// A sentence without a subject that says what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let report: Report = serde_json::from_slice(json)
            .map_err(|error| format!("is no list of faces: {error}"))?;
        let entries = report.pictures.into_iter();
        let pictures: BTreeMap<_, _> =
            entries.filter_map(|entry| Some((entry.input, entry.faces?))).collect();
        let all = pictures.values().chain(&report.faces).flatten();
        let is_far = |v: &f64| !v.is_finite() || v.abs() > FARTHEST;
        if all.flat_map(|face| face.landmarks.as_flattened()).any(is_far) {
            return Err("holds a landmark that lies in no picture".to_owned());
        }
        if pictures.is_empty() && report.faces.is_none() {
            return Err("holds no faces".to_owned());
        }
        let name = |path: &PathBuf| Some((PathBuf::from(path.file_name()?), path.clone()));
        let by_name = pictures.keys().filter_map(name).collect();
        Ok(Self { pictures, by_name, rest: report.faces })
    }

    /// The faces of the picture at `input`: by its path, else by its name.
    pub fn of(&self, input: &Path) -> Option<&[Face]> {
        let named = || {
            let name = PathBuf::from(input.file_name()?);
            self.pictures.get(self.by_name.get(&name)?)
        };
        let faces = self.pictures.get(input).or_else(named).or(self.rest.as_ref());
        faces.map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: &str = r#"{"landmarks": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10.5]]}"#;

    #[test]
    fn by_path_by_name_and_for_any() {
        let json = format!(
            r#"{{"pictures": [{{"input": "x/a.png", "faces": [{FACE}], "more": 1}},
                {{"input": "b.png", "error": "broken"}}]}}"#
        );
        let given = GivenFaces::parse(json.as_bytes()).unwrap();
        assert_eq!(given.of(Path::new("x/a.png")).unwrap()[0].landmarks[4], [9.0, 10.5]);
        assert_eq!(given.of(Path::new("elsewhere/a.png")).unwrap().len(), 1);
        assert_eq!(given.of(Path::new("b.png")), None);
        assert_eq!(given.of(Path::new("..")), None);
        let any =
            GivenFaces::parse(format!(r#"{{"faces": [{FACE}, {FACE}]}}"#).as_bytes()).unwrap();
        assert_eq!(any.of(Path::new("any.png")).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_list_of_faces() {
        let far = FACE.replace("10.5", "1e300");
        for (json, message) in [
            ("", "no list of faces"),
            ("[]", "no list of faces"),
            (r#"{"faces": [{"landmarks": [[1, 2]]}]}"#, "no list of faces"),
            (&format!(r#"{{"faces": [{far}]}}"#), "lies in no picture"),
            ("{}", "holds no faces"),
        ] {
            let error = GivenFaces::parse(json.as_bytes()).err().unwrap();
            assert!(error.contains(message), "{json}: {error}");
        }
    }
}
