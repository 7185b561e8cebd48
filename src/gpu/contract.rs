//! The duties of a kernel file: valid WGSL, and `Params` of the fields that the host writes.
//! Tests hold every variant that is built in to it, and a kernel that was edited is held to it before
//! it runs.

use wgpu::naga;
use wgpu::naga::front::wgsl;
use wgpu::naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use super::params::{Field, Params, Scalar};
use super::shader::Source;
use crate::{Error, Result};

/// The module of a kernel, and what is known of its expressions.
///
/// # Errors
/// [`Error::Input`] says in one sentence what is wrong in which line.
pub fn module(source: &Source) -> Result<(naga::Module, ModuleInfo)> {
    let module = wgsl::parse_str(&source.code).map_err(|error| {
        let line = error.location(&source.code).map(|at| at.line_number);
        mistake(source, line, error.message())
    })?;
    // What the device lacks, wgpu says.
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| {
            let line = error.location(&source.code).map(|at| at.line_number);
            let mut reason = error.as_inner().to_string();
            let mut cause = std::error::Error::source(error.as_inner());
            while let Some(error) = cause {
                reason = format!("{reason}: {error}");
                cause = error.source();
            }
            mistake(source, line, &reason)
        })?;
    Ok((module, info))
}

/// Whether `Params` of a kernel has the fields of `params`: their names, types, order and number.
///
/// # Errors
/// [`Error::Input`] names the first that differs; otherwise as [`module`].
pub fn check(source: &Source, params: &Params) -> Result<()> {
    let (module, _) = module(source)?;
    let uniform =
        |(_, variable): &(_, &naga::GlobalVariable)| variable.space == naga::AddressSpace::Uniform;
    let Some((_, variable)) = module.global_variables.iter().find(uniform) else {
        return Err(mistake(source, Some(1), "it has no var<uniform>"));
    };
    let line = module.types.get_span(variable.ty).location(&source.code).line_number;
    let naga::TypeInner::Struct { members, .. } = &module.types[variable.ty].inner else {
        return Err(mistake(source, Some(line), "its var<uniform> is not a struct"));
    };
    let declared: Vec<Option<Field>> =
        members.iter().map(|member| field(&module, member)).collect();
    let written = params.fields();
    for at in 0..declared.len().max(written.len()) {
        let (ours, theirs) = (written.get(at), declared.get(at).map(Option::as_ref));
        if theirs == Some(ours) && ours.is_some() {
            continue;
        }
        let theirs = match theirs {
            Some(Some(field)) => field.to_string(),
            Some(None) => "something other than u32, i32 or f32".to_owned(),
            None => "nothing".to_owned(),
        };
        let ours = ours.map_or("nothing".to_owned(), Field::to_string);
        let what = format!("field {at} of Params is {theirs}, and the host writes {ours}");
        return Err(mistake(source, Some(line), &what));
    }
    Ok(())
}

fn field(module: &naga::Module, member: &naga::StructMember) -> Option<Field> {
    let naga::TypeInner::Scalar(scalar) = module.types[member.ty].inner else { return None };
    let scalar = match scalar {
        naga::Scalar::U32 => Scalar::Uint,
        naga::Scalar::I32 => Scalar::Int,
        naga::Scalar::F32 => Scalar::Float,
        _ => return None,
    };
    Some(Field { name: member.name.clone()?.into(), scalar })
}

fn mistake(source: &Source, line: Option<u32>, what: &str) -> Error {
    let place = line.and_then(|line| source.place(line as usize));
    Error::Input(format!("{}: {what}", place.unwrap_or_else(|| source.file().to_owned())))
}
