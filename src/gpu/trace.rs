//! Step by step: the outputs of all steps for tests, and the first one that is not finite.

use std::ops::ControlFlow;

use wgpu::BufferUsages as Usage;

use super::executor::Executor;
use super::mapping::read_back;
use super::schema::copied_bytes;
use crate::plan::Step;
use crate::{Error, Result};

impl Executor {
    /// Runs the network like [`run`](Self::run), but returns what every step yields, in NCHW order
    /// and whether finite or not.
    ///
    /// # Errors
    /// As [`run`](Self::run), save that values may be anything.
    pub async fn run_traced(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        self.upload_inputs(inputs)?;
        let mut outputs = Vec::new();
        self.trace(|_, values| {
            outputs.push(values);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(outputs)
    }

    /// [`run_traced`](Self::run_traced) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`run_traced`](Self::run_traced).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_traced_blocking(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        crate::blocking::block_on(self.run_traced(inputs))
    }

    /// Runs the network on the uploaded inputs and names the first step whose values are not
    /// finite, or else the input.
    pub(super) async fn find_non_finite(&self) -> Result<Error> {
        let mut node = "input".to_owned();
        self.trace(|step, values| {
            if values.iter().all(|v| v.is_finite()) {
                return ControlFlow::Continue(());
            }
            node.clone_from(&step.name);
            ControlFlow::Break(())
        })
        .await?;
        Ok(Error::NonFinite { node })
    }

    /// Runs step after step on the uploaded inputs; `visit` sees what each yields.
    async fn trace(&self, mut visit: impl FnMut(&Step, Vec<f32>) -> ControlFlow<()>) -> Result<()> {
        let largest =
            self.plan.steps.iter().map(|s| copied_bytes(&self.plan, &s.output).len()).max();
        let usage = Usage::MAP_READ | Usage::COPY_DST;
        let inner = &self.device.inner;
        let buffer =
            inner.allocator.allocate(&inner.raw, "trace", largest.unwrap_or(0), usage).await?;
        for (step, launches) in self.plan.steps.iter().zip(&self.steps) {
            self.submit(launches);
            let mut encoder = self.encoder();
            self.copy_view(&mut encoder, &step.output, &buffer, 0);
            inner.queue.submit([encoder.finish()]);
            let len = copied_bytes(&self.plan, &step.output).len();
            let read = |bytes: &[u8]| self.decode_view(&step.output, bytes);
            let values = read_back(&self.device, &buffer, len, read).await?;
            if visit(step, values).is_break() {
                break;
            }
        }
        Ok(())
    }
}
