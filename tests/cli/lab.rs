//! `pentimento bench --compile`, and predictions.

#[cfg(target_os = "linux")]
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::process::Command;

use super::support::Workspace;

/// Seconds that a driver may compile a kernel.
#[cfg(target_os = "linux")]
const LONGEST: f64 = 20.0;

#[test]
fn the_cpu_compiles_no_kernels() {
    Workspace::new().run("bench --compile").fails_with(&["CPU", "--device"]);
}

#[test]
fn a_plan_for_a_gpu_that_is_not_there_has_times() {
    let workspace = Workspace::new();
    let run = workspace.run_with("inspect face.safetensors --plan --for H200", &[]);
    let text = &run.succeeds().out;
    assert!(text.contains("ms are predicted") && text.contains("launch"), "{text}");
    let other = workspace.run_with("inspect face.safetensors --plan --for Voodoo2", &[]);
    other.fails_with(&["Voodoo2", "H100 or H200"]);
}

/// Real compilers, where `tools/gpu-lab/run` or `tools/cooperative` has installed them: nothing is
/// refused, spills, or takes long.
#[cfg(target_os = "linux")]
#[test]
fn drivers_compile_the_layers() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let sid = std::env::var_os("PENTIMENTO_SID").map_or(root.join("target/sid"), PathBuf::from);
    if !sid.join("usr/lib/x86_64-linux-gnu/libamdgpu_noop_drm_shim.so").exists() {
        let why =
            format_args!("tools/gpu-lab/run has not installed the drivers in {}", sid.display());
        super::support::skip(why);
        return;
    }
    let workspace = Workspace::new();
    let results = workspace.path("lab");
    for target in ["gfx1201", "ada", "m1"] {
        let output = Command::new(root.join("tools/gpu-lab/run"))
            .args([target, "--", "--filter", "layer conv3x3 128-128"])
            .env("PENTIMENTO_BINARY", assert_cmd::cargo::cargo_bin!("pentimento"))
            .env("PENTIMENTO_LAB", &results)
            .env("PENTIMENTO_SID", &sid)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{why}");
        let text = std::fs::read_to_string(results.join(format!("{target}.json"))).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rows = report["rows"].as_array().unwrap();
        assert!(rows.iter().any(|row| row["chosen"] == true), "{target}: {said}");
        for row in rows {
            let figures = &row["figures"];
            assert!(row["refused"].is_null(), "{target}: {row}");
            assert!(row["seconds"].as_f64().unwrap() < LONGEST, "{target}: {row}");
            assert!(figures["registers"].as_f64().unwrap() > 0.0, "{target}: {row}");
            let spills = figures["spills"].as_f64().unwrap();
            assert!(spills == 0.0 || row["chosen"] == false, "{target}: {row}");
            let cooperative = row["kernel"] == "conv_gemm_cooperative";
            let matrices = figures["classes"]["matrix"].as_f64().unwrap_or(0.0);
            assert_eq!(cooperative, matrices > 0.0, "{target}: {row}");
        }
    }
}
