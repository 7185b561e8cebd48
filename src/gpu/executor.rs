//! Runs a plan: everything is allocated, uploaded and bound once, then replayed.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytemuck::cast_slice;
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use wgpu::BufferUsages as Usage;

use super::Device;
use super::launch::{Binder, Launch, copied, record};
use super::mapping::{finished, read_back};
use super::memory::{Buffer, Memory};
use super::schema::{PictureSchema, Schema, copied_bytes};
use super::upload::{encode, upload_constants};
use crate::control::{Instant, Watch};
use crate::pixels::PixelFormat;
use crate::plan::{Plan, View};
use crate::tensor::Dtype;
use crate::{Error, Result};

/// Multiply-adds after which a command buffer is submitted, so that none comes near the two
/// seconds after which Windows resets a GPU: half a second at 100 G/s, which any GPU reaches.
const WORK_PER_SUBMISSION: u64 = 50_000_000_000;

/// A network that took less than this when it last ran is submitted as a whole: each submission
/// costs some 20 µs, in which a fast GPU idles.
const SHORT: Duration = Duration::from_millis(100);

/// This bound for drivers that run on the CPU, at 2 G/s.
const SOFTWARE_WORK_PER_SUBMISSION: u64 = 1_000_000_000;

/// What turns a picture into the network's input, and its output into a picture where it is one.
#[derive(Debug)]
pub(super) struct Picture {
    pub bytes_in: Buffer,
    pub input: Launch,
    pub output: Option<PictureOut>,
    /// First byte of the launches' parameters, of the input first.
    pub params: usize,
}

/// What turns the network's output into a picture.
#[derive(Debug)]
pub(super) struct PictureOut {
    pub bytes: Buffer,
    pub launch: Launch,
    /// The byte of the word that tells of values that are not finite.
    pub flag: usize,
}

/// A plan on a device, ready to run. The second run allocates and compiles nothing.
#[derive(Debug)]
pub struct Executor {
    pub(super) device: Device,
    pub(super) plan: Arc<Plan>,
    pub(super) arena: Vec<Buffer>,
    weights: Vec<Buffer>,
    pub(super) params: Buffer,
    pub(super) readback: Buffer,
    /// Where the bytes go that a dispatch reads from a copy.
    copies: Option<Buffer>,
    pub(super) picture: Option<Picture>,
    pub(super) steps: Vec<Vec<Launch>>,
    /// Steps of each submission, while it is not known how long a run takes.
    pub(super) submissions: Vec<Range<usize>>,
    /// When the last run was submitted, and how long it took to its results.
    began: Option<Instant>,
    pub(super) took: Option<Duration>,
    /// The formats that the pictures' launches were told.
    pub(super) formats: Option<[PixelFormat; 2]>,
    /// Rows of a texture as textures are copied, where that is not as the kernels read them.
    pub(super) rows: Option<Buffer>,
    pub(crate) watch: Watch,
    /// How long each step of the last run took, where that was asked for and can be told.
    pub(crate) step_times: Vec<Duration>,
}

