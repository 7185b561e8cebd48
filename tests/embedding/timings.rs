//! How long runs take, and batches.

use std::time::Duration;

use pentimento::Session;
use pentimento::Shape;

use crate::{engines, model, picture};

#[test]
fn runs_are_timed_as_a_whole_and_step_by_step() {
    let model = model();
    for engine in engines() {
        let mut session = Session::new(&engine, &model, 0, 0).expect("a session");
        let face = picture(1, session.input_shape().len());
        let expected = session.run(&face).expect("a face");
        assert!(session.timings().total > Duration::ZERO);
        assert!(session.timings().steps.is_empty());
        session.time_steps(true);
        assert!(session.run(&face).expect("a face") == expected, "timing changed the result");
        let device = engine.device();
        if device.kind != "cpu" && !device.features.contains(&"timestamps") {
            continue;
        }
        let timings = session.timings();
        let sum: Duration = timings.steps.iter().map(|(_, time)| *time).sum();
        assert!(Duration::ZERO < sum && sum <= timings.total, "{sum:?} of {:?}", timings.total);
        assert_eq!(timings.steps.len(), session.plan().steps.len());
        session.time_steps(false);
        session.run(&face).expect("a face");
        assert!(session.timings().steps.is_empty());
    }
}

#[test]
fn a_batch_equals_its_pictures() {
    let model = model();
    for engine in engines() {
        let mut single = Session::new(&engine, &model, 0, 0).expect("a session");
        let Shape { c, h, w, .. } = single.input_shape();
        let mut pair = Session::for_shape(&engine, &model, Shape::new(2, c, h, w)).expect("two");
        let faces = [1, 2].map(|seed| picture(seed, c * h * w));
        let expected = faces.each_ref().map(|face| single.run(face).expect("a face")).concat();
        let both = pair.run(&faces.concat()).expect("two faces");
        assert!(both == expected, "{}", engine.device().name);
    }
}
