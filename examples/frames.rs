//! Restores a stream of frames, each one aligned face, as they come from a camera.
//!
//! Raw RGB frames of the network's size go from standard input to standard output:
//!
//! ```sh
//! ffmpeg -i /dev/video0 -vf crop=ih:ih,scale=256:256 -f rawvideo -pix_fmt rgb24 - |
//!     cargo run --release --example frames weights/mmrbnet-256.safetensors |
//!     ffplay -f rawvideo -pixel_format rgb24 -video_size 256x256 -
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;

use pentimento::{Engine, EngineOptions, Error, Model, Session, Task};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(model) = arguments.next() else {
        eprintln!("usage: frames MODEL [DEVICE]");
        return ExitCode::FAILURE;
    };
    match open(&model, arguments.next()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn open(model: &str, device: Option<String>) -> Result<Session, Error> {
    let mut options = EngineOptions::new();
    options.device = device;
    let engine = Engine::new(&options)?;
    let model = Model::open(model)?;
    match model.task() {
        Task::RestoreFace { size } => Session::new(&engine, &model, size, size),
        _ => Err(Error::Input(format!("{} restores no faces", model.architecture()))),
    }
}

fn run(mut session: Session) -> Result<(), Error> {
    let pipe =
        |action| move |source| Error::Io { action, path: "the stream of frames".into(), source };
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut frame = vec![0; session.input_shape().len()];
    loop {
        match input.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(pipe("read")(error)),
        }
        output.write_all(&session.run(&frame)?).map_err(pipe("write"))?;
        eprintln!("{:.1} ms", session.timings().total.as_secs_f64() * 1e3);
    }
}
