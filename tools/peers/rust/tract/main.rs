//! tract on the ONNX files that `worker.py export` writes.

use tract_onnx::prelude::*;

fn main() -> TractResult<()> {
    let request = peer::Request::from_arguments();
    let input = request.input();
    tract_onnx::tract_core::tract_linalg::multithread::set_default_executor(
        tract_onnx::tract_core::tract_linalg::multithread::Executor::multithread(request.threads),
    );
    let model = tract_onnx::onnx()
        .model_for_path(request.file(".onnx"))?
        .into_optimized()?
        .into_runnable()?;
    let x = Tensor::from_shape(&input.dims, &input.data)?;
    request.serve(
        || model.run(tvec!(x.clone().into())).expect("a run"),
        |y| y[0].as_slice::<f32>().expect("f32").to_vec(),
    );
    Ok(())
}
