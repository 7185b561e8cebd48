//! The small preprocessor that makes WGSL variants of the kernel files.
//!
//! | directive | meaning |
//! |---|---|
//! | `#include "shared/x.wgsl"` | the text of that file |
//! | `#if NAME`, `#if !NAME` | whether `NAME` is defined |
//! | `#if NAME == value`, `#if NAME != value` | `NAME` must be defined |
//! | `#else`, `#endif` | |
//! | `#for I in 0..4`, `#endfor` | the body four times, with `${I}` |
//! | `${NAME}` | the value of `NAME`, which must be defined |
//! | `#enable f16` | `enable f16;` at the beginning, once |
//! | `#enable f16 if NAME == f16` | the same on a condition, as of `#if` |
//! | `#unchecked` | compiled without wgpu's run-time checks: the comment above proves that none could fail |
//! | `@binding(_)` | the next binding number, from 0, after all of the above |
//!
//! Every number that host and kernel share comes from a definition. Where a kernel is written for
//! one value of it, a `const_assert` says so.

use std::collections::BTreeMap;

use super::Shader;
use super::files::{File, Files};
use crate::{Error, Result};

/// The kind of a kernel's binding.
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
    /// Whether it runs without wgpu's checks.
    pub unchecked: bool,
    /// The file and line of each line of `code`.
    lines: Vec<(usize, usize)>,
    /// The places of the files.
    files: Vec<String>,
}

impl Source {
    /// "kernels/x.wgsl:12", for a line of the code, from 1.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn place(&self, line: usize) -> Option<String> {
        let (file, number) = self.lines.get(line.checked_sub(1)?)?;
        Some(format!("{}:{number}", self.files.get(*file)?))
    }

    /// "kernels/x.wgsl"
    #[cfg(not(target_arch = "wasm32"))]
    pub fn file(&self) -> &str {
        self.files.first().map_or("a kernel", String::as_str)
    }
}

/// Files that include each other deeper than this include themselves.
const DEEPEST: usize = 8;

/// What a kernel may ask for.
const EXTENSIONS: [&str; 3] = ["f16", "subgroups", "wgpu_cooperative_matrix"];

/// One line and where it came from.
struct Line<'a> {
    file: usize,
    place: &'a str,
    number: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::Input(format!("{}:{}: {what}", self.place, self.number))
    }

    /// The words after `directive`, if the line is one.
    fn directive(&self, directive: &str) -> Option<&'a str> {
        let rest = self.text.trim().strip_prefix(directive)?;
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
    }
}

/// The WGSL of `shader`, from `files`.
///
/// # Errors
/// Names the file and line of a kernel that is not well formed.
pub fn expand(files: &Files, shader: &Shader) -> Result<Source> {
    let file = (files.kernel(shader.kernel)?)
        .ok_or_else(|| Error::Internal(format!("there is no kernel {}", shader.kernel)))?;
    expand_file(files, file, &shader.defines)
}

fn expand_file(files: &Files, file: File, defines: &[(&str, String)]) -> Result<Source> {
    let mut read = vec![file];
    let mut order = Vec::new();
    include(files, 0, &mut read, &mut order, 0)?;
    let texts: Vec<Vec<&str>> = read.iter().map(|file| file.text.lines().collect()).collect();
    let line = |&(file, index): &(usize, usize)| {
        let (place, text) = (&read[file].place, texts[file][index]);
        Line { file, place, number: index + 1, text }
    };
    let lines: Vec<Line<'_>> = order.iter().map(line).collect();
    let mut scope: Vec<(String, String)> =
        defines.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut output = Output::default();
    block(&lines, &mut scope, &mut output)?;
    let mut source = Source {
        code: String::new(),
        slots: output.slots,
        unchecked: output.unchecked,
        lines: Vec::new(),
        files: Vec::new(),
    };
    // naga knows the operations of subgroups without this line, and refuses it; browsers want it.
    let wanted = |name: &str| name != "subgroups" || cfg!(target_arch = "wasm32");
    for (name, place) in output.enables.iter().filter(|(name, _)| wanted(name)) {
        source.code.push_str(&format!("enable {name};\n"));
        source.lines.push(*place);
    }
    source.code.push_str(&output.code);
    source.lines.extend(output.lines);
    source.files = read.into_iter().map(|file| file.place).collect();
    Ok(source)
}

/// Appends the lines of `read[file]` and of what it includes to `order`, as file and line.
fn include(
    files: &Files,
    file: usize,
    read: &mut Vec<File>,
    order: &mut Vec<(usize, usize)>,
    depth: usize,
) -> Result<()> {
    let text = read[file].text.clone();
    for (index, text) in text.lines().enumerate() {
        let line = Line { file, place: &read[file].place, number: index + 1, text };
        let Some(name) = line.directive("#include") else {
            order.push((file, index));
            continue;
        };
        if depth == DEEPEST {
            return Err(line.error("files include each other in a circle"));
        }
        let wanted = name.trim_matches('"').trim_end_matches(".wgsl");
        let snippet = files.snippet(wanted)?;
        let snippet = snippet.ok_or_else(|| line.error(format_args!("cannot include {name}")))?;
        read.push(snippet);
        include(files, read.len() - 1, read, order, depth + 1)?;
    }
    Ok(())
}

