//! Everything that is public, used once with its full types: a change that breaks programs breaks
//! this file, and what becomes public must be added here. `cargo semver-checks` compares with a
//! published version on top of that.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use pentimento::photo::{
    self, AlignedFace, Batch, BatchReport, BlendMask, Density, Detection, Detector,
    DetectorOptions, Encoded, Encoding, Face, FaceParser, FaceSelection, Format, GivenFace, Kept,
    Landmarks, MAX_PIXELS, Metadata, Outcome, Page, PageKind, Pages, PagesWriter, PhotoOptions,
    PhotoRestorer, Picture, Pipeline, PipelineBuilder, Pose, ReadOptions, Restoration, Restored,
    RestoredPhoto, Restorer, Samples16, TileReport, Tracker,
};
use pentimento::{
    CodeFormerOptions, Control, DeviceInfo, Engine, EngineOptions, Error, GpuPicture, Memory,
    Model, ModelInfo, Options, PixelOrder, Precision, Resample, Result, Session, Shape, Task,
    Timings, Truncation, ValueRange, wgpu,
};

/// Compiled, never called.
#[allow(dead_code)]
fn pipeline(engine: &Engine, model: &Model) -> Result<Pipeline> {
    let builder: PipelineBuilder = Pipeline::builder(engine, model);
    let builder = builder.detector(model, DetectorOptions::default()).background(model);
    let builder = builder.parser(model).options(PhotoOptions::default()).given_faces().or_cpu();
    let _: Pipeline = pollster::block_on(Pipeline::builder(engine, model).prepare())?;
    let pipeline = builder.build()?;
    let _: &Engine = pipeline.engine();
    Ok(pipeline)
}

