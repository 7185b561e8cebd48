//! Every variant as naga writes it for Metal and Direct3D, which no driver of this machine reads.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;

use wgpu::naga::back::{hlsl, msl};
use wgpu::naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use wgpu::naga::valid::ModuleInfo;
use wgpu::naga::{Block, Expression, Handle, Module, ResourceBinding, Statement, TypeInner};

use super::contract::launches;
use crate::gpu::files::Files;
use crate::gpu::shader::Source;
use crate::gpu::{Shader, contract, shader};

/// The side of the matrices that Apple's GPUs have.
const METAL_SIDE: &str = "8";

struct Translated {
    shader: Shader,
    source: Source,
    module: Module,
    info: ModuleInfo,
}

fn variants() -> Vec<Translated> {
    let translate = |shader: Shader| {
        let source = shader::expand(&Files::default(), &shader).unwrap();
        let (module, info) = contract::module(&source).unwrap();
        Translated { shader, source, module, info }
    };
    launches().into_keys().map(translate).collect()
}

impl Translated {
    fn side(&self) -> Option<&str> {
        let side = self.shader.defines.iter().find(|(name, _)| *name == "FRAGMENT");
        side.map(|(_, side)| side.as_str())
    }

    /// As wgpu asks for it.
    fn metal(&self) -> String {
        let target = |binding: u32| msl::BindTarget {
            buffer: Some(binding as u8),
            mutable: true,
            ..Default::default()
        };
        let resources = (0..self.source.slots.len() as u32)
            .map(|binding| (ResourceBinding { group: 0, binding }, target(binding)))
            .collect();
        let resources =
            msl::EntryPointResources { resources, sizes_buffer: Some(30), ..Default::default() };
        let policy = if self.source.unchecked {
            BoundsCheckPolicy::Unchecked
        } else {
            BoundsCheckPolicy::Restrict
        };
        let options = msl::Options {
            lang_version: (3, 0),
            per_entry_point_map: [("main".to_owned(), resources)].into_iter().collect(),
            bounds_check_policies: BoundsCheckPolicies {
                index: policy,
                buffer: policy,
                image_load: policy,
                binding_array: BoundsCheckPolicy::Unchecked,
            },
            zero_initialize_workgroup_memory: false,
            force_loop_bounding: !self.source.unchecked,
            ..msl::Options::default()
        };
        let options = (&options, &msl::PipelineOptions::default());
        let written = msl::write_string(&self.module, &self.info, options.0, options.1);
        let (text, info) = written.unwrap_or_else(|e| panic!("{:?}: {e}", self.shader));
        for name in info.entry_point_names {
            name.unwrap_or_else(|e| panic!("{:?}: {e}", self.shader));
        }
        text
    }
}

#[test]
fn every_variant_is_written_for_direct3d_and_metal() {
    let variants = variants();
    is_written_for_direct3d(&variants);
    matrices_are_loaded_by_pointers_to_scalars(&variants);
}

fn is_written_for_direct3d(variants: &[Translated]) {
    // naga writes no cooperative matrices for it, and wgpu offers none there.
    let mut written = 0;
    for variant in variants.iter().filter(|variant| variant.side().is_none()) {
        let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, ..Default::default() };
        let pipeline = hlsl::PipelineOptions::default();
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(&variant.module, &variant.info, None)
            .unwrap_or_else(|e| panic!("{:?}: {e}", variant.shader));
        written += usize::from(text.contains("void main("));
    }
    assert!(written > 0);
}

/// Metal loads matrices by pointers to their elements, and naga passes on what the kernel says.
fn matrices_are_loaded_by_pointers_to_scalars(variants: &[Translated]) {
    let mut pointers = 0;
    for Translated { shader, module, info, .. } in variants {
        for (index, entry) in module.entry_points.iter().enumerate() {
            let types = info.get_entry_point(index);
            let mut check = |pointer: Handle<Expression>| {
                let ty = types[pointer].ty.inner_with(&module.types);
                let base = ty.pointer_base_type().unwrap();
                let base = base.inner_with(&module.types);
                assert!(matches!(base, TypeInner::Scalar(_)), "{shader:?}: a pointer to {base:?}");
                pointers += 1;
            };
            for (_, expression) in entry.function.expressions.iter() {
                if let Expression::CooperativeLoad { data, .. } = expression {
                    check(data.pointer);
                }
            }
            stores(&entry.function.body, &mut check);
        }
    }
    assert!(pointers > 0);
}

fn stores(block: &Block, check: &mut impl FnMut(Handle<Expression>)) {
    for statement in block {
        match statement {
            Statement::CooperativeStore { data, .. } => check(data.pointer),
            Statement::Block(block) => stores(block, check),
            Statement::If { accept, reject, .. } => {
                stores(accept, check);
                stores(reject, check);
            }
            Statement::Loop { body, continuing, .. } => {
                stores(body, check);
                stores(continuing, check);
            }
            _ => {}
        }
    }
}

/// The Metal text of every variant that an Apple GPU runs, as C++ beside a header that declares what
/// it uses of Metal.
#[test]
#[ignore = "needs clang++"]
fn metal_text_has_the_types_that_metal_wants() {
    let compiler = std::env::var("CLANGXX").unwrap_or_else(|_| "clang++".to_owned());
    let mut text = "#include \"metal_stdlib.h\"\n".to_owned();
    let mut names = HashMap::new();
    for (index, variant) in variants().iter().enumerate() {
        if variant.side().is_some_and(|side| side != METAL_SIDE) {
            continue;
        }
        names.insert(index, variant.shader.clone());
        writeln!(text, "namespace v{index} {{").unwrap();
        let body = variant.metal();
        text.extend(body.lines().filter(|l| !l.starts_with("#include")).flat_map(|l| [l, "\n"]));
        text.push_str("}\n");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("metal_stdlib.h"), include_str!("metal_stdlib.h")).unwrap();
    let file = folder.path().join("kernels.cpp");
    std::fs::write(&file, text).unwrap();
    // Metal's numbers without a suffix are floats.
    let arguments =
        ["-std=c++20", "-fsyntax-only", "-w", "-Wno-c++11-narrowing", "-ferror-limit=20"];
    let Ok(output) = Command::new(&compiler).args(arguments).arg(&file).output() else {
        crate::skipped::skip(format_args!("there is no {compiler} to read the Metal text"));
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(folder) = std::env::var_os("PENTIMENTO_KEEP_METAL") {
        std::fs::copy(&file, std::path::Path::new(&folder).join("kernels.cpp")).unwrap();
    }
    assert!(output.status.success(), "{errors}\nvariants: {names:#?}");
}