/// What has been written.
#[derive(Default)]
struct Output {
    code: String,
    slots: Vec<Slot>,
    unchecked: bool,
    lines: Vec<(usize, usize)>,
    /// Extensions, and where the first line is that asks for each.
    enables: BTreeMap<&'static str, (usize, usize)>,
}

fn block(lines: &[Line<'_>], scope: &mut Vec<(String, String)>, output: &mut Output) -> Result<()> {
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
            block(chosen, scope, output)?;
            at = end + 1;
        } else if let Some(range) = line.directive("#for") {
            let (_, end) = find_end(lines, at)?;
            let range = substitute(line, range, scope)?;
            let (name, from, to) = parse_range(&range)
                .ok_or_else(|| line.error(format_args!("#for {range}: expected I in 0..4")))?;
            for value in from..to {
                scope.push((name.to_owned(), value.to_string()));
                block(&lines[at + 1..end], scope, output)?;
                scope.pop();
            }
            at = end + 1;
        } else if let Some(wanted) = line.directive("#enable") {
            let (name, condition) = match wanted.split_once(" if ") {
                Some((name, condition)) => (name.trim(), Some(condition)),
                None => (wanted, None),
            };
            let name = (EXTENSIONS.into_iter().find(|known| *known == name))
                .ok_or_else(|| line.error(format_args!("there is no extension {name}")))?;
            if condition.map_or(Ok(true), |condition| holds(line, condition, scope))? {
                output.enables.entry(name).or_insert((line.file, line.number));
            }
            at += 1;
        } else if line.directive("#unchecked").is_some() {
            output.unchecked = true;
            at += 1;
        } else if line.text.trim_start().starts_with('#') {
            return Err(line.error(format_args!("{} without its beginning", line.text.trim())));
        } else {
            let mut text = substitute(line, line.text, scope)?;
            if text.contains("@binding(_)") {
                text = text.replace("@binding(_)", &format!("@binding({})", output.slots.len()));
                output.slots.push(slot(line, &text)?);
            }
            output.code.push_str(&text);
            output.code.push('\n');
            output.lines.push((line.file, line.number));
            at += 1;
        }
    }
    Ok(())
}

/// Where the `#else` and the end of the block that opens at `open` are.
fn find_end(lines: &[Line<'_>], open: usize) -> Result<(Option<usize>, usize)> {
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

fn lookup<'a>(line: &Line<'_>, name: &str, scope: &'a [(String, String)]) -> Result<&'a str> {
    (scope.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str()))
        .ok_or_else(|| line.error(format_args!("{name} is not defined")))
}

fn holds(line: &Line<'_>, condition: &str, scope: &[(String, String)]) -> Result<bool> {
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

fn substitute(line: &Line<'_>, text: &str, scope: &[(String, String)]) -> Result<String> {
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

fn slot(line: &Line<'_>, text: &str) -> Result<Slot> {
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
        let file = File { place: "kernels/test.wgsl".to_owned(), text: text.into() };
        expand_file(&Files::default(), file, &defines)
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
        let text = "#enable f16 if T == f16\n@binding(_) var<uniform> p: P;\n#if A\n@binding(_) var<storage, read> a: A;\n\
                    #endif\n@binding(_) var<storage, read_write> b: array<${T}>;";
        let source = run(text, &[("T", "f16")]).unwrap();
        assert_eq!(source.slots, [Slot::Uniform, Slot::ReadWrite]);
        assert!(source.code.starts_with("enable f16;\n@binding(0) var<uniform>"));
        assert!(!run(text, &[("T", "f32")]).unwrap().code.contains("enable"));
        assert!(source.code.ends_with("@binding(1) var<storage, read_write> b: array<f16>;\n"));
    }

    #[test]
    fn lines_are_found_again() {
        let text =
            "a\n#enable f16\n#for I in 0..2\nb${I}\n#endfor\n#include \"shared/grid.wgsl\"\nc";
        let source = run(text, &[]).unwrap();
        let place = |line: &str| {
            let at = source.code.lines().position(|l| l.starts_with(line)).unwrap();
            source.place(at + 1).unwrap()
        };
        assert_eq!(place("enable"), "kernels/test.wgsl:2");
        assert_eq!(place("b1"), "kernels/test.wgsl:4");
        assert_eq!(place("fn workgroup_index"), "kernels/shared/grid.wgsl:2");
        assert_eq!(place("c"), "kernels/test.wgsl:7");
        assert_eq!(source.place(0), None);
        assert!(!source.unchecked && run("#unchecked", &[]).unwrap().unchecked);
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
            ("#enable f17", "kernels/test.wgsl:1: there is no extension f17"),
            ("#enable f16 if B == f16", "kernels/test.wgsl:1: B is not defined"),
        ] {
            assert_eq!(run(text, &[]).unwrap_err().to_string(), expected);
        }
    }
}