impl Executor {
    /// Compiles, allocates, uploads and binds.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the device has no room, [`Error::Device`] when it cannot execute
    /// the plan, [`Error::DeviceLost`].
    pub async fn new(device: &Device, plan: Arc<Plan>) -> Result<Self> {
        let raw = &device.inner.raw;
        let limits = raw.limits();
        if !plan
            .target
            .alignment
            .is_multiple_of(limits.min_storage_buffer_offset_alignment as usize)
            || plan.target.dtype == Dtype::F16 && !device.info().f16
        {
            let what = format!("the plan was made for another device than {}", device.info());
            return Err(Error::Internal(what));
        }
        let schema = Schema::new(&plan)?;
        let dispatches: Vec<_> = (schema.steps.iter().flatten())
            .chain(schema.picture.iter().flat_map(PictureSchema::dispatches))
            .collect();
        let pipelines = &device.inner.pipelines;
        let shaders: Vec<_> = dispatches.iter().map(|dispatch| &dispatch.shader).collect();
        pipelines.prepare(raw, &shaders).await?;
        pipelines.check(dispatches.iter().map(|dispatch| (&dispatch.shader, &dispatch.params)))?;

        let mut arena = Vec::new();
        for &bytes in &schema.blocks {
            let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
            arena.push(allocate(device, "intermediates", bytes, usage).await?);
        }
        let mut weights = Vec::new();
        for &bytes in &schema.weights {
            weights
                .push(allocate(device, "weights", bytes, Usage::STORAGE | Usage::COPY_DST).await?);
        }
        let usage = Usage::UNIFORM | Usage::COPY_DST;
        let params = allocate(device, "parameters", schema.params, usage).await?;
        let usage = Usage::MAP_READ | Usage::COPY_DST;
        let readback = allocate(device, "results", schema.readback, usage).await?;
        upload_constants(device, &plan, &schema, &weights)?;
        let bytes = (schema.steps.iter().flatten()).map(|dispatch| copied(&plan, dispatch).1).max();
        let copies = match bytes {
            Some(bytes @ 1..) => {
                let usage = Usage::STORAGE | Usage::COPY_DST;
                Some(allocate(device, "copies", bytes, usage).await?)
            }
            _ => None,
        };

        let mut binder = Binder {
            device,
            plan: &plan,
            schema: &schema,
            next: 0,
            arena: &arena,
            weights: &weights,
            params: &params,
            copies: copies.as_ref(),
            picture: None,
        };
        let mut steps = Vec::new();
        for dispatches in &schema.steps {
            let launches = dispatches.iter().map(|dispatch| binder.bind(dispatch));
            steps.push(launches.collect::<Result<Vec<_>>>()?);
        }
        let mut picture = None;
        if let Some(schema) = &schema.picture {
            let usage = Usage::STORAGE | Usage::COPY_DST;
            let bytes_in = allocate(device, "picture", schema.bytes_in, usage).await?;
            let params = binder.next;
            binder.picture = Some((&bytes_in, None));
            let input = binder.bind(&schema.input)?;
            let mut output = None;
            if let Some(out) = &schema.output {
                let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
                let bytes = allocate(device, "picture", schema.bytes_out(), usage).await?;
                let flag = out.flag;
                binder.picture = Some((&bytes_in, Some((&bytes, flag))));
                let launch = binder.bind(&out.dispatch)?;
                output = Some(PictureOut { bytes, launch, flag });
            }
            picture = Some(Picture { bytes_in, input, output, params });
        }
        device.inner.queue.submit([]);
        device.check()?;
        let submissions = submissions(&plan, device);
        Ok(Self {
            device: device.clone(),
            plan,
            arena,
            weights,
            params,
            readback,
            copies,
            picture,
            steps,
            submissions,
            began: None,
            took: None,
            formats: None,
            rows: None,
            watch: Watch::default(),
            step_times: Vec::new(),
        })
    }

