//! A device and pictures of the embedding program.

use pentimento::wgpu::util::DeviceExt as _;
use pentimento::wgpu::{self, BufferUsages, TextureUsages};
use pentimento::{Engine, EngineOptions, Error, GpuPicture, Model, PixelOrder, Precision, Session};

use crate::{cpu, model, picture};

/// What an app has: a device of its own, not opened for this library.
struct App {
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
    engine: Engine,
}

impl App {
    fn open() -> Option<Self> {
        pollster::block_on(async {
            let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
            let instance = wgpu::Instance::new(descriptor);
            match instance.request_adapter(&Default::default()).await {
                Ok(adapter) => Some(Self::on(adapter)),
                Err(error) => {
                    crate::support::skip(format_args!("what GPUs compute: {error}"));
                    None
                }
            }
        })
    }

    fn on(adapter: wgpu::Adapter) -> Self {
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))
            .expect("an adapter opens");
        let options = EngineOptions::new().precision(Precision::F32);
        let engine = Engine::from_wgpu(&device, &queue, &options).expect("WebGPU's defaults");
        Self { adapter, device, queue, engine }
    }

    /// `rgb` with four bytes per pixel, in a buffer with `offset` and `stride`.
    fn buffer(&self, bytes: &[u8], usage: BufferUsages) -> wgpu::Buffer {
        let descriptor = wgpu::util::BufferInitDescriptor { label: None, contents: bytes, usage };
        self.device.create_buffer_init(&descriptor)
    }

    fn texture(
        &self,
        [width, height]: [u32; 2],
        format: wgpu::TextureFormat,
        usage: TextureUsages,
    ) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage,
            view_formats: &[],
        })
    }

    /// The bytes of a buffer that has the usage `COPY_SRC`.
    fn read(&self, buffer: &wgpu::Buffer) -> Vec<u8> {
        let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
        let copy = self.buffer(&vec![0; buffer.size() as usize], usage);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &copy, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        copy.slice(..).map_async(wgpu::MapMode::Read, |result| result.expect("mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("done");
        copy.slice(..).get_mapped_range().expect("mapped").to_vec()
    }

    /// Rows of a texture of four bytes per pixel.
    fn read_texture(&self, texture: &wgpu::Texture) -> Vec<u8> {
        let (width, height) = (texture.width(), texture.height());
        let stride = (4 * width).next_multiple_of(256);
        let size = u64::from(stride * height);
        let usage = BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let buffer = self.buffer(&vec![0; size as usize], usage);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(stride),
            rows_per_image: None,
        };
        let target = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), target, texture.size());
        self.queue.submit([encoder.finish()]);
        let rows = self.read(&buffer);
        rows.chunks(stride as usize).flat_map(|row| row[..4 * width as usize].to_vec()).collect()
    }
}

/// Four bytes per pixel, in this order.
fn with_alpha(rgb: &[u8], order: PixelOrder, alpha: u8) -> Vec<u8> {
    let pixels = rgb.as_chunks::<3>().0.iter();
    let ordered = |&[r, g, b]: &[u8; 3]| match order {
        PixelOrder::Rgba => [r, g, b, alpha],
        PixelOrder::Bgra => [b, g, r, alpha],
    };
    pixels.flat_map(ordered).collect()
}

/// An upscaler, for sizes whose rows textures pad.
fn upscaler() -> Option<Model> {
    let shared = crate::support::shared()?;
    Some(Model::open(shared.join("models/realesr-animevideov3.pth")).expect("a model"))
}

