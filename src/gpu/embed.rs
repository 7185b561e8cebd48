//! For programs that have a GPU open: their device, and pictures that stay on it.

use super::executor::Executor;
use super::mapping::read_back;
use super::memory::Buffer;
use crate::pixels::PixelFormat;
use crate::{Error, Result};

/// Which colour comes first in a pixel of four bytes; the fourth is not read, and written as 255.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PixelOrder {
    /// Red, green, blue, alpha.
    Rgba,
    /// Blue, green, red, alpha.
    Bgra,
}

/// A picture in the memory of a GPU that the embedding program owns. Bytes are as in a picture
/// file: sRGB where it is in sRGB. It must be of the engine's device, or at least of a device of the
/// same `wgpu::Instance`, which is told apart.
///
/// ```
/// use pentimento::wgpu::{self, TextureUsages as Usage};
/// use pentimento::{Engine, EngineOptions, GpuPicture, Model, Session};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { pollster::block_on(async {
/// let instance =
///     wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
/// let Ok(adapter) = instance.request_adapter(&Default::default()).await else {
///     return Ok(()); // no GPU
/// };
/// let (device, queue) = adapter.request_device(&Engine::wgpu_descriptor(&adapter)).await?;
/// let engine = Engine::from_wgpu(&device, &queue, &EngineOptions::default())?;
/// let model = Model::open("tests/goldens/mmrbnet/default/checkpoint.safetensors")?;
/// let mut session = Session::new(&engine, &model, 16, 16)?;
/// let texture = |usage| {
///     device.create_texture(&wgpu::TextureDescriptor {
///         label: None,
///         size: wgpu::Extent3d { width: 16, height: 16, depth_or_array_layers: 1 },
///         mip_level_count: 1,
///         sample_count: 1,
///         dimension: wgpu::TextureDimension::D2,
///         format: wgpu::TextureFormat::Rgba8UnormSrgb,
///         usage,
///         view_formats: &[],
///     })
/// };
/// let camera = texture(Usage::COPY_SRC | Usage::RENDER_ATTACHMENT);
/// let screen = texture(Usage::COPY_DST | Usage::TEXTURE_BINDING);
/// session.run_on_gpu(GpuPicture::Texture(&camera), GpuPicture::Texture(&screen))?;
/// # Ok(()) }) }
/// ```
#[derive(Clone, Copy, Debug)]
pub enum GpuPicture<'a> {
    /// Pixels of four bytes in a buffer with the usage `COPY_SRC` (input) or `COPY_DST` (output).
    Buffer {
        /// Holds all rows.
        buffer: &'a wgpu::Buffer,
        /// Byte of the first pixel, a multiple of 4.
        offset: u64,
        /// From the beginning of a row to that of the next, a multiple of 4.
        bytes_per_row: u64,
        /// Of each pixel.
        order: PixelOrder,
    },
    /// The first layer of the largest level of a texture with the usage `COPY_SRC` (input) or
    /// `COPY_DST` (output): RGBA or BGRA with 8 bits each, sRGB or not, of the network's size.
    Texture(&'a wgpu::Texture),
}

/// What a picture on the GPU must be.
struct Wanted {
    height: u32,
    width: u32,
    /// "input" or "output".
    name: &'static str,
    buffer_usage: wgpu::BufferUsages,
    texture_usage: wgpu::TextureUsages,
}

impl Wanted {
    /// Bytes of a row of pixels.
    fn row(&self) -> u64 {
        4 * u64::from(self.width)
    }

