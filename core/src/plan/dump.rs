//! A plan as text and as Graphviz.

use std::fmt;

use super::{Cost, Epilogue, Plan, Step, Upsample, View};
use crate::graph::{Activation, escaped};

impl fmt::Display for Plan {
    /// One line per step (kernel, where it reads and writes, what is fused), then the memory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let input = step.operands.first().map_or("-".to_owned(), |&x| self.place(x));
            let output = self.place(step.output);
            let fused = fused(step).join(" ");
            let name = &step.name;
            let kernel = step.variant.to_string();
            let time = self.target.rates.and_then(|rates| self.cost(step, &rates));
            let time = time.map_or(String::new(), |Cost { seconds, bound, .. }| {
                format!("{:8.1} us {:9} ", seconds * 1e6, bound.name())
            });
            writeln!(f, "{index:4} {time}{kernel:16} {input} -> {output}  {fused}  # {name}")?;
        }
        if let Some(seconds) = self.target.rates.and_then(|rates| self.predicted(&rates)) {
            let ms = seconds * 1e3;
            writeln!(f, "{ms:.2} ms are predicted, without the ways to the device and back")?;
        }
        let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
        writeln!(
            f,
            "{} steps, {} storages in {:.1} MiB (at least {:.1} MiB are alive at once)",
            self.steps.len(),
            self.storages.len(),
            mib(self.arena_bytes()),
            mib(self.peak_bytes()),
        )
    }
}

impl Plan {
    fn place(&self, view: View) -> String {
        let storage = &self.storages[view.storage.index()];
        let at = storage.offset + view.offset * storage.dtype.size();
        let blocks = if view.blocked { "/8" } else { "" };
        format!("{}{blocks}@{}:{at}", view.shape, storage.block)
    }

    /// The plan in Graphviz' language: one box per step, one edge per value that it reads.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph plan {\n  node [shape=box, fontname=sans];\n");
        for (index, step) in self.steps.iter().enumerate() {
            let mut lines = vec![escaped(&step.name), step.variant.to_string()];
            lines.extend(fused(step));
            lines.push(step.output.shape.to_string());
            dot += &format!("  s{index} [label=\"{}\"];\n", lines.join("\\n"));
            for read in step.reads() {
                let writers = self.steps[..index].iter().enumerate().rev();
                for (writer, _) in writers.filter(|(_, w)| overlap(w.output, read)) {
                    dot += &format!("  s{writer} -> s{index};\n");
                }
            }
        }
        dot + "}\n"
    }
}

/// Whether two views share an element of their first sample.
fn overlap(a: View, b: View) -> bool {
    a.storage == b.storage
        && a.offset < b.offset + b.shape.sample()
        && b.offset < a.offset + a.shape.sample()
}

/// What a step does besides its main computation: modulation of its loads, and what changes its
/// values before they are stored.
pub fn fused(step: &Step) -> Vec<String> {
    let mut fused = Vec::new();
    match step.upsample {
        Upsample::None => {}
        Upsample::Nearest => fused.push("nearest×2".to_owned()),
        Upsample::Bilinear => fused.push("bilinear×2".to_owned()),
    }
    if step.op.is_modulated() {
        fused.push("modulate".to_owned());
    }
    let Epilogue { demodulation, noise, bias, activation, sft, residual, .. } = &step.epilogue;
    let parts = [
        (demodulation.is_some(), "demodulate"),
        (noise.is_some(), "noise"),
        (bias.is_some(), "bias"),
    ];
    fused.extend(parts.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()));
    match activation {
        Activation::Identity => {}
        Activation::LeakyRelu(slope) => fused.push(format!("lrelu({slope})")),
        Activation::Prelu(_) => fused.push("prelu".to_owned()),
        Activation::Silu => fused.push("silu".to_owned()),
        Activation::Sigmoid => fused.push("sigmoid".to_owned()),
        Activation::Tanh => fused.push("tanh".to_owned()),
        Activation::Gelu => fused.push("gelu".to_owned()),
        Activation::Mish => fused.push("mish".to_owned()),
        Activation::Clamp(low, high) => fused.push(format!("clamp({low},{high})")),
    }
    let parts = [(sft.is_some(), "sft"), (residual.is_some(), "residual")];
    fused.extend(parts.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()));
    fused
}