/// Compiled, never called.
#[allow(dead_code, clippy::too_many_lines)]
fn surface(device: &wgpu::Device, queue: &wgpu::Queue, adapter: &wgpu::Adapter) -> Result<()> {
    let options = EngineOptions::new()
        .device(String::new())
        .precision(Precision::Auto)
        .memory(0_usize)
        .cache(Path::new(""))
        .tuning(Path::new(""))
        .cooperative_matrices(true);
    let _ = [Precision::F32, Precision::F16];
    let engine: Engine = Engine::new(&options)?;
    let _: Engine = pollster::block_on(Engine::open(&options))?;
    let _: Engine = Engine::from_wgpu(device, queue, &options)?;
    let _: wgpu::DeviceDescriptor<'static> = Engine::wgpu_descriptor(adapter);
    let _: (u64, Option<usize>) = (engine.allocated(), engine.memory_budget());
    let _: Vec<String> = engine.take_notes();
    let _: Vec<DeviceInfo> = Engine::devices();
    let _: Vec<DeviceInfo> = pollster::block_on(Engine::all_devices());
    let info: &DeviceInfo = engine.device();
    let _: (Option<usize>, &String, &String, &String) =
        (info.index, &info.name, &info.backend, &info.kind);
    let _: (&String, &String, u64, u64, u32) =
        (&info.vendor, &info.driver, info.max_binding, info.max_buffer, info.workgroup_memory);
    let _: ([u32; 2], &Vec<&'static str>, bool, &String) =
        (info.subgroup_sizes, &info.features, info.default, &info.reason);

    let choices = Options {
        truncation: Some(Truncation { factor: 1.0_f32, mean: Vec::<f32>::new() }),
        resample: Some(Resample::Fir),
        slope: Some(0.1_f32),
        auxiliary: false,
        heads: Some(8_usize),
        codeformer: CodeFormerOptions { fidelity: Some(0.5_f32), adain: Some(true) },
        range: Some(ValueRange::Signed),
    };
    let model: Model = Model::open("")?;
    let _: Model = Model::open_with(Path::new(""), &choices)?;
    let _: Model = Model::from_bytes(Vec::<u8>::new(), "", &choices)?;
    let info: ModelInfo = model.info();
    let _: (&'static str, Task, Vec<(&'static str, String)>, usize, usize) =
        (info.architecture, info.task, info.parameters, info.tensors, info.values);
    let _: (&'static str, Task, &'static [&'static str], Shape) =
        (model.architecture(), model.task(), model.outputs(), model.input_shape(1, 1));
    let _: Option<&'static [bool]> = model.face_classes();
    match model.task() {
        Task::RestoreFace { size } => _ = size,
        Task::Upscale { factor, radius, multiple, align } => {
            _ = [factor, radius, multiple, align];
        }
        Task::Generate { latent, size } => _ = [latent, size],
        Task::Parse { size, classes } => _ = [size, classes],
        Task::Detect { multiple } => _ = multiple,
    }

    let control: Control = Control::new();
    let _: Control = Control::with_progress(|_: f32| std::ops::ControlFlow::Break(()));
    control.cancel();
    let _: bool = control.is_cancelled();

    let mut session: Session = Session::new(&engine, &model, 1, 1)?;
    let _: Session = Session::for_shape(&engine, &model, Shape::new(1, 3, 1, 1))?;
    let _: Session = pollster::block_on(Session::prepare(&engine, &model, Shape::vector(1, 1)))?;
    session.set_control(Some(control.clone()));
    session.time_steps(true);
    let _: Vec<u8> = session.run(&[])?;
    let _: Vec<u8> = pollster::block_on(session.run_async(&[]))?;
    let _: Vec<Vec<f32>> = session.run_tensors(&[&[]])?;
    let _: Vec<Vec<f32>> = pollster::block_on(session.run_tensors_async(&[&[]]))?;
    let _: Vec<Vec<f32>> = session.run_to_tensors(&[])?;
    let _: Vec<Vec<f32>> = pollster::block_on(session.run_to_tensors_async(&[]))?;
    let texture: Option<&wgpu::Texture> = None;
    let buffer: Option<&wgpu::Buffer> = None;
    if let (Some(buffer), Some(texture)) = (buffer, texture) {
        let order = [PixelOrder::Rgba, PixelOrder::Bgra][0];
        let input = GpuPicture::Buffer { buffer, offset: 0, bytes_per_row: 0, order };
        session.run_on_gpu(input, GpuPicture::Texture(texture))?;
        pollster::block_on(session.run_on_gpu_async(input, input))?;
    }
    let Timings { total, steps } = session.timings();
    let _: (&Duration, &Vec<(String, Duration)>) = (total, steps);
    let _: (Shape, Shape, (usize, usize)) =
        (session.input_shape(), session.output_shape(), session.output_size());
    let shape: Shape = session.input_shape().with_channels(3).with_size(8, 8);
    let _: ([usize; 3], bool) = ([shape.len(), shape.plane(), shape.sample()], shape.is_empty());
    let Memory { weights, arena, total } = session.memory();
    let _: [usize; 3] = [weights, arena, total];

    let picture: Picture = photo::read(Path::new(""))?;
    let _: Picture = photo::decode(&[], Path::new(""))?;
    photo::write(&picture, Path::new(""))?;
    let (picture, metadata): (Picture, Metadata) = photo::read_with_metadata(Path::new(""))?;
    let _: (Picture, Metadata) = photo::decode_with_metadata(&[], Path::new(""))?;
    let _: Vec<u8> = photo::encode(&picture, &metadata, Path::new(""))?;
    let Metadata { exif, gray, gray_icc, deep, kept } = metadata;
    let _: ([Option<Vec<u8>>; 2], bool) = ([exif, gray_icc], gray);
    let Kept { quality, density, .. } = kept;
    let _: Option<(u32, u32)> = density.map(|Density { x, y }| (x, y));
    let reading: ReadOptions = ReadOptions::salvaging();
    let Page { picture, metadata: _, notes, delay } =
        photo::decode_page(&[], Path::new(""), &reading)?;
    let _: (Vec<String>, Option<Duration>) = (notes, delay);
    let mut pages: Pages = Pages::read(Path::new(""), &ReadOptions { salvage: false })?;
    pages.skip_to(0_usize);
    let _: (u32, Format) = (pages.plays(), pages.format_for(Path::new(""))?);
    let kinds = [PageKind::Single, PageKind::Page, PageKind::Frame];
    let _: (bool, bool) = (pages.is_several(), kinds.contains(&pages.kind()));
    let _: Option<Result<Page>> = Pages::open(Vec::new(), Path::new(""), &reading)?.next();
    let encoding = Encoding { quality, matte: [255_u8; 3] };
    let file = Cursor::new(Vec::new());
    let mut writer: PagesWriter<Cursor<Vec<u8>>> =
        PagesWriter::new(file, Path::new(""), PageKind::Page, 1_usize, 1_u32, encoding.clone())?;
    writer.write(&picture, &Metadata::default(), None::<Duration>)?;
    let _: Vec<String> = writer.finish()?;
    let Encoded { bytes, notes } =
        photo::encode_with(&picture, &Metadata::default(), Path::new(""), &encoding)?;
    let _: (Vec<u8>, Vec<String>, Option<Format>) = (bytes, notes, Format::of_bytes(&[]));
    if let Some(Samples16 { height, width, rgb, alpha }) = deep {
        let _: ([usize; 2], Vec<u16>, Option<Vec<u16>>) = ([height, width], rgb, alpha);
    }
    Format::of(Path::new(""))?.check_size(Path::new(""), 1, 1)?;
    let _ = [
        Format::Jpeg,
        Format::Png,
        Format::WebP,
        Format::Tiff,
        Format::Gif,
        Format::Bmp,
        Format::Pnm,
    ];
    let _: (usize, Picture) = (MAX_PIXELS, picture.resized(1, 1)?);
    let mut restorer: Restorer = Restorer::new(&engine, &model);
    restorer.set_control(None);
    let _: [usize; 2] = restorer.output_size(1, 1)?;
    let Restored { picture, tiles: TileReport { tile, tiles }, notes } =
        restorer.restore(&picture)?;
    let _: ([usize; 2], usize, Vec<String>) = (tile, tiles, notes);

    let selection = DetectorOptions { threshold: 0.8_f32, overlap: 0.4_f32, long_side: 640_usize };
    let mut detector: Detector = Detector::new(&engine, &model, selection)?;
    detector.set_control(None);
    let _: (usize, f32) = (detector.long_side(), detector.overlap());
    let _: Vec<Face> = detector.find(&picture)?;
    let _: Vec<Face> = pollster::block_on(detector.find_async(&picture))?;
    let _: Vec<Detection> = pollster::block_on(detector.detect_async(&picture))?;
    let face = Face { landmarks: [[0.0; 2]; 5], score: None, bounds: None };
    let _: (f32, f32) = (detector.ask(&picture, &face)?, detector.asked_score());
    let _: f32 = pollster::block_on(detector.ask_async(&picture, &face))?;
    let found: Vec<Detection> = detector.detect(&picture)?;
    let _: Vec<(f32, [f32; 4], [[f32; 2]; 5])> =
        found.iter().map(|face| (face.score, face.bounds, face.landmarks)).collect();
    let _: Option<Detection> = found.first().map(|face| face.scaled([1.0_f32; 2]));
    let mut parser: FaceParser = FaceParser::new(&engine, &model)?;
    let _: Vec<bool> = parser.parse(&[[0_u8; 3]], 1_usize)?;
    let _: Vec<bool> = pollster::block_on(parser.parse_async(&[[0_u8; 3]], 1_usize))?;
    let options = PhotoOptions {
        which: FaceSelection::All,
        smallest: 5.0_f64,
        strength: 1.0_f64,
        scale: 1_usize,
        grain: 0.5_f64,
        mask: BlendMask::Face,
    };
    let _ = [BlendMask::Oval, BlendMask::Square];
    let _ = [FaceSelection::Largest, FaceSelection::Central];
    let mut restorer: PhotoRestorer =
        PhotoRestorer::new(&engine, &model, Some(detector), Some(restorer), options)?
            .with_parser(parser)
            .with_batch(Batch::Faces(2_usize))?;
    let BatchReport { faces, together, alone } = restorer.batch();
    let _: ([usize; 3], usize, Batch) = ([faces, together, alone], Batch::MOST, Batch::Auto);
    restorer.set_control(None);
    let mut faces: Vec<Face> = restorer.find(&picture)?;
    let mut tracker = Tracker::new(0.85_f64);
    tracker.smooth(&mut faces);
    tracker.forget();
    let pointed = [GivenFace::Box([0.0_f32; 4]), GivenFace::Face(faces[0].clone())];
    let _: Vec<Face> = restorer.locate(&picture, &pointed)?;
    let _: Vec<Face> = pollster::block_on(restorer.locate_async(&picture, &pointed))?;
    let show = |_: &Outcome, shown: Option<&AlignedFace>| {
        let Some(AlignedFace { size, rgb, to_photo }) = shown else { return };
        let _: (&usize, &Vec<[u8; 3]>, &[[f64; 3]; 2]) = (size, rgb, to_photo);
    };
    let _: RestoredPhoto =
        pollster::block_on(restorer.restore_async(&picture, Some(&faces), show))?;
    let photos = [(&picture, Some(&faces[..]))];
    let _: Vec<Result<RestoredPhoto>> = restorer.restore_all(&photos);
    let _: Vec<Result<RestoredPhoto>> = pollster::block_on(restorer.restore_all_async(&photos));
    restorer.set_options(options)?;
    let _: &Session = restorer.session();
    let _: [usize; 2] = restorer.output_size(1, 1);
    let landmarks: Landmarks = [[0.0; 2]; 5];
    let face = Face { landmarks, score: Some(1.0), bounds: Some([0.0; 4]) };
    let _: f64 = face.eye_distance();
    let mut pipeline: Pipeline = pipeline(&engine, &model)?;
    pipeline.set_control(None);
    pipeline.set_options(*pipeline.options())?;
    let _: (bool, [usize; 2]) = (pipeline.is_photo(), pipeline.output_size(1, 1)?);
    let _: Vec<Face> = pipeline.find(&picture)?;
    let _: Vec<Face> = pollster::block_on(pipeline.find_async(&picture))?;
    let _: Vec<Face> = pipeline.locate(&picture, &pointed)?;
    let _: Vec<Face> = pollster::block_on(pipeline.locate_async(&picture, &pointed))?;
    let photos: [(&Picture, Option<&[Face]>); 1] = [(&picture, None)];
    let _: Vec<Result<Restoration>> = pipeline.restore_all(&photos);
    let _: Vec<Result<Restoration>> = pollster::block_on(pipeline.restore_all_async(&photos));
    let _: Option<BatchReport> = pipeline.batch();
    let Restoration { picture, faces, tiles, notes, .. } = pipeline.restore(&picture, None)?;
    let _: (Option<Vec<Outcome>>, Option<TileReport>, Vec<String>) = (faces, tiles, notes);
    let restored = pipeline.restore_async(&picture, None, |_, _| ());
    let _: Restoration = pollster::block_on(restored)?;
    let RestoredPhoto { faces, .. } = restorer.restore(&picture, Some(&[face]))?;
    let Some(Outcome { face, pose, turned: false, printed: false, skipped }) =
        faces.into_iter().next()
    else {
        return Ok(());
    };
    let Pose { yaw, pitch, roll } = Pose::of(&face.landmarks);
    let _: ([f64; 3], Pose, Option<String>) = ([yaw, pitch, roll], pose, skipped);
    Ok(())
}

#[test]
fn everything_public_is_used_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exported = ["lib.rs", "photo/mod.rs"].map(|file| exported(&root.join(file))).concat();
    let mut public: BTreeSet<String> = exported.into_iter().collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    let methods: Vec<String> = files.iter().flat_map(|file| methods(file, &public)).collect();
    public.extend(methods);
    for known in ["Session", "photo", "Picture", "PixelOrder", "encode", "run_on_gpu", "devices"] {
        assert!(public.contains(known), "{known} is public, only this test does not see it");
    }
    let (uses, _) = include_str!("surface.rs").split_once("#[test]").expect("this test");
    let used: BTreeSet<&str> = uses.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let missing: Vec<_> = public.iter().filter(|name| !used.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "use in surface() what is public, or hide it: {missing:?}");
}

/// What `file` names that others may use: its `pub use` and `pub mod`, and its own types.
fn exported(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a source file");
    let public = text.split(';').filter(|statement| !statement.contains("doc(hidden)"));
    let named = public.flat_map(|statement| {
        let of = |keyword| statement.split_once(keyword).map_or("", |(_, names)| names);
        let [used, module, own] = ["\npub use ", "\npub mod ", "\npub struct "].map(of);
        let used = used.rsplit("::{").next().unwrap_or(used).split([',', '}']);
        used.map(|name| name.rsplit("::").next().unwrap_or(name))
            .chain([module, own.split(' ').next().unwrap_or(own)])
    });
    named.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The public methods of `types` in `file`.
fn methods(file: &Path, types: &BTreeSet<String>) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a source file");
    let (mut ours, mut hidden, mut found) = (false, false, Vec::new());
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("impl ") {
            ours = head.strip_suffix(" {").is_some_and(|name| types.contains(name));
        }
        hidden |= line.starts_with("    #[") && line.contains("doc(hidden)");
        let Some((_, name)) = line.split_once("fn ") else { continue };
        if line.starts_with("    pub ") && !line.contains("pub(") && ours && !hidden {
            found.extend(name.split(['(', '<']).next().map(str::to_owned));
        }
        hidden = false;
    }
    found
}