#[test]
fn buffers_and_textures_of_the_app_are_restored_where_they_are() {
    let Some(app) = App::open() else { return };
    let (device, queue) = (&app.device, &app.queue);
    for (model, [width, height]) in [(Some(model()), [32_u32, 32_u32]), (upscaler(), [19, 10])] {
        let Some(model) = model else { continue };
        let mut session =
            Session::new(&app.engine, &model, height as usize, width as usize).expect("a session");
        let rgb = picture(5, (width * height * 3) as usize);
        let expected = session.run(&rgb).expect("a picture");
        let (out_height, out_width) = session.output_size();
        let out_size = [out_width as u32, out_height as u32];

        // A buffer with an offset and gaps between rows, blue first; out come rows with gaps too.
        let (offset, gap) = (12_usize, 20);
        let mut bytes = vec![7; offset];
        for row in with_alpha(&rgb, PixelOrder::Bgra, 9).chunks(4 * width as usize) {
            bytes.extend(row.iter().copied().chain(vec![7; gap]));
        }
        let input = app.buffer(&bytes, BufferUsages::COPY_SRC);
        let stride = 4 * out_width + gap;
        let output = app.buffer(
            &vec![7; offset + stride * out_height],
            BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
        );
        let picture = |buffer, width: usize, order| GpuPicture::Buffer {
            buffer,
            offset: offset as u64,
            bytes_per_row: (4 * width + gap) as u64,
            order,
        };
        session
            .run_on_gpu(
                picture(&input, width as usize, PixelOrder::Bgra),
                picture(&output, out_width, PixelOrder::Rgba),
            )
            .expect("a picture");
        let mut wanted = vec![7; offset];
        for row in with_alpha(&expected, PixelOrder::Rgba, 255).chunks(4 * out_width) {
            wanted.extend(row.iter().copied().chain(vec![7; gap]));
        }
        assert!(app.read(&output) == wanted, "{width}×{height} in buffers");

        // Textures; what the app submitted before is done before.
        let camera = app.texture(
            [width, height],
            wgpu::TextureFormat::Rgba8UnormSrgb,
            TextureUsages::COPY_SRC | TextureUsages::COPY_DST,
        );
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(4 * width),
            rows_per_image: None,
        };
        let pixels = with_alpha(&rgb, PixelOrder::Rgba, 255);
        queue.write_texture(camera.as_image_copy(), &pixels, layout, camera.size());
        let usage = TextureUsages::COPY_DST | TextureUsages::COPY_SRC;
        let screen = app.texture(out_size, wgpu::TextureFormat::Bgra8Unorm, usage);
        let run =
            session.run_on_gpu_async(GpuPicture::Texture(&camera), GpuPicture::Texture(&screen));
        pollster::block_on(run).expect("a picture");
        let wanted = with_alpha(&expected, PixelOrder::Bgra, 255);
        assert!(app.read_texture(&screen) == wanted, "{width}×{height} in textures");

        // What the app did wrong is said, not handed to its handler for errors.
        let small = app.texture([8, 8], wgpu::TextureFormat::Rgba8Unorm, usage);
        let floats = app.texture(out_size, wgpu::TextureFormat::Rgba16Float, usage);
        let written_only =
            app.texture([width, height], wgpu::TextureFormat::Rgba8Unorm, TextureUsages::COPY_DST);
        let foreign = App::on(app.adapter.clone());
        let foreign = foreign.buffer(&bytes, BufferUsages::COPY_SRC);
        let screen = GpuPicture::Texture(&screen);
        let buffer = |offset, bytes_per_row| GpuPicture::Buffer {
            buffer: &input,
            offset,
            bytes_per_row,
            order: PixelOrder::Rgba,
        };
        let row = u64::from(4 * width);
        for (input, output, part) in [
            (GpuPicture::Texture(&small), screen, "8 × 8"),
            (GpuPicture::Texture(&camera), GpuPicture::Texture(&floats), "Rgba16Float"),
            (GpuPicture::Texture(&written_only), screen, "COPY_SRC"),
            (buffer(1, row), screen, "multiples of 4"),
            (buffer(0, row - 4), screen, "does not hold"),
            (buffer(1 << 40, row), screen, "does not hold"),
            (buffer(0, u64::MAX / 4 * 4), screen, "does not hold"),
            (picture(&foreign, width as usize, PixelOrder::Bgra), screen, "cannot be used"),
        ] {
            let error = session.run_on_gpu(input, output).expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
        // And the session still works.
        assert!(session.run(&rgb).expect("a picture") == expected);
    }
    assert!(device.limits().max_buffer_size > 0);
}

#[test]
fn the_cpu_and_weak_devices_refuse() {
    let mut session = Session::new(&cpu(), &model(), 0, 0).expect("a session");
    let Some(app) = App::open() else { return };
    let texture = app.texture([32, 32], wgpu::TextureFormat::Rgba8Unorm, TextureUsages::COPY_DST);
    let picture = GpuPicture::Texture(&texture);
    let error = session.run_on_gpu(picture, picture).expect_err("the CPU");
    assert!(matches!(error, Error::Input(_)), "{error}");

    let weak = pollster::block_on(async {
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        let instance = wgpu::Instance::new(descriptor);
        let adapter = instance.request_adapter(&Default::default()).await.expect("as before");
        let required_limits = wgpu::Limits::downlevel_webgl2_defaults();
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        adapter.request_device(&descriptor).await.expect("a weak device")
    });
    let error = Engine::from_wgpu(&weak.0, &weak.1, &EngineOptions::default());
    assert!(matches!(error, Err(Error::Device(_))), "{error:?}");
}
