//! Constants on their way to the GPU.

use bytemuck::cast_slice;
use half::f16;

use super::Device;
use super::memory::Buffer;
use super::schema::{Constant, Schema};
use crate::graph::ParamId;
use crate::plan::{Plan, Weight, pack};
use crate::tensor::Dtype;
use crate::{Error, Result};

/// Bytes of uploads after which the queue is flushed, so that its own staging memory is reused.
const UPLOAD_FLUSH: usize = 64 << 20;

/// `values` as bytes of whole words.
pub(super) fn encode(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => cast_slice(values).to_vec(),
        Dtype::F16 => {
            let mut halves: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
            halves.resize(halves.len().next_multiple_of(2), f16::ZERO);
            cast_slice(&halves).to_vec()
        }
    }
}

pub(super) fn upload_constants(
    device: &Device,
    plan: &Plan,
    schema: &Schema,
    weights: &[Buffer],
) -> Result<()> {
    let queue = &device.inner.queue;
    let mut pending = 0;
    for constant in &schema.constants {
        let place = schema.places[constant];
        let bytes = match constant {
            Constant::Weights(weights) => {
                let packed = |weight: &Weight| {
                    let values = pack(plan.graph.param(weight.param), weight.layout);
                    encode(&values, plan.weight_dtype(*weight))
                };
                weights.iter().flat_map(packed).collect()
            }
            Constant::Values(params) => {
                let values = |&id: &ParamId| plan.graph.param(id).to_f32();
                encode(&params.iter().flat_map(values).collect::<Vec<_>>(), Dtype::F32)
            }
        };
        if bytes.len() != place.bytes {
            let what =
                format!("{constant:?} packs to {} bytes, {} are placed", bytes.len(), place.bytes);
            return Err(Error::Internal(what));
        }
        queue.write_buffer(&weights[place.buffer].raw, place.offset as u64, &bytes);
        pending += bytes.len();
        if pending > UPLOAD_FLUSH {
            queue.submit([]);
            pending = 0;
        }
    }
    Ok(())
}
