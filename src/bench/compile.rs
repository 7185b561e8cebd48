//! What the driver makes of every variant of every kernel, at the shapes of the networks. Nothing
//! runs: Mesa's drivers compile for GPUs that are not there.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::cases::{as_within, case_name, graphs};
use super::code::{Figures, figures};
use crate::engine::{Device, Engine};
use crate::gpu::lab::Laboratory;
use crate::gpu::{Schema, Shader, ops};
use crate::plan::{Plan, Step, scratch_len};
use crate::{Error, Result};

/// Changes whenever the meaning of a field does.
pub const COMPILE_FORMAT: u32 = 1;

/// What a driver made of the kernels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compilation {
    /// [`COMPILE_FORMAT`]
    pub format: u32,
    /// The program and its version.
    pub program: String,
    /// The device that the driver compiled for.
    pub device: String,
    /// Driver and version.
    pub driver: String,
    /// Type of weights and intermediates.
    pub precision: String,
    /// A row per launch of a variant.
    pub rows: Vec<CompileRow>,
}

/// One variant of a kernel, compiled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompileRow {
    /// The cases that launch it, as in `bench --list`.
    pub cases: Vec<String>,
    /// How the first of them is tiled with it.
    pub variant: String,
    /// `kernels/{kernel}.wgsl`
    pub kernel: String,
    /// The networks that launch it.
    pub networks: Vec<String>,
    /// Whether one of them launches it without tuning.
    pub chosen: bool,
    /// What the preprocessor was told, `NAME=value`.
    pub defines: Vec<String>,
    /// Seconds that the driver compiled: of the processor on Linux, by the clock elsewhere.
    pub seconds: f64,
    /// Invocations of a workgroup.
    pub invocations: usize,
    /// What the driver says, by names that are the same for all.
    pub figures: Figures,
    /// What it says, by its own.
    pub statistics: Vec<(String, f64)>,
    /// Why the driver refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl CompileRow {
    /// The case that stands for it: a layer that `tools/peers` compares, or the first.
    pub fn case(&self) -> &str {
        let layer = self.cases.iter().find(|case| case.starts_with("layer "));
        layer.or(self.cases.first()).map_or("", String::as_str)
    }

    /// By which rows of two runs are compared.
    pub fn key(&self) -> String {
        let parts = if self.variant.starts_with(&self.kernel) { "" } else { &self.kernel };
        format!("{} {} {parts}", self.case(), self.variant).trim_end().to_owned()
    }

    /// Whether a driver refused it, or has too few registers for it.
    pub fn is_faulty(&self) -> bool {
        self.refused.is_some() || self.figures.spills.is_some_and(|spills| spills > 0.0)
    }
}

/// A launch that is to be compiled.
#[derive(Clone, Debug)]
pub struct Launchable {
    /// As in [`CompileRow`].
    pub cases: Vec<String>,
    /// As in [`CompileRow`].
    pub variant: String,
    /// As in [`CompileRow`].
    pub networks: Vec<&'static str>,
    /// As in [`CompileRow`].
    pub chosen: bool,
    shader: Shader,
}

impl Launchable {
    /// `kernels/{kernel}.wgsl`
    pub fn kernel(&self) -> &'static str {
        self.shader.kernel
    }
}

/// Every distinct kernel that `engine` may launch for a network: of each step all its candidates.
///
/// # Errors
/// As [`Network::model`](super::Network::model).
pub fn launchables(engine: &Engine) -> Result<Vec<Launchable>> {
    let mut all = Launchables::default();
    for (network, graph) in graphs()? {
        match engine.plan(graph) {
            Ok(plan) => all.add(network, &as_within(network, plan))?,
            Err(error) => log::warn!("{network} is left out: {error}"),
        }
    }
    Ok(all.rows)
}

#[derive(Default)]
struct Launchables {
    rows: Vec<Launchable>,
    known: HashMap<Shader, usize>,
}

