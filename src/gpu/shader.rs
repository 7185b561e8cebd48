//! WGSL sources and the small preprocessor that makes variants of them.
//!
//! | directive | meaning |
//! |---|---|
//! | `#include "shared/x.wgsl"` | the text of that file |
//! | `#if NAME`, `#if !NAME` | whether `NAME` is defined |
//! | `#if NAME == value`, `#if NAME != value` | `NAME` must be defined |
//! | `#else`, `#endif` | |
//! | `#for I in 0..4`, `#endfor` | the body four times, with `${I}` |
//! | `${NAME}` | the value of `NAME`, which must be defined |
//! | `@binding(_)` | the next binding number, from 0, after all of the above |
//!
//! `enable f16;` is written first when any definition is `f16`, and
//! `enable wgpu_cooperative_matrix;` when `FRAGMENT` is defined.

use super::Shader;
use crate::{Error, Result};

/// Embeds `kernels/{name}.wgsl` under its name.
macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../kernels/", $name, ".wgsl")))),*]
    };
}

/// Every kernel file.
const KERNELS: &[(&str, &str)] = sources![
    "ada_in",
    "adaptive_avg_pool",
    "arg_max",
    "attention",
    "block_luminance",
    "constant",
    "conv_depthwise",
    "conv_direct",
    "conv_gemm",
    "conv_gemm_cooperative",
    "conv_winograd_input",
    "conv_winograd_output",
    "conv_winograd_product",
    "demodulate",
    "embedding",
    "grain_histogram",
    "group_norm",
    "group_norm_moments",
    "image_to_tensor",
    "layer_norm",
    "linear",
    "match_colours",
    "max_pool",
    "multi_path_conv",
    "paste",
    "pixel_norm",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pointwise",
    "probes/cooperative",
    "probes/fma",
    "probes/launch",
    "probes/storage_bandwidth",
    "probes/workgroup_bandwidth",
    "reflect_pad",
    "resize",
    "tensor_to_image",
    "upfirdn2d",
    "warp_affine",
];

/// Snippets that kernels include.
const SHARED: &[(&str, &str)] = sources![
    "shared/activation",
    "shared/channel",
    "shared/cooperative_read",
    "shared/cooperative_stage",
    "shared/each_output",
    "shared/epilogue",
    "shared/epilogue_params",
    "shared/grid",
    "shared/load",
    "shared/load_params",
    "shared/output",
    "shared/pixel_columns",
    "shared/product_params",
    "shared/product_pixels",
    "shared/reduce",
    "shared/soft_mask",
    "shared/tile",
    "shared/tile_accumulate",
    "shared/tile_declare",
    "shared/winograd",
    "shared/winograd_resize",
];

/// What a kernel binds at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// `var<uniform>`
    Uniform,
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// A kernel variant as WGSL.
#[derive(Clone, Debug)]
pub struct Source {
    /// Complete WGSL.
    pub code: String,
    /// Its bindings, from 0.
    pub slots: Vec<Slot>,
}

/// One line and where it came from.
struct Line {
    file: &'static str,
    number: usize,
    text: &'static str,
}

impl Line {
    fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::Internal(format!("kernels/{}.wgsl:{}: {what}", self.file, self.number))
    }

    /// The words after `directive`, if the line is one.
    fn directive(&self, directive: &str) -> Option<&'static str> {
        let rest = self.text.trim().strip_prefix(directive)?;
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
    }
}

/// The WGSL of `shader`.
///
/// # Errors
/// Names the file and line of a kernel that is not well formed.
pub fn expand(shader: &Shader) -> Result<Source> {
    let (file, text) = KERNELS
        .iter()
        .find(|(name, _)| *name == shader.kernel)
        .ok_or_else(|| Error::Internal(format!("there is no kernel {}", shader.kernel)))?;
    expand_text(file, text, &shader.defines)
}

