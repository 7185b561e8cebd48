//! tract, from the subject's ONNX file.

use anyhow::Result;
use peer::Subject;
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

fn main() -> Result<()> {
    let subject = Subject::from_arguments()?;
    set_default_executor(Executor::multithread(subject.threads));
    let input = subject.input()?;
    let model = tract_onnx::onnx()
        .model_for_path(subject.onnx())?
        .with_input_fact(0, f32::fact(&input.shape).into())?
        .into_optimized()?
        .into_runnable()?;
    let x = Tensor::from_shape(&input.shape, &input.values)?;
    peer::serve(
        &subject,
        || Ok(model.run(tvec!(x.clone().into()))?.remove(0)),
        |y| Ok(y.to_plain_array_view::<f32>()?.iter().copied().collect()),
    )
}