    /// Which colour comes first in all pictures of a batch.
    fn order(&self, pictures: &[GpuPicture<'_>]) -> Result<PixelOrder> {
        let mut orders = pictures.iter().map(|picture| self.check(picture));
        let first = orders.next().unwrap_or(Ok(PixelOrder::Rgba))?;
        for order in orders {
            if order? != first {
                let what = format!("the {} pictures differ in which colour comes first", self.name);
                return Err(Error::Input(what));
            }
        }
        Ok(first)
    }

    /// Which colour comes first.
    fn check(&self, picture: &GpuPicture<'_>) -> Result<PixelOrder> {
        let fail = |what: String| Err(Error::Input(format!("the {} {what}", self.name)));
        let (row, height) = (self.row(), u64::from(self.height));
        match *picture {
            GpuPicture::Buffer { buffer, offset, bytes_per_row, order } => {
                let end = (height - 1)
                    .checked_mul(bytes_per_row)
                    .and_then(|last| last.checked_add(offset)?.checked_add(row));
                if !offset.is_multiple_of(4) || !bytes_per_row.is_multiple_of(4) {
                    return fail("buffer's offset and row length must be multiples of 4".into());
                }
                if bytes_per_row < row || end.is_none_or(|end| end > buffer.size()) {
                    return fail(format!(
                        "buffer of {} bytes does not hold {} × {} pixels, {bytes_per_row} bytes \
                         per row, from byte {offset}",
                        buffer.size(),
                        self.width,
                        self.height
                    ));
                }
                if !buffer.usage().contains(self.buffer_usage) {
                    return fail(format!("buffer needs the usage {:?}", self.buffer_usage));
                }
                Ok(order)
            }
            GpuPicture::Texture(texture) => {
                if (texture.width(), texture.height()) != (self.width, self.height)
                    || texture.sample_count() != 1
                    || texture.dimension() != wgpu::TextureDimension::D2
                {
                    return fail(format!(
                        "texture has {} × {} pixels, it must have {} × {} without multisampling",
                        texture.width(),
                        texture.height(),
                        self.width,
                        self.height
                    ));
                }
                if !texture.usage().contains(self.texture_usage) {
                    return fail(format!("texture needs the usage {:?}", self.texture_usage));
                }
                match texture.format().remove_srgb_suffix() {
                    wgpu::TextureFormat::Rgba8Unorm => Ok(PixelOrder::Rgba),
                    wgpu::TextureFormat::Bgra8Unorm => Ok(PixelOrder::Bgra),
                    other => fail(format!("texture is {other:?}, not RGBA or BGRA of 8 bits")),
                }
            }
        }
    }
}

/// `pixels` for four bytes in this order.
fn ordered(pixels: PixelFormat, order: PixelOrder) -> PixelFormat {
    PixelFormat { channels: 4, bgr: pixels.bgr != (order == PixelOrder::Bgra), ..pixels }
}

/// Bytes from row to row of a texture in a buffer.
fn padded(row: u64) -> u64 {
    row.next_multiple_of(u64::from(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT))
}

impl Executor {
    /// Runs the network on pictures that stay on the device, as many as it takes at a time. Only four
    /// bytes come back: whether every value was finite.
    ///
    /// # Errors
    /// [`Error::Input`] when the network does not take and yield so many pictures, or a buffer or
    /// texture has another size, format or usage; [`Error::Device`] when it belongs to another
    /// device; otherwise as [`run`](Self::run).
    pub async fn run_on_device(
        &mut self,
        inputs: &[GpuPicture<'_>],
        outputs: &[GpuPicture<'_>],
        pixels: PixelFormat,
    ) -> Result<()> {
        let (x, y) = (self.plan.inputs[0].shape, self.plan.outputs[0].shape);
        self.picture_out()?;
        if [inputs.len(), outputs.len()] != [x.n; 2] {
            let (takes, given) = (x.n, inputs.len());
            let what =
                format!("the network takes {takes} pictures at a time, and {given} are given");
            return Err(Error::Input(what));
        }
        let from = Wanted {
            height: x.h as u32,
            width: x.w as u32,
            name: "input",
            buffer_usage: wgpu::BufferUsages::COPY_SRC,
            texture_usage: wgpu::TextureUsages::COPY_SRC,
        };
        let to = Wanted {
            height: y.h as u32,
            width: y.w as u32,
            name: "output",
            buffer_usage: wgpu::BufferUsages::COPY_DST,
            texture_usage: wgpu::TextureUsages::COPY_DST,
        };
        let orders = [from.order(inputs)?, to.order(outputs)?];
        let all = inputs.iter().map(|input| (input, &from));
        let all: Vec<_> = all.chain(outputs.iter().map(|output| (output, &to))).collect();
        self.prepare_rows(&all).await?;
        self.set_formats(ordered(pixels, orders[0]), ordered(pixels, orders[1]))?;

        let mut encoder = self.encoder();
        for (index, input) in inputs.iter().enumerate() {
            self.copy_in(&mut encoder, input, index, &from)?;
        }
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.picture()?.input.record(&mut pass);
        }
        self.submit_checked(encoder).await?;
        self.submit_frame(&[], |_, _| ()).await?;

        let picture = self.picture_out()?;
        let (bytes, flag) = (&picture.bytes.raw, picture.flag as u64);
        let mut encoder = self.encoder();
        encoder.clear_buffer(bytes, flag, Some(4));
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            picture.launch.record(&mut pass);
        }
        encoder.copy_buffer_to_buffer(bytes, flag, &self.readback.raw, 0, 4);
        for (index, output) in outputs.iter().enumerate() {
            self.copy_out(&mut encoder, output, index, &to)?;
        }
        self.submit_checked(encoder).await?;
        let finite = read_back(&self.device, &self.readback, 4, |bytes| bytes == [0; 4]).await?;
        self.finish();
        if !finite {
            self.submit([&self.picture()?.input]);
            return Err(self.find_non_finite().await?);
        }
        Ok(())
    }

    /// Submits commands on what the embedding program gave; it may be of another device.
    async fn submit_checked(&self, encoder: wgpu::CommandEncoder) -> Result<()> {
        let scope = self.device.inner.raw.push_error_scope(wgpu::ErrorFilter::Validation);
        self.device.inner.queue.submit([encoder.finish()]);
        match scope.pop().await {
            Some(error) => {
                Err(Error::Device(format!("the picture on the GPU cannot be used: {error}")))
            }
            None => Ok(()),
        }
    }

