//! Every variant of every kernel that a case or a network launches keeps its contract with the host.
//! No device is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cases;
use crate::bench::NETWORKS;
use crate::gpu::files::{Files, names};
use crate::gpu::ops::{
    block_luminance, conv_tests, grain_histogram, match_colours, paste, tone, warp_affine,
};
use crate::gpu::params::Params;
use crate::gpu::schema::Schema;
use crate::gpu::{Shader, contract, probe, shader};
use crate::plan::{Cooperative, Plan, Target};
use crate::tensor::Dtype;

/// A device of WebGPU's default limits, a large one, and such as have cooperative matrices.
fn targets() -> Vec<Target> {
    let small = Target::webgpu_defaults();
    let large = |lanes_and_side: Option<[usize; 2]>, workgroup_memory: usize| Target {
        workgroup_memory: workgroup_memory << 10,
        max_invocations: 1024,
        blocks: lanes_and_side.is_some(),
        cooperative: lanes_and_side.map(|[lanes, side]| Cooperative {
            side,
            lanes,
            narrowest: lanes.min(32),
        }),
        dtype: Dtype::F16,
        ..small.clone()
    };
    // NVIDIA, AMD, Apple, and Mesa's llvmpipe.
    let matrices = [([32, 16], 48), ([64, 16], 64), ([32, 8], 32), ([8, 8], 32)];
    let matrices = matrices.map(|(lanes_and_side, memory)| large(Some(lanes_and_side), memory));
    let mut targets = vec![small.clone(), Target { dtype: Dtype::F16, ..small.clone() }];
    targets.extend([large(None, 48), Target { dtype: Dtype::F32, ..large(None, 48) }]);
    targets.extend(matrices);
    targets
}

/// The parameters of each variant that is launched.
pub(super) fn launches() -> BTreeMap<Shader, Params> {
    let mut launches = BTreeMap::new();
    let networks: Vec<_> = (NETWORKS.iter())
        .map(|network| {
            let model = network.model().unwrap();
            let [h, w] = network.size;
            Arc::new(model.graph(model.input_shape(h, w)).unwrap())
        })
        .collect();
    for target in targets() {
        let mut plans = vec![cases::picture(target.clone())];
        let graphs = cases::all().into_iter().map(Arc::new).chain(networks.iter().cloned());
        plans.extend(graphs.map(|graph| Plan::new(graph, target.clone()).unwrap()));
        for plan in &plans {
            let Schema { steps, picture, .. } = Schema::new(plan).unwrap();
            let pictures = picture.iter().flat_map(|picture| picture.dispatches().cloned());
            let dispatches = steps.into_iter().flatten().chain(pictures);
            launches.extend(dispatches.map(|launch| (launch.shader, launch.params)));
        }
        let convolutions = conv_tests::launches(&target).into_iter();
        launches.extend(convolutions.map(|launch| (launch.shader, launch.params)));
        if let Some(matrices) = target.cooperative {
            let probes = probe::each(matrices).into_iter();
            launches.extend(probes.map(|launch| (launch.shader, launch.params)));
        }
    }
    let photos = [
        warp_affine::record([9, 7], [4, 6], 2, [0; 3]),
        grain_histogram::record([4, 6], [9, 0], 8),
        paste::record([4, 6], [9, 0], 8, [1.0, 0.0, 2.0]),
        tone::record(24),
        block_luminance::record(32, 16),
    ];
    let photos = photos.into_iter().chain(match_colours::record(32, 3));
    launches.extend(photos.map(|launch| (launch.shader, launch.params)));
    launches
}

#[test]
fn every_variant_is_valid_and_takes_what_is_written() {
    let launches = launches();
    let mut wrong = BTreeSet::new();
    for (shader, params) in &launches {
        assert!(params.fit(), "{shader:?}: too many parameters");
        let source = shader::expand(&Files::default(), shader).unwrap();
        if let Err(error) = contract::check(&source, params) {
            wrong.insert(format!("{}: {error}", shader.kernel));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let launched: BTreeSet<_> = launches.keys().map(|shader| shader.kernel).collect();
    let missing: Vec<_> = names().filter(|name| !launched.contains(name)).collect();
    assert!(missing.is_empty(), "no case launches {missing:?}");
}

/// A folder with one kernel, changed by `edit`.
fn edited(name: &str, edit: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = Files::default().kernel(name).unwrap().unwrap();
    std::fs::write(folder.path().join(format!("{name}.wgsl")), edit(&file.text)).unwrap();
    folder
}

/// A launch of `kernel`.
fn launch_of(kernel: &str) -> (Shader, Params) {
    let plan = cases::picture(Target::webgpu_defaults());
    let mut dispatches = Schema::new(&plan).unwrap().steps.into_iter().flatten();
    let launch = dispatches.find(|launch| launch.shader.kernel == kernel).unwrap();
    (launch.shader, launch.params)
}

#[test]
fn edited_kernels_are_read_and_checked() {
    let (shader, params) = launch_of("pointwise");
    let check = |folder: &tempfile::TempDir| {
        let files = Files::of(folder.path());
        files.check()?;
        let source = shader::expand(&files, &shader)?;
        contract::check(&source, &params)?;
        Ok::<_, crate::Error>(source.code)
    };
    let message = |edit: &dyn Fn(&str) -> String| {
        let folder = edited("pointwise", edit);
        let error = check(&folder).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "FOLDER")
    };

    let folder = edited("pointwise", |text| format!("{text}// changed\n"));
    assert!(check(&folder).unwrap().ends_with("// changed\n"));

    let broken = |text: &str| format!("const ONE = 1u\nconst TWO = 2u;\n{text}");
    let error = message(&broken);
    assert!(error.starts_with("FOLDER/pointwise.wgsl:2: expected"), "{error}");
    let unknown = |text: &str| format!("const ONE = TWO;\n{text}");
    let error = message(&unknown);
    assert!(error.starts_with("FOLDER/pointwise.wgsl:1: ") && error.contains("TWO"), "{error}");
    let invalid = |text: &str| format!("fn f() -> f32 {{\n}}\n{text}");
    let error = message(&invalid);
    assert!(error.starts_with("FOLDER/pointwise.wgsl:1: "), "{error}");
    let renamed = |text: &str| text.replace("x_offset", "x_start");
    let error = message(&renamed);
    let expected = "field 0 of Params is x_start: u32, and the host writes x_offset: u32";
    assert!(error.ends_with(expected), "{error}");
    let longer = |text: &str| text.replace("x_offset: u32", "before: i32,\n    x_offset: u32");
    assert!(message(&longer).contains("field 0 of Params is before: i32, "));
    for error in [message(&broken), message(&unknown), message(&invalid), message(&renamed)] {
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_folder_without_kernels_is_refused() {
    let refusal = |name: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        if let Some(name) = name {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        Files::of(folder.path()).check().unwrap_err().to_string()
    };
    assert!(refusal(None).ends_with("holds no kernel (*.wgsl)"));
    assert!(refusal(Some("pointwize.wgsl")).contains("pointwize.wgsl is not the name of a kernel"));
    let missing = Files::of(std::path::Path::new("/no/such/folder")).check().unwrap_err();
    assert!(missing.to_string().contains("cannot read /no/such/folder"));
}
