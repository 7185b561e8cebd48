//! Faces that somebody found before: a report of the program, or a list by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Face, Landmarks};

/// Faces by picture.
pub struct GivenFaces {
    /// Of each page; a picture whose pages are not told apart has one list for all.
    pictures: BTreeMap<PathBuf, Vec<Vec<GivenFace>>>,
    by_name: BTreeMap<PathBuf, PathBuf>,
    /// Faces of any picture that is not named.
    rest: Option<Vec<GivenFace>>,
}

/// A face that somebody has pointed at.
#[derive(Clone, Debug, PartialEq)]
pub enum GivenFace {
    /// With its landmarks.
    Face(Face),
    /// By a box around it: left, top, right, bottom, in pixels of the photo.
    Box([f32; 4]),
}

/// The parts of a report that are read.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    pictures: Vec<Entry>,
    faces: Option<Vec<Line>>,
}

#[derive(Deserialize)]
struct Entry {
    input: PathBuf,
    faces: Option<Vec<Line>>,
    #[serde(default)]
    pages: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    faces: Option<Vec<Line>>,
}

#[derive(Deserialize)]
struct Line {
    landmarks: Option<Landmarks>,
    score: Option<f32>,
    bounds: Option<[f32; 4]>,
}

/// Further away than this, in pixels, no landmark lies: pictures are at most 2³² wide.
const FARTHEST: f64 = (1_u64 << 32) as f64;

impl GivenFaces {
    /// Reads `{"pictures": [{"input": PATH, "faces": [{"landmarks": [[x, y], …]}, …]}, …]}`, or
    /// `{"faces": [{"landmarks": …}]}` for any picture. A face may have `"bounds": [left, top,
    /// right, bottom]` in place of landmarks. Whatever else is there is passed over.
    ///
    /// # Errors
    /// A sentence without a subject that says what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let report: Report = serde_json::from_slice(json)
            .map_err(|error| format!("is not a list of faces: {error}"))?;
        let faces = |lines: Vec<Line>| lines.into_iter().map(Line::face).collect();
        let mut pictures = BTreeMap::new();
        for Entry { input, faces: lines, pages } in report.pictures {
            let told = pages.iter().any(|page| page.faces.is_some());
            let pages = pages.into_iter().filter(|_| told);
            let pages = pages.map(|page| page.faces.unwrap_or_default());
            let lists: Vec<Vec<Line>> = lines.into_iter().chain(pages).collect();
            if !lists.is_empty() {
                let lists: Result<Vec<Vec<GivenFace>>, String> =
                    lists.into_iter().map(faces).collect();
                pictures.insert(input, lists?);
            }
        }
        let rest: Option<Vec<GivenFace>> = report.faces.map(faces).transpose()?;
        if pictures.is_empty() && rest.is_none() {
            return Err("holds no faces".to_owned());
        }
        let name = |path: &PathBuf| Some((PathBuf::from(path.file_name()?), path.clone()));
        let by_name = pictures.keys().filter_map(name).collect();
        Ok(Self { pictures, by_name, rest })
    }

    /// The faces of the picture at `input`, by its path, else by its name; of page `index` where
    /// pages are told apart.
    pub fn of(&self, input: &Path, index: usize) -> Option<&[GivenFace]> {
        let named = || {
            let name = PathBuf::from(input.file_name()?);
            self.pictures.get(self.by_name.get(&name)?)
        };
        let faces = match self.pictures.get(input).or_else(named) {
            Some(pages) if pages.len() > 1 => Some(pages.get(index)?),
            Some(pages) => pages.first(),
            None => self.rest.as_ref(),
        };
        faces.map(Vec::as_slice)
    }
}

impl Line {
    fn face(self) -> Result<GivenFace, String> {
        let Self { landmarks, score, bounds } = self;
        let far = || "holds a landmark or a box that lies in no picture".to_owned();
        let is_far = |v: f64| !v.is_finite() || v.abs() > FARTHEST;
        if bounds.iter().flatten().any(|&v| is_far(v.into())) {
            return Err(far());
        }
        match (landmarks, bounds) {
            (Some(landmarks), _) if landmarks.as_flattened().iter().copied().any(is_far) => {
                Err(far())
            }
            (Some(landmarks), _) => Ok(GivenFace::Face(Face { landmarks, score, bounds })),
            (None, Some(bounds @ [left, top, right, bottom])) if left < right && top < bottom => {
                Ok(GivenFace::Box(bounds))
            }
            (None, Some(_)) => Err("holds a box that is not left, top, right, bottom".to_owned()),
            (None, None) => Err("holds a face without landmarks and without bounds".to_owned()),
        }
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
        let [GivenFace::Face(face)] = given.of(Path::new("x/a.png"), 0).unwrap() else { panic!() };
        assert_eq!(face.landmarks[4], [9.0, 10.5]);
        assert_eq!(given.of(Path::new("elsewhere/a.png"), 0).unwrap().len(), 1);
        assert_eq!(given.of(Path::new("b.png"), 0), None);
        assert_eq!(given.of(Path::new(".."), 0), None);
        let any =
            GivenFaces::parse(format!(r#"{{"faces": [{FACE}, {FACE}]}}"#).as_bytes()).unwrap();
        assert_eq!(any.of(Path::new("any.png"), 3).unwrap().len(), 2);
    }

    #[test]
    fn a_box_stands_for_landmarks_and_not_beside_them() {
        let json = format!(
            r#"{{"faces": [{{"bounds": [1, 2, 3, 4.5]}}, {{"bounds": [0, 0, 9, 9], {}}}]}}"#,
            FACE.trim_matches(['{', '}'])
        );
        let given = GivenFaces::parse(json.as_bytes()).unwrap();
        let [GivenFace::Box(bounds), GivenFace::Face(face)] = given.of(Path::new("a"), 0).unwrap()
        else {
            panic!()
        };
        assert_eq!((*bounds, face.bounds), ([1.0, 2.0, 3.0, 4.5], Some([0.0, 0.0, 9.0, 9.0])));
    }

    #[test]
    fn what_is_no_list_of_faces() {
        let far = FACE.replace("10.5", "1e300");
        for (json, message) in [
            ("", "not a list of faces"),
            ("[]", "not a list of faces"),
            (r#"{"faces": [{"landmarks": [[1, 2]]}]}"#, "not a list of faces"),
            (&format!(r#"{{"faces": [{far}]}}"#), "lies in no picture"),
            ("{}", "holds no faces"),
            (r#"{"faces": [{"score": 0.5}]}"#, "without landmarks"),
            (r#"{"faces": [{"bounds": [5, 0, 5, 9]}]}"#, "not left, top"),
            (r#"{"faces": [{"bounds": [0, 0, 5, 1e30]}]}"#, "lies in no picture"),
        ] {
            let error = GivenFaces::parse(json.as_bytes()).err().unwrap();
            assert!(error.contains(message), "{json}: {error}");
        }
    }
}