fn expand_text(
    file: &'static str,
    text: &'static str,
    defines: &[(&'static str, String)],
) -> Result<Source> {
    let mut lines = Vec::new();
    include(file, text, &mut lines)?;
    let mut scope: Vec<(String, String)> =
        defines.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut code = String::new();
    if defines.iter().any(|(_, value)| value == "f16") {
        code.push_str("enable f16;\n");
    }
    if defines.iter().any(|(name, _)| *name == "FRAGMENT") {
        code.push_str("enable wgpu_cooperative_matrix;\n");
    }
    let mut slots = Vec::new();
    block(&lines, &mut scope, &mut code, &mut slots)?;
    Ok(Source { code, slots })
}

fn include(file: &'static str, text: &'static str, lines: &mut Vec<Line>) -> Result<()> {
    for (index, text) in text.lines().enumerate() {
        let line = Line { file, number: index + 1, text };
        let Some(name) = line.directive("#include") else {
            lines.push(line);
            continue;
        };
        let wanted = name.trim_matches('"').trim_end_matches(".wgsl");
        match SHARED.iter().find(|(name, _)| *name == wanted) {
            Some((name, text)) if *name != file => include(name, text, lines)?,
            _ => return Err(line.error(format_args!("cannot include {name}"))),
        }
    }
    Ok(())
}

fn block(
    lines: &[Line],
    scope: &mut Vec<(String, String)>,
    code: &mut String,
    slots: &mut Vec<Slot>,
) -> Result<()> {
    let mut at = 0;
    while at < lines.len() {
        let line = &lines[at];
        if let Some(condition) = line.directive("#if") {
            let (otherwise, end) = find_end(lines, at)?;
            let chosen = if holds(line, condition, scope)? {
                &lines[at + 1..otherwise.unwrap_or(end)]
            } else {
                otherwise.map_or(&[][..], |otherwise| &lines[otherwise + 1..end])
            };
            block(chosen, scope, code, slots)?;
            at = end + 1;
        } else if let Some(range) = line.directive("#for") {
            let (_, end) = find_end(lines, at)?;
            let range = substitute(line, range, scope)?;
            let (name, from, to) = parse_range(&range)
                .ok_or_else(|| line.error(format_args!("#for {range}: expected I in 0..4")))?;
            for value in from..to {
                scope.push((name.to_owned(), value.to_string()));
                block(&lines[at + 1..end], scope, code, slots)?;
                scope.pop();
            }
            at = end + 1;
        } else if line.text.trim_start().starts_with('#') {
            return Err(line.error(format_args!("{} without its beginning", line.text.trim())));
        } else {
            let mut text = substitute(line, line.text, scope)?;
            if text.contains("@binding(_)") {
                text = text.replace("@binding(_)", &format!("@binding({})", slots.len()));
                slots.push(slot(line, &text)?);
            }
            code.push_str(&text);
            code.push('\n');
            at += 1;
        }
    }
    Ok(())
}

/// Where the `#else` and the end of the block that opens at `open` are.
fn find_end(lines: &[Line], open: usize) -> Result<(Option<usize>, usize)> {
    let mut stack = Vec::new();
    let mut otherwise = None;
    for (at, line) in lines.iter().enumerate().skip(open) {
        if line.directive("#if").is_some() {
            stack.push("#if");
        } else if line.directive("#for").is_some() {
            stack.push("#for");
        } else if line.directive("#else").is_some() && stack.len() == 1 {
            if otherwise.is_some() || stack[0] != "#if" {
                return Err(line.error("#else without its #if"));
            }
            otherwise = Some(at);
        } else if line.directive("#endif").is_some() || line.directive("#endfor").is_some() {
            let fits = (stack.pop() == Some("#if")) == line.directive("#endif").is_some();
            if !fits {
                return Err(line.error("ends another block than the innermost"));
            }
            if stack.is_empty() {
                return Ok((otherwise, at));
            }
        }
    }
    Err(lines[open].error(format_args!("{} has no end", lines[open].text.trim())))
}

fn lookup<'a>(line: &Line, name: &str, scope: &'a [(String, String)]) -> Result<&'a str> {
    (scope.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str()))
        .ok_or_else(|| line.error(format_args!("{name} is not defined")))
}