impl Launchables {
    fn add(&mut self, network: &'static str, plan: &Plan) -> Result<()> {
        for (index, step) in plan.steps.iter().enumerate() {
            let case = case_name(network, step, plan);
            for (at, variant) in plan.candidates(index)?.into_iter().enumerate() {
                let step = Step { variant, ..step.clone() };
                // Working memory is placed for the first candidate alone.
                if step.scratch.is_none() && scratch_len(&step, &plan.target) > 0 {
                    continue;
                }
                for launch in ops::record(&step, plan)? {
                    let variant = step.variant.to_string();
                    self.launch(network, &case, variant, at == 0, launch.shader);
                }
            }
        }
        if let Some(picture) = Schema::new(plan)?.picture {
            for launch in picture.dispatches() {
                let kernel = launch.shader.kernel;
                let side = plan.inputs.first().map_or(0, |view| view.shape.w);
                let case = format!("{kernel} @{side}");
                self.launch(network, &case, kernel.to_owned(), true, launch.shader.clone());
            }
        }
        Ok(())
    }

    fn launch(
        &mut self,
        network: &'static str,
        case: &str,
        variant: String,
        chosen: bool,
        shader: Shader,
    ) {
        let at = *self.known.entry(shader.clone()).or_insert(self.rows.len());
        if at == self.rows.len() {
            let (cases, networks) = (Vec::new(), Vec::new());
            self.rows.push(Launchable { cases, variant, networks, chosen, shader });
        }
        let row = &mut self.rows[at];
        row.chosen |= chosen;
        if !row.cases.iter().any(|known| known == case) {
            row.cases.push(case.to_owned());
        }
        if !row.networks.contains(&network) {
            row.networks.push(network);
        }
    }
}

/// Compiles kernels with the driver of `engine`.
#[derive(Debug)]
pub struct Compiler {
    laboratory: Laboratory,
    report: Compilation,
}

impl Compiler {
    /// # Errors
    /// [`Error::Device`] for the CPU, and as [`Laboratory::of`].
    pub fn new(engine: &Engine) -> Result<Self> {
        let Device::Gpu(device) = engine.handle() else {
            return Err(Error::Device(
                "the CPU executor compiles no kernels; name a GPU with --device".to_owned(),
            ));
        };
        let info = engine.device();
        let report = Compilation {
            format: COMPILE_FORMAT,
            program: concat!("pentimento ", env!("CARGO_PKG_VERSION")).to_owned(),
            device: info.name.clone(),
            driver: info.driver.clone(),
            precision: crate::gpu::wgsl(engine.dtype()).to_owned(),
            rows: Vec::new(),
        };
        Ok(Self { laboratory: Laboratory::of(device)?, report })
    }

    /// Compiles one, and yields the driver's texts: intermediate languages, and its machine code.
    ///
    /// # Errors
    /// [`Error::Input`] for a kernel that was edited and is not valid. That a driver refuses one
    /// stands in its row.
    pub fn compile(&mut self, launch: &Launchable) -> Result<Vec<(String, String)>> {
        let compiled = match self.laboratory.compile(&launch.shader) {
            Err(error @ Error::Input(_)) => return Err(error),
            compiled => compiled,
        };
        let mut row = CompileRow {
            cases: launch.cases.clone(),
            variant: launch.variant.clone(),
            kernel: launch.shader.kernel.to_owned(),
            networks: launch.networks.iter().map(|&name| name.to_owned()).collect(),
            chosen: launch.chosen,
            defines: (launch.shader.defines.iter())
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            seconds: 0.0,
            invocations: 0,
            figures: Figures::default(),
            statistics: Vec::new(),
            refused: None,
        };
        let mut texts = Vec::new();
        match compiled {
            Ok(compiled) => {
                row.seconds = compiled.seconds;
                row.invocations = compiled.invocations;
                row.figures = figures(&compiled.figures, &compiled.texts);
                row.figures.shared_bytes.get_or_insert(compiled.workgroup_bytes as f64);
                row.statistics = compiled.figures;
                texts = compiled.texts;
            }
            Err(error) => row.refused = Some(error.to_string()),
        }
        self.report.rows.push(row);
        Ok(texts)
    }

    /// Everything that was compiled.
    pub fn finish(self) -> Compilation {
        self.report
    }
}