fn sources(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Programs in C, Python and JavaScript read the library's sentences too, and have no flags.
#[test]
fn the_library_names_no_flags_of_the_command_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.retain(|file| !["cli", "bench"].iter().any(|room| file.starts_with(root.join(room))));
    assert!(files.len() > 100, "{} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        // Whoever reads a sentence can run the program that it names.
        let is_command = |line: &&str| line.contains("`pentimento ");
        let is_comment = |line: &&str| line.trim_start().starts_with("//");
        for line in text.lines().filter(|line| !is_comment(line) && !is_command(line)) {
            let flag = |at: usize| line[at + 2..].starts_with(|c: char| c.is_ascii_lowercase());
            let named = line.match_indices("--").any(|(at, _)| flag(at));
            assert!(!named, "{}: {line}", file.display());
        }
    }
}

#[test]
fn every_error_is_one_sentence() {
    let path = || "model.pth".into();
    let text = || "something".to_owned();
    for error in [
        Error::Io { action: "read", path: path(), source: std::io::ErrorKind::NotFound.into() },
        Error::Checkpoint { path: path(), what: text() },
        Error::Tensor { name: text(), what: text() },
        Error::Config { name: text(), what: text() },
        Error::UnknownArchitecture(text()),
        Error::Input(text()),
        Error::Image { path: path(), what: text() },
        Error::Device(text()),
        Error::DeviceLost(text()),
        Error::OutOfMemory { needed: 2, available: 1, hint: text() },
        Error::NonFinite { node: text() },
        Error::Cancelled,
        Error::Internal(text()),
    ] {
        let sentence = error.to_string();
        assert!(!sentence.is_empty() && !sentence.contains('\n'), "{sentence}");
    }
}
