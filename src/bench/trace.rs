//! One inference, step by step, in the format that Perfetto and Chrome's `about:tracing` read.

use std::time::Duration;

use serde_json::{Value, json};

use super::runner::{Runner, clock};
use crate::Result;
use crate::check;
use crate::engine::Engine;
use crate::model::Model;
use crate::tensor::Shape;

/// Runs `model` on an input of `shape`, warm, and yields its trace: an event per step with its
/// kernel, below one for the whole.
///
/// # Errors
/// When the network does not take that shape, or the device fails.
pub fn trace(engine: &Engine, name: &str, model: &Model, shape: Shape) -> Result<Value> {
    let plan = engine.plan(model.graph(shape)?)?;
    let inputs = check::inputs(&plan);
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut runner = Runner::new(engine, plan.clone())?;
    runner.run(&inputs)?;
    let spans = runner.spans(&inputs)?;
    let device = &engine.device().name;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let track = |what: &str, id: u32, label: &str| json!({"ph": "M", "name": what, "pid": 1, "tid": id, "args": {"name": label}});
    let mut events = vec![
        track("process_name", 0, &format!("{name} on {device}")),
        track("thread_name", 1, "network"),
        track("thread_name", 2, "kernels"),
    ];
    let end = spans.iter().map(|[start, time]| *start + *time).max().unwrap_or_default();
    let work = plan.graph.multiply_adds();
    events.push(json!({
        "ph": "X", "name": name, "cat": "network", "pid": 1, "tid": 1, "ts": 0.0,
        "dur": micros(end),
        "args": {"clock": clock(engine), "input": shape.to_string(), "multiply_adds": work},
    }));
    for (step, [start, time]) in plan.steps.iter().zip(&spans) {
        let work = plan.work(step);
        let rate = |amount: f64| amount / time.as_secs_f64().max(1e-9) / 1e9;
        events.push(json!({
            "ph": "X", "name": step.variant.name(), "cat": "kernel", "pid": 1, "tid": 2,
            "ts": micros(*start), "dur": micros(*time),
            "args": {
                "step": step.name,
                "output": step.output.shape.to_string(),
                "GFLOP/s": rate(2.0 * work.multiply_adds as f64),
                "GB/s": rate(work.bytes as f64),
            },
        }));
    }
    Ok(json!({"displayTimeUnit": "ms", "traceEvents": events}))
}