fn holds(line: &Line, condition: &str, scope: &[(String, String)]) -> Result<bool> {
    match *condition.split_whitespace().collect::<Vec<_>>() {
        [name, "==", value] => Ok(lookup(line, name, scope)? == value),
        [name, "!=", value] => Ok(lookup(line, name, scope)? != value),
        [name] => {
            let wanted = !name.starts_with('!');
            let name = name.trim_start_matches('!');
            Ok(scope.iter().any(|(n, _)| n == name) == wanted)
        }
        _ => Err(line.error(format_args!("cannot read the condition {condition}"))),
    }
}

fn parse_range(range: &str) -> Option<(&str, usize, usize)> {
    let (name, range) = range.split_once(" in ")?;
    let (from, to) = range.split_once("..")?;
    Some((name.trim(), from.trim().parse().ok()?, to.trim().parse().ok()?))
}

fn substitute(line: &Line, text: &str, scope: &[(String, String)]) -> Result<String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(|| line.error("${ has no }"))?;
        result.push_str(before);
        result.push_str(lookup(line, name, scope)?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn slot(line: &Line, text: &str) -> Result<Slot> {
    let kinds = [
        ("var<uniform>", Slot::Uniform),
        ("var<storage, read>", Slot::Read),
        ("var<storage, read_write>", Slot::ReadWrite),
    ];
    (kinds.iter().find(|(pattern, _)| text.contains(pattern)).map(|(_, slot)| *slot))
        .ok_or_else(|| line.error("a binding is a uniform or a storage variable on one line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &'static str, defines: &[(&'static str, &str)]) -> Result<Source> {
        let defines: Vec<_> = defines.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        expand_text("test", text, &defines)
    }

    fn code(text: &'static str, defines: &[(&'static str, &str)]) -> String {
        run(text, defines).unwrap().code
    }

    #[test]
    fn conditions_choose() {
        let text = "#if A\na\n#if B == 2\nb\n#else\nc\n#endif\n#else\nd\n#endif\n";
        assert_eq!(code(text, &[("A", "1"), ("B", "2")]), "a\nb\n");
        assert_eq!(code(text, &[("A", "1"), ("B", "3")]), "a\nc\n");
        assert_eq!(code(text, &[]), "d\n");
        assert_eq!(code("#if !A\nn\n#endif\n#if B != x\nb\n#endif", &[("B", "x")]), "n\n");
    }

    #[test]
    fn loops_repeat() {
        let text = "#for I in 0..${N}\n#for J in 1..3\nlet v${I}${J};\n#endfor\n#endfor";
        let expected = "let v01;\nlet v02;\nlet v11;\nlet v12;\n";
        assert_eq!(code(text, &[("N", "2")]), expected);
    }

    #[test]
    fn bindings_count_after_conditions() {
        let text = "@binding(_) var<uniform> p: P;\n#if A\n@binding(_) var<storage, read> a: A;\n\
                    #endif\n@binding(_) var<storage, read_write> b: array<${T}>;";
        let source = run(text, &[("T", "f16")]).unwrap();
        assert_eq!(source.slots, [Slot::Uniform, Slot::ReadWrite]);
        assert!(source.code.starts_with("enable f16;\n@binding(0) var<uniform>"));
        assert!(source.code.ends_with("@binding(1) var<storage, read_write> b: array<f16>;\n"));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            ("a\n${B}", "kernels/test.wgsl:2: B is not defined"),
            ("#if B == 1\n#endif", "kernels/test.wgsl:1: B is not defined"),
            ("a\n#if B\nb", "kernels/test.wgsl:2: #if B has no end"),
            ("a\n#endif", "kernels/test.wgsl:2: #endif without its beginning"),
            ("#if A\n#endfor", "kernels/test.wgsl:2: ends another block than the innermost"),
            ("#for I in x\n#endfor", "kernels/test.wgsl:1: #for I in x: expected I in 0..4"),
            ("#include \"no.wgsl\"", "kernels/test.wgsl:1: cannot include \"no.wgsl\""),
            ("${B", "kernels/test.wgsl:1: ${ has no }"),
        ] {
            assert_eq!(run(text, &[]).unwrap_err().to_string(), expected);
        }
    }
}
