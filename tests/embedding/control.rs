//! Progress and cancellation, and futures that leave their thread alone.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use pentimento::photo::{PhotoOptions, PhotoRestorer, Picture, Restorer};
use pentimento::{Control, Engine, Error, Model, Session};

use crate::{engines, gpu, model, picture};

/// A control that notes what it is told.
fn noting() -> (Control, Arc<Mutex<Vec<f32>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let control = Control::with_progress(move |done| {
        notes.lock().expect("no panic").push(done);
        ControlFlow::Continue(())
    });
    (control, told)
}

#[track_caller]
fn rises(told: &Mutex<Vec<f32>>) {
    let told = told.lock().expect("no panic");
    assert!(told.windows(2).all(|pair| pair[0] <= pair[1]), "{told:?}");
    assert_eq!((told.first(), told.last()), (Some(&0.0), Some(&1.0)), "{told:?}");
}

#[test]
fn progress_goes_from_nothing_to_all() {
    let model = model();
    for engine in engines() {
        let mut session = Session::new(&engine, &model, 0, 0).expect("a session");
        let face = picture(1, session.input_shape().len());
        let unwatched = session.run(&face).expect("a face");
        let (control, told) = noting();
        session.set_control(Some(control));
        assert!(session.run(&face).expect("a face") == unwatched, "watching changed the result");
        rises(&told);
    }
}

#[test]
fn a_cancelled_session_can_be_run_again() {
    let model = model();
    for engine in engines() {
        let mut session = Session::new(&engine, &model, 0, 0).expect("a session");
        let face = picture(1, session.input_shape().len());
        let expected = session.run(&face).expect("a face");
        let middle = |done| match done {
            0.0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        session.set_control(Some(Control::with_progress(middle)));
        assert!(matches!(session.run(&face), Err(Error::Cancelled)));
        let control = Control::new();
        session.set_control(Some(control.clone()));
        assert!(session.run(&face).expect("a face") == expected);
        std::thread::spawn(move || control.cancel()).join().expect("no panic");
        assert!(matches!(session.run(&face), Err(Error::Cancelled)));
        session.set_control(None);
        assert!(session.run(&face).expect("a face") == expected);
    }
}

fn photo(height: usize, width: usize) -> Picture {
    Picture { height, width, rgb: picture(3, height * width * 3), alpha: None, icc: None }
}

#[test]
fn pictures_and_photos_tell_how_far_they_have_come() {
    let [engine, ..] = &engines()[..] else { panic!("the CPU is there") };
    let (control, told) = noting();
    let mut restorer = Restorer::new(engine, &model());
    restorer.set_control(Some(control));
    restorer.restore(&photo(40, 40)).expect("a picture");
    rises(&told);

    let options = PhotoOptions::default();
    let mut restorer =
        PhotoRestorer::new(engine, &model(), None, None, options).expect("a face model");
    let at =
        |x: f64| [[x, 30.0], [x + 20.0, 30.0], [x + 10.0, 42.0], [x + 2.0, 50.0], [x + 18.0, 50.0]];
    let face = |x| pentimento::photo::Face { landmarks: at(x), score: None, bounds: None };
    let (control, told) = noting();
    restorer.set_control(Some(control.clone()));
    let photo = photo(80, 120);
    restorer.restore(&photo, Some(&[face(20.0), face(70.0)])).expect("a photo");
    rises(&told);
    control.cancel();
    let result = restorer.restore(&photo, Some(&[face(20.0)]));
    assert!(matches!(result, Err(Error::Cancelled)));
    restorer.set_control(None);
    assert!(restorer.restore(&photo, Some(&[face(20.0)])).is_ok());
}

#[test]
fn a_future_waits_for_the_gpu_elsewhere_and_may_be_dropped() {
    let Some(engine) = gpu() else { return };
    let mut session = Session::new(&engine, &model(), 0, 0).expect("a session");
    let face = picture(1, session.input_shape().len());
    let expected = session.run(&face).expect("a face");
    {
        let mut future = pin!(session.run_async(&face));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending(), "it blocked until the end");
    }
    let again = pollster::block_on(session.run_async(&face)).expect("a face");
    assert!(again == expected);
}

fn sends<T: Send>(value: T) -> T {
    value
}

#[test]
fn sessions_models_engines_and_futures_go_to_other_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<Model>();
    shared::<Control>();
    shared::<Error>();
    for engine in engines() {
        let mut session = sends(Session::new(&engine, &model(), 0, 0).expect("a session"));
        sends(Restorer::new(&engine, &model()));
        let face = picture(1, session.input_shape().len());
        let result = pollster::block_on(sends(session.run_async(&face))).expect("a face");
        let thread = std::thread::spawn(move || session.run(&face).expect("a face"));
        assert!(thread.join().expect("no panic") == result);
    }
}
