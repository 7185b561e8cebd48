//! `pentimento bench`

use serde_json::Value;

use super::support::Workspace;

/// A kernel that takes no time, on the shape of a network.
const TINY: &str = "bench --only kernels --filter pixel_norm --seconds 0";

#[test]
fn the_table_holds_the_networks_and_every_kind_of_convolution() {
    let workspace = Workspace::new();
    let list = workspace.run("bench --list");
    for part in ["gfpgan-512", "mmrbnet-256", "conv3x3 512-512 @64x64", "upfirdn2d", "attention"] {
        assert!(list.succeeds().out.contains(part), "{part}: {}", list.out);
    }
    let list = workspace.run("bench --list --json --filter gpen").succeeds().json();
    let cases = list.as_array().unwrap();
    assert!(cases.len() > 20 && cases.iter().filter(|c| c["kind"] == "network").count() == 1);
    let of_gpen = |case: &Value| case["networks"].as_array().unwrap().contains(&"gpen-512".into());
    assert!(cases.iter().all(|case| case["kind"] == "network" || of_gpen(case)));
}

#[test]
fn a_kernel_is_timed_checked_and_compared() {
    let workspace = Workspace::new();
    let run = workspace.run(&format!("{TINY} --json"));
    let report = run.succeeds().json();
    let row = &report["rows"][0];
    assert_eq!((&row["kernel"], &row["check"]["against"]), (&"pixel_norm".into(), &"twin".into()));
    assert!(row["check"]["error"].as_f64().unwrap() < 1e-5, "{row}");
    assert!(row["time"]["median"].as_f64().unwrap() > 0.0, "{row}");
    assert!(report["peaks"]["f32"].as_f64().unwrap() > 1e9, "{report}");

    // An earlier run that was a thousand times as fast, or as slow.
    for (factor, code, said) in [(1e-3, 3, "SLOWER"), (1e3, 0, "faster")] {
        let mut old = report.clone();
        let time = &mut old["rows"][0]["time"];
        *time = serde_json::json!({
            "median": time["median"].as_f64().unwrap() * factor, "mad": 0.0, "min": 0.0, "samples": 9
        });
        std::fs::write(workspace.path("old.json"), old.to_string()).unwrap();
        let run = workspace.run(&format!("{TINY} --compare old.json"));
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        assert!(run.out.contains(said), "{}", run.out);
        assert!(run.out.lines().all(|line| line.chars().count() <= 100), "{}", run.out);
    }
}

#[test]
fn peaks_of_an_earlier_run_are_taken() {
    let workspace = Workspace::new();
    let probed = workspace.run("bench --only peaks --json").succeeds().json();
    let mut told = probed.clone();
    told["peaks"]["f32"] = 12_345_678.0.into();
    std::fs::write(workspace.path("peaks.json"), told.to_string()).unwrap();
    let run = workspace.run(&format!("{TINY} --json --peaks peaks.json"));
    assert_eq!(run.succeeds().json()["peaks"], told["peaks"]);

    told["machine"]["device"] = "a GPU".into();
    std::fs::write(workspace.path("peaks.json"), told.to_string()).unwrap();
    let run = workspace.run(&format!("{TINY} --peaks peaks.json"));
    run.fails_with(&["peaks.json", "a report of a GPU"]);
}

#[test]
fn what_is_no_report_is_refused() {
    let workspace = Workspace::new();
    std::fs::write(workspace.path("old.json"), "{\"rows\": []}").unwrap();
    workspace.run(&format!("{TINY} --compare old.json")).fails_with(&["old.json", "no report"]);
    workspace.run("bench --compare absent.json").fails_with(&["absent.json"]);
    workspace.run("bench --only kernels --filter no-such-case").fails_with(&["no-such-case"]);
}
