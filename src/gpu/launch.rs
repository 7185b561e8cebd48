//! Dispatches with their pipelines and buffers bound, and their recording.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::cast_slice;

use super::builder::bound_bytes;
use super::memory::Buffer;
use super::params::PARAMS_STRIDE;
use super::pipelines::Pipeline;
use super::schema::{Constant, Schema};
use super::{Binding, Device, Dispatch};
use crate::plan::Plan;
use crate::{Error, Result};

/// A dispatch with everything bound.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub pipeline: Arc<Pipeline>,
    pub bind_group: wgpu::BindGroup,
    pub workgroups: [u32; 3],
    pub copies: Vec<Copied>,
}

/// Bytes that a dispatch reads from a copy, because it binds them twice.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    from: wgpu::Buffer,
    bytes: Range<usize>,
    to: wgpu::Buffer,
    at: usize,
}

impl Launch {
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline.raw);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Records launches, in passes between which the copies are made that they need. `timestamps` are
/// written when the first begins and when the last ends.
pub(super) fn record<'a>(
    encoder: &mut wgpu::CommandEncoder,
    launches: impl IntoIterator<Item = &'a Launch>,
    timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
) {
    let launches: Vec<&Launch> = launches.into_iter().collect();
    let mut passes = launches.chunk_by(|_, next| next.copies.is_empty()).peekable();
    let mut begins = true;
    while let Some(pass) = passes.next() {
        for copy in pass.iter().flat_map(|launch| &launch.copies) {
            let [start, at, len] =
                [copy.bytes.start, copy.at, copy.bytes.len()].map(|bytes| bytes as u64);
            encoder.copy_buffer_to_buffer(&copy.from, start, &copy.to, at, len);
        }
        let ends = passes.peek().is_none();
        // A pass between the first and the last has nothing to write.
        let timestamp_writes = timestamps.clone().filter(|_| begins || ends).map(|writes| {
            let first = writes.beginning_of_pass_write_index.filter(|_| begins);
            let last = writes.end_of_pass_write_index.filter(|_| ends);
            wgpu::ComputePassTimestampWrites {
                beginning_of_pass_write_index: first,
                end_of_pass_write_index: last,
                ..writes
            }
        });
        let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
        let mut recorder = encoder.begin_compute_pass(&descriptor);
        for launch in pass {
            launch.record(&mut recorder);
        }
        begins = false;
    }
}

/// Makes launches of dispatches; their parameters follow each other.
pub(super) struct Binder<'a> {
    pub device: &'a Device,
    pub plan: &'a Plan,
    pub schema: &'a Schema,
    pub arena: &'a [Buffer],
    pub weights: &'a [Buffer],
    pub params: &'a Buffer,
    pub copies: Option<&'a Buffer>,
    /// In; out, where something comes out, and the byte of the flag there.
    pub picture: Option<(&'a Buffer, Option<(&'a Buffer, usize)>)>,
    pub next: usize,
}

impl Binder<'_> {
    pub fn bind(&mut self, dispatch: &Dispatch) -> Result<Launch> {
        let missing = || Error::Internal(format!("{} was not prepared", dispatch.shader.kernel));
        let raw = &self.device.inner.raw;
        let pipeline = self.device.inner.pipelines.get(&dispatch.shader).ok_or_else(missing)?;
        let at = self.next;
        self.next += PARAMS_STRIDE;
        if !dispatch.params.fit() {
            let what = format!("the parameters of {} are too long", dispatch.shader.kernel);
            return Err(Error::Internal(what));
        }
        let words: &[u8] = cast_slice(dispatch.params.words());
        self.device.inner.queue.write_buffer(&self.params.raw, at as u64, words);

        let mut parts = vec![resource(self.params, at..at + PARAMS_STRIDE)];
        let (copied, _) = copied(self.plan, dispatch);
        let mut copies = Vec::new();
        for (binding, at) in dispatch.bindings.iter().zip(copied) {
            let (from, bytes) = self.part(binding).ok_or_else(missing)?;
            match at.zip(self.copies) {
                Some((at, to)) => {
                    parts.push(resource(to, at..at + bytes.len()));
                    let (from, to) = (from.raw.clone(), to.raw.clone());
                    copies.push(Copied { from, bytes, to, at });
                }
                None => parts.push(resource(from, bytes)),
            }
        }
        let entries: Vec<_> = (0..)
            .zip(parts)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let bind_group = raw.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.shader.kernel),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Ok(Launch { pipeline, bind_group, workgroups: dispatch.workgroups, copies })
    }

    /// Which bytes of which buffer a binding sees.
    fn part(&self, binding: &Binding) -> Option<(&Buffer, Range<usize>)> {
        let constant = |constant: &Constant| {
            let place = self.schema.places.get(constant)?;
            Some((&self.weights[place.buffer], place.offset..place.offset + place.bytes))
        };
        let out = self.picture.and_then(|(_, out)| out);
        match binding {
            Binding::View(view) => {
                let block = self.plan.storages[view.storage.index()].block;
                Some((&self.arena[block], bound_bytes(self.plan, view)))
            }
            Binding::Weights(weights) => constant(&Constant::Weights(weights.clone())),
            Binding::Values(params) => constant(&Constant::Values(params.clone())),
            Binding::PictureIn => self.picture.map(|(buffer, ..)| (buffer, 0..buffer.bytes())),
            Binding::PictureOut => out.map(|(buffer, flag)| (buffer, 0..flag)),
            Binding::NonFinite => out.map(|(buffer, flag)| (buffer, flag..flag + 4)),
        }
    }
}

fn resource(buffer: &Buffer, bytes: Range<usize>) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer: &buffer.raw,
        offset: bytes.start as u64,
        size: wgpu::BufferSize::new(bytes.len() as u64),
    })
}

/// Where copies of what `dispatch` binds go, one place per binding, and the bytes of them all.
///
/// Kernels bind all intermediates to read and write, since those that they read and those that they
/// write may lie in one buffer. Browsers then want that no two bindings overlap (WebGPU, 14.1,
/// "writable buffer binding aliasing"); a step that reads a value twice, or two parts of one, does.
/// What it writes the plan keeps apart.
pub(super) fn copied(plan: &Plan, dispatch: &Dispatch) -> (Vec<Option<usize>>, usize) {
    let mut end = 0;
    let mut bound: Vec<(usize, Range<usize>)> = Vec::new();
    let place = |binding: &Binding| {
        let Binding::View(view) = binding else { return None };
        let (block, bytes) = (plan.storages[view.storage.index()].block, bound_bytes(plan, view));
        let overlap = bound.iter().any(|(other, range)| {
            *other == block && range.start < bytes.end && bytes.start < range.end
        });
        if !overlap || !cfg!(target_arch = "wasm32") {
            bound.push((block, bytes));
            return None;
        }
        let start = end;
        end = (start + bytes.len()).next_multiple_of(plan.target.alignment);
        Some(start)
    };
    let places = dispatch.bindings.iter().map(place).collect();
    (places, end)
}