    /// Room for textures whose rows, as they are copied, have gaps.
    async fn prepare_rows(&mut self, pictures: &[(&GpuPicture<'_>, &Wanted)]) -> Result<()> {
        let gaps = pictures.iter().filter(|(picture, wanted)| {
            matches!(picture, GpuPicture::Texture(_)) && padded(wanted.row()) != wanted.row()
        });
        let needed = gaps.map(|(_, w)| padded(w.row()) * u64::from(w.height)).max().unwrap_or(0);
        let there = self.rows.as_ref().map_or(0, Buffer::bytes);
        if needed as usize > there {
            let inner = &self.device.inner;
            let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            self.rows = None;
            let rows = inner.allocator.allocate(&inner.raw, "rows", needed as usize, usage).await?;
            self.rows = Some(rows);
        }
        Ok(())
    }

    /// Where a texture's rows go on their way.
    fn rows(&self) -> Result<&wgpu::Buffer> {
        let missing = || Error::Internal("no room was made for a texture's rows".to_owned());
        self.rows.as_ref().map(|rows| &rows.raw).ok_or_else(missing)
    }

    /// The program's picture becomes the bytes of sample `index` that `image_to_tensor` reads.
    fn copy_in(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        input: &GpuPicture<'_>,
        index: usize,
        wanted: &Wanted,
    ) -> Result<()> {
        let bytes = &self.picture()?.bytes_in.raw;
        let (row, height) = (wanted.row(), u64::from(wanted.height));
        let at = index as u64 * row * height;
        match *input {
            GpuPicture::Buffer { buffer, offset, bytes_per_row, .. } => {
                let (offsets, strides) = ([offset, at], [bytes_per_row, row]);
                copy_rows(encoder, [buffer, bytes], offsets, strides, row, height);
            }
            GpuPicture::Texture(texture) => {
                let stride = padded(row);
                let (rows, start) = if stride == row { (bytes, at) } else { (self.rows()?, 0) };
                encoder.copy_texture_to_buffer(
                    texture.as_image_copy(),
                    in_buffer(rows, start, stride),
                    extent(wanted),
                );
                if stride != row {
                    copy_rows(encoder, [rows, bytes], [0, at], [stride, row], row, height);
                }
            }
        }
        Ok(())
    }

    /// The bytes that `tensor_to_image` wrote of sample `index` become the program's picture.
    fn copy_out(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        output: &GpuPicture<'_>,
        index: usize,
        wanted: &Wanted,
    ) -> Result<()> {
        let bytes = &self.picture_out()?.bytes.raw;
        let (row, height) = (wanted.row(), u64::from(wanted.height));
        let at = index as u64 * row * height;
        match *output {
            GpuPicture::Buffer { buffer, offset, bytes_per_row, .. } => {
                let (offsets, strides) = ([at, offset], [row, bytes_per_row]);
                copy_rows(encoder, [bytes, buffer], offsets, strides, row, height);
            }
            GpuPicture::Texture(texture) => {
                let stride = padded(row);
                let (rows, start) = if stride == row { (bytes, at) } else { (self.rows()?, 0) };
                if stride != row {
                    copy_rows(encoder, [bytes, rows], [at, 0], [row, stride], row, height);
                }
                encoder.copy_buffer_to_texture(
                    in_buffer(rows, start, stride),
                    texture.as_image_copy(),
                    extent(wanted),
                );
            }
        }
        Ok(())
    }
}

/// Copies `height` rows of `row` bytes between two buffers, each with its offset and stride.
fn copy_rows(
    encoder: &mut wgpu::CommandEncoder,
    [from, to]: [&wgpu::Buffer; 2],
    [from_offset, to_offset]: [u64; 2],
    [from_stride, to_stride]: [u64; 2],
    row: u64,
    height: u64,
) {
    if from_stride == row && to_stride == row {
        encoder.copy_buffer_to_buffer(from, from_offset, to, to_offset, row * height);
        return;
    }
    for y in 0..height {
        let (start, target) = (from_offset + y * from_stride, to_offset + y * to_stride);
        encoder.copy_buffer_to_buffer(from, start, to, target, row);
    }
}

fn in_buffer(buffer: &wgpu::Buffer, offset: u64, stride: u64) -> wgpu::TexelCopyBufferInfo<'_> {
    let bytes_per_row = Some(stride as u32);
    let layout = wgpu::TexelCopyBufferLayout { offset, bytes_per_row, rows_per_image: None };
    wgpu::TexelCopyBufferInfo { buffer, layout }
}

fn extent(wanted: &Wanted) -> wgpu::Extent3d {
    wgpu::Extent3d { width: wanted.width, height: wanted.height, depth_or_array_layers: 1 }
}
