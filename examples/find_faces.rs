//! Finds the faces of pictures, and restores nothing: one line of JSON per picture, with the score of
//! every face, that of the second look, and whether that is enough.
//!
//! ```text
//! cargo run --release --example find_faces -- weights/face-detector.safetensors photos/*.jpg
//! ```

use std::path::Path;
use std::time::Instant;

use pentimento::photo::{self, Detector, DetectorOptions};
use pentimento::{Engine, EngineOptions, Error, Model};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(file) = arguments.next() else {
        return Err(Error::Input("give the file of a detector, then pictures".to_owned()));
    };
    let engine = Engine::new(&EngineOptions::default())?;
    let mut detector = Detector::new(&engine, &Model::open(file)?, DetectorOptions::default())?;
    let least = detector.asked_score();
    for path in arguments {
        let photo = photo::read(Path::new(&path))?;
        let start = Instant::now();
        let mut faces = Vec::new();
        for face in detector.find(&photo)? {
            let second = detector.ask(&photo, &face)?;
            faces.push(serde_json::json!({
                "score": face.score,
                "second": second,
                "is_face": second >= least,
                "landmarks": face.landmarks,
                "bounds": face.bounds,
            }));
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{}", serde_json::json!({ "picture": path, "seconds": seconds, "faces": faces }));
    }
    Ok(())
}
