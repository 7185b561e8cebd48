//! One run on several devices.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::support::{Run, Workspace, skip};

const RESTORE: &str = "restore album -o out --model x2.safetensors --report r.json";
const PICTURES: usize = 24;

/// An album, and the number of a device that is not the CPU; nothing without one.
fn workspace() -> Option<(Workspace, String)> {
    let workspace = Workspace::new();
    let devices = workspace.run_with("devices --json", &[]);
    let devices = devices.succeeds().json();
    let gpu = devices.as_array()?.iter().find_map(|device| device["index"].as_u64());
    let Some(gpu) = gpu else {
        skip("there is no device but the CPU");
        return None;
    };
    for i in 0..PICTURES {
        workspace.picture(&format!("album/{i:02}.png"), 12 + i as u32, 9);
    }
    fs::write(workspace.path("album/07.png"), "broken").unwrap();
    Some((workspace, gpu.to_string()))
}

fn report(workspace: &Workspace) -> Value {
    serde_json::from_slice(&fs::read(workspace.path("r.json")).unwrap()).unwrap()
}

/// The report is in order, and every result is that of its device alone. How many each had.
fn check(workspace: &Workspace, run: &Run) -> BTreeMap<String, u64> {
    assert_eq!(run.code, 1, "one picture is broken: {}", run.err);
    let report = report(workspace);
    let pictures = report["pictures"].as_array().unwrap();
    let inputs: Vec<_> = pictures.iter().map(|picture| picture["input"].clone()).collect();
    let expected: Vec<_> = (0..PICTURES).map(|i| format!("album/{i:02}.png")).collect();
    assert_eq!(inputs, expected);
    assert_eq!(
        (&report["restored"], &report["failed"]),
        (&(PICTURES as u64 - 1).into(), &1.into())
    );
    assert_eq!(workspace.files("out").len(), PICTURES - 1);
    let mut counts = BTreeMap::new();
    for (i, picture) in pictures.iter().enumerate().filter(|(i, _)| *i != 7) {
        let device = picture["device"].as_str().unwrap().to_owned();
        let alone = format!("alone-{device}");
        if !workspace.path(&alone).exists() {
            let model = "--model x2.safetensors";
            let run =
                format!("restore album -o {alone} {model} --device {device} --report alone.json");
            assert_eq!(workspace.run_with(&run, &[]).code, 1);
        }
        let name = format!("{i:02}.png");
        let [shared, alone] =
            ["out", &alone].map(|folder| fs::read(workspace.path(folder).join(&name)).unwrap());
        assert!(shared == alone, "{name} on {device}");
        *counts.entry(device).or_insert(0) += 1;
    }
    for share in report["devices"].as_array().unwrap() {
        let device = share["device"].as_str().unwrap();
        let failed = share["pictures"].as_u64().unwrap() - counts.get(device).unwrap_or(&0);
        assert!(failed <= 1, "{share}");
        assert!(run.out.contains(&format!("({device}: {}", share["pictures"])), "{}", run.out);
    }
    counts
}

#[test]
fn pictures_are_shared_and_told_in_order() {
    let Some((workspace, gpu)) = workspace() else { return };
    let run = workspace.run_with(&format!("{RESTORE} --device cpu,{gpu}"), &[]);
    let counts = check(&workspace, &run);
    assert_eq!(counts.len(), 2, "both had some: {counts:?}");
    // Another run finds all of it done, and tries the broken picture again.
    let again = workspace.run_with(&format!("{RESTORE} --device cpu,{gpu}"), &[]);
    assert!(again.out.contains("already there"), "{}", again.out);
}

#[test]
#[cfg(debug_assertions)]
fn a_lost_device_leaves_its_pictures_to_the_others() {
    let Some((workspace, gpu)) = workspace() else { return };
    let lost = [("PENTIMENTO_FAULT", "restore:lost:03.png")];
    let run = workspace.run_with(&format!("{RESTORE} --device {gpu},cpu"), &lost);
    check(&workspace, &run);
    let shares = report(&workspace)["devices"].clone();
    let lost: Vec<_> =
        shares.as_array().unwrap().iter().filter(|s| s["lost"].is_string()).collect();
    assert_eq!(lost.len(), 1, "{shares}");
    let device = lost[0]["device"].as_str().unwrap();
    let said = format!("(--device {device}): the device was lost: a test asked for it");
    assert!(run.err.contains(&said), "{}", run.err);
    assert!(run.out.contains(", lost)"), "{}", run.out);
}

#[test]
#[cfg(debug_assertions)]
fn the_last_device_keeps_its_error() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 12, 9);
    workspace.picture("album/b.png", 12, 9);
    let lost = [("PENTIMENTO_FAULT", "restore:lost:a.png")];
    let run = workspace.run_with(&format!("{RESTORE} --device cpu"), &lost);
    assert_eq!(run.code, 1);
    assert_eq!(workspace.files("out"), ["b.png"]);
    assert!(report(&workspace).get("devices").is_none());
}

#[test]
fn all_is_a_device_even_without_a_gpu() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 12, 9);
    workspace.run_with(&format!("{RESTORE} --device all"), &[]).succeeds();
    assert_eq!(workspace.files("out"), ["a.png"]);
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 12, 9);
    let refused =
        |arguments: &str, parts: &[&str]| workspace.run_with(arguments, &[]).fails_with(parts);
    refused(&format!("{RESTORE} --device cpu,cpu"), &["cpu twice", "once"]);
    refused(&format!("{RESTORE} --device cpu,,cpu"), &["an entry is empty"]);
    refused(&format!("{RESTORE} --device cpu,abacus"), &["no device matches", "abacus"]);
    let Some((workspace, gpu)) = self::workspace() else { return };
    let inspect = format!("inspect x2.safetensors --device {gpu},cpu");
    workspace.run_with(&inspect, &[]).fails_with(&["names 2 devices", "name one of them"]);
    let film = "restore album -o out --model face.safetensors --smooth 0.5";
    let film = workspace.run_with(&format!("{film} --device {gpu},cpu"), &[]);
    film.fails_with(&["--smooth", "--device"]);
}