    /// [`new`](Self::new) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new_blocking(device: &Device, plan: Arc<Plan>) -> Result<Self> {
        crate::blocking::block_on(Self::new(device, plan))
    }

    /// The plan that it executes.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Bytes that it holds on the device; [`predict`](super::predict) tells them beforehand. The
    /// driver's and wgpu's own staging memory for uploads comes on top.
    pub fn memory(&self) -> Memory {
        let sum = |buffers: &[Buffer]| buffers.iter().map(Buffer::bytes).sum();
        let out = self.picture.iter().flat_map(|p| &p.output).map(|output| &output.bytes);
        let picture = self.picture.iter().map(|p| &p.bytes_in).chain(out);
        let picture = picture.chain(&self.rows).chain(&self.copies);
        Memory {
            weights: sum(&self.weights),
            arena: sum(&self.arena),
            params: self.params.bytes(),
            staging: self.readback.bytes() + picture.map(Buffer::bytes).sum::<usize>(),
        }
    }

    /// Runs the network on one tensor per input, each in NCHW order; returns the outputs so.
    ///
    /// # Errors
    /// [`Error::Input`] when an input has another size, [`Error::NonFinite`] when an output holds
    /// NaN or infinity, [`Error::DeviceLost`] or [`Error::Device`] when the device fails.
    pub async fn run(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        self.upload_inputs(inputs)?;
        self.submit_frame(&[], Self::copy_outputs).await?;
        let outputs = self.outputs().await?;
        if outputs.iter().flatten().any(|v| !v.is_finite()) {
            self.upload_inputs(inputs)?;
            return Err(self.find_non_finite().await?);
        }
        Ok(outputs)
    }

    /// What the steps yield goes where it can be read.
    pub(super) fn copy_outputs(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut at = 0;
        for view in &self.plan.outputs {
            self.copy_view(encoder, view, &self.readback, at);
            at += copied_bytes(&self.plan, view).len();
        }
    }

    /// What [`copy_outputs`](Self::copy_outputs) has copied, in NCHW order.
    pub(super) async fn outputs(&mut self) -> Result<Vec<Vec<f32>>> {
        let at = self.plan.outputs.iter().map(|view| copied_bytes(&self.plan, view).len()).sum();
        let outputs = read_back(&self.device, &self.readback, at, |bytes| {
            let mut at = 0;
            let views = self.plan.outputs.iter().map(|view| {
                let len = copied_bytes(&self.plan, view).len();
                at += len;
                self.decode_view(view, &bytes[at - len..at])
            });
            views.collect::<Vec<_>>()
        })
        .await?;
        self.finish();
        Ok(outputs)
    }

    /// The results of a run are there.
    pub(super) fn finish(&mut self) {
        self.took = self.began.take().map(|began| began.elapsed());
    }

    /// Steps of each submission. Where somebody watches, they stay apart: between them progress is
    /// reported, and a run can be cancelled.
    pub(super) fn groups(&self) -> Vec<Range<usize>> {
        let short = self.took.is_some_and(|took| took < SHORT) && self.watch.control.is_none();
        let whole = 0..self.steps.len();
        if short || self.submissions.is_empty() { vec![whole] } else { self.submissions.clone() }
    }

    /// [`run`](Self::run) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        crate::blocking::block_on(self.run(inputs))
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.encoder()
    }

    /// Submits all steps.
    #[cfg(test)]
    pub(super) async fn submit_steps(&mut self) -> Result<()> {
        self.submit_frame(&[], |_, _| ()).await
    }

    /// Submits `first`, all steps and what `last` records behind them, split so that no command
    /// buffer runs for long. Where somebody may cancel, only two submissions are under way at a time:
    /// what is submitted cannot be stopped.
    pub(super) async fn submit_frame(
        &mut self,
        first: &[Launch],
        last: impl FnOnce(&Self, &mut wgpu::CommandEncoder),
    ) -> Result<()> {
        self.step_times.clear();
        self.began = Some(Instant::now());
        let all = self.steps.len();
        let queue = self.device.inner.queue.clone();
        if self.watch.time_steps && self.device.info().timestamps {
            self.watch.report(0, all)?;
            self.submit(first);
            let times = self.profile().await?;
            self.step_times.extend(times.iter().map(|step| step.time));
            let mut encoder = self.encoder();
            last(self, &mut encoder);
            queue.submit([encoder.finish()]);
            return self.watch.report(all, all);
        }
        let (mut before, mut last) = (Some(first), Some(last));
        let mut under_way = None;
        for range in self.groups() {
            self.watch.report(range.start, all)?;
            let mut encoder = self.encoder();
            let launches = before.take().unwrap_or_default().iter();
            let launches = launches.chain(self.steps[range.clone()].iter().flatten());
            record(&mut encoder, launches, None);
            if range.end == all
                && let Some(last) = last.take()
            {
                last(self, &mut encoder);
            }
            let index = queue.submit([encoder.finish()]);
            if self.watch.control.is_some()
                && let Some(index) = under_way.replace(index)
            {
                finished(&self.device, index).await?;
            }
        }
        self.watch.report(all, all)
    }

    pub(super) fn submit<'a>(
        &self,
        launches: impl IntoIterator<Item = &'a Launch>,
    ) -> wgpu::SubmissionIndex {
        let mut encoder = self.encoder();
        record(&mut encoder, launches, None);
        self.device.inner.queue.submit([encoder.finish()])
    }

    /// Copies the whole words of `view` to byte `at` of `buffer`.
    pub(super) fn copy_view(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        view: &View,
        buffer: &Buffer,
        at: usize,
    ) {
        let bytes = copied_bytes(&self.plan, view);
        let block = self.plan.storages[view.storage.index()].block;
        let (from, len) = (bytes.start as u64, bytes.len() as u64);
        encoder.copy_buffer_to_buffer(&self.arena[block].raw, from, &buffer.raw, at as u64, len);
    }

    /// The values of `view` among the bytes that [`copy_view`](Self::copy_view) copied, without
    /// the gaps between samples.
    pub(super) fn decode_view(&self, view: &View, bytes: &[u8]) -> Vec<f32> {
        let storage = &self.plan.storages[view.storage.index()];
        let size = storage.dtype.size();
        let first = storage.offset + view.offset * size - copied_bytes(&self.plan, view).start;
        let mut values = Vec::with_capacity(view.shape.len());
        let mut planes = Vec::new();
        for n in 0..view.shape.n {
            let start = first + n * view.batch_stride * size;
            let sample = &bytes[start..start + view.shape.sample() * size];
            match storage.dtype {
                Dtype::F32 => {
                    let words = sample.as_chunks::<4>().0.iter();
                    values.extend(words.map(|b| f32::from_le_bytes(*b)));
                }
                Dtype::F16 => {
                    let at = values.len();
                    values.resize(at + view.shape.sample(), 0.0);
                    // Eight at a time, where the processor can. What is mapped begins at a whole word.
                    cast_slice::<u8, f16>(sample).convert_to_f32_slice(&mut values[at..]);
                }
            }
            if view.blocked {
                let own = values.len() - view.shape.sample();
                planes.clear();
                planes.extend(places(view).map(|place| values[own + place]));
                values[own..].copy_from_slice(&planes);
            }
        }
        values
    }

    pub(super) fn upload_inputs(&self, inputs: &[&[f32]]) -> Result<()> {
        let views = &self.plan.inputs;
        if inputs.len() != views.len() {
            let what = format!("the network takes {} inputs, got {}", views.len(), inputs.len());
            return Err(Error::Input(what));
        }
        for (view, values) in views.iter().zip(inputs) {
            if values.len() != view.shape.len() {
                let what = format!("an input is {}, got {} values", view.shape, values.len());
                return Err(Error::Input(what));
            }
        }
        for (index, storage) in self.plan.storages.iter().enumerate() {
            let parts: Vec<_> = (views.iter().zip(inputs))
                .filter(|(view, _)| view.storage.index() == index)
                .collect();
            let target = &self.arena.get(storage.block);
            let (Some(buffer), false) = (target, parts.is_empty()) else {
                continue;
            };
            let queue = &self.device.inner.queue;
            let offset = storage.offset as u64;
            match (&parts[..], storage.dtype) {
                ([(view, values)], Dtype::F32)
                    if view.shape.n == 1 || view.batch_stride == view.shape.sample() =>
                {
                    let offset = offset + view.offset as u64 * 4;
                    queue.write_buffer(&buffer.raw, offset, cast_slice(values));
                }
                // Whole words only: parts of a shared storage are uploaded together.
                _ => {
                    let mut all = vec![0.0; storage.len];
                    for (view, values) in parts {
                        for (n, sample) in values.chunks_exact(view.shape.sample()).enumerate() {
                            let start = view.offset + n * view.batch_stride;
                            for (value, place) in sample.iter().zip(places(view)) {
                                all[start + place] = *value;
                            }
                        }
                    }
                    queue.write_buffer(&buffer.raw, offset, &encode(&all, storage.dtype));
                }
            }
        }
        Ok(())
    }
}

/// Where the values of a sample of `view` stand, in NCHW order.
fn places(view: &View) -> impl Iterator<Item = usize> {
    let (view, plane) = (*view, view.shape.plane());
    (0..view.shape.sample()).map(move |at| view.place(at / plane, at % plane))
}

async fn allocate(device: &Device, label: &str, bytes: usize, usage: Usage) -> Result<Buffer> {
    device.inner.allocator.allocate(&device.inner.raw, label, bytes, usage).await
}

/// Steps in groups of about as much work as a submission may hold on `device`.
fn submissions(plan: &Plan, device: &Device) -> Vec<Range<usize>> {
    let software = device.info().is_software();
    let limit = if software { SOFTWARE_WORK_PER_SUBMISSION } else { WORK_PER_SUBMISSION };
    let mut ranges = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (index, step) in plan.steps.iter().enumerate() {
        sum += plan.multiply_adds(step);
        if sum >= limit {
            ranges.push(start..index + 1);
            (start, sum) = (index + 1, 0);
        }
    }
    if start < plan.steps.len() {
        ranges.push(start..plan.steps.len());
    }
    ranges
}
