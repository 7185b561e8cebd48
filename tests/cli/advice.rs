//! What an error about a checkpoint advises works; what a hostile file asks for does not.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;

use super::build::{self, Pickle, SIX, Tensor, six_floats};
use super::support::{Workspace, upscaler};

/// The tensors of the tiny upscaling model as a safetensors file, each name changed, with these
/// lines and bytes after them.
fn renamed(rename: impl Fn(&str) -> String, more: &[(&str, &str, usize)]) -> Vec<u8> {
    let model = upscaler(&[8, 8]);
    let parsed = SafeTensors::deserialize(&model).unwrap();
    let (mut lines, mut data) = (Vec::new(), Vec::new());
    let mut tensors = parsed.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, view) in &tensors {
        let (shape, start) = (view.shape(), data.len());
        data.extend_from_slice(view.data());
        let name = rename(name);
        lines.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    for (name, dtype, bytes) in more {
        let (shape, start) = (bytes / 4, data.len());
        data.resize(start + bytes, 0);
        lines.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    build::safetensors(&format!("{{{}}}", lines.join(",")), &data)
}

#[test]
fn a_tensor_too_many_can_be_dropped_as_the_error_says() {
    let workspace = Workspace::new();
    let more = [("aux.a", "F32", 8), ("aux.b", "I32", 8)];
    fs::write(workspace.path("more.safetensors"), renamed(str::to_owned, &more)).unwrap();
    let says = ["aux.a and 1 more", "SRVGGNetCompact", "convert --drop \"aux.*\""];
    workspace.run("inspect more.safetensors").fails_with(&says);
    workspace
        .run_with("convert more.safetensors -o fewer.safetensors --drop aux.*", &[])
        .succeeds();
    workspace.run("inspect fewer.safetensors").succeeds();
    let run = workspace.run_with("convert more.safetensors -o none.safetensors --drop *", &[]);
    run.fails_with(&["no tensor that is not left out"]);
}

#[test]
fn other_entries_can_be_had_as_the_note_says() {
    let workspace = Workspace::new();
    let both = renamed(|name| format!("generator.{name}"), &[("generator_ema.x.w", "F32", 8)]);
    // Of the smoothed network there is nothing but a vector: no weights.
    fs::write(workspace.path("both.safetensors"), both).unwrap();
    workspace.picture("a.png", 8, 8);
    let run = workspace.run("restore a.png -o b.png --model both.safetensors");
    assert!(run.succeeds().err.contains("took the weights \"generator.\""), "{}", run.err);
    assert!(run.err.contains("--key NAME"), "{}", run.err);
    let run = workspace.run_with("convert both.safetensors -o g.safetensors --key generator.", &[]);
    run.succeeds();
    workspace.run("restore a.png -o c.png --model g.safetensors").succeeds();
    let read = |name: &str| fs::read(workspace.path(name)).unwrap();
    assert!(read("b.png") == read("c.png"));
    let inspected = workspace.run("inspect both.safetensors");
    assert!(inspected.succeeds().out.contains("taken"), "{}", inspected.out);
}

#[test]
fn doubles_and_wrapped_names_run_as_they_are() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    let wrapped = renamed(|name| format!("module._orig_mod.{name}"), &[]);
    fs::write(workspace.path("wrapped.safetensors"), wrapped).unwrap();
    for model in ["x2", "wrapped"] {
        let run = format!("restore a.png -o {model}.png --model {model}.safetensors");
        workspace.run(&run).succeeds();
    }
    let read = |name: &str| fs::read(workspace.path(name)).unwrap();
    assert!(read("x2.png") == read("wrapped.png"));
}

#[test]
fn limits_and_checksums_give_way_as_their_errors_say() {
    let workspace = Workspace::new();
    // A stride of 0 makes 80 MB of a float.
    let wide = Tensor { shape: &[20_000_000], strides: &[0], ..SIX };
    let file = build::archive(&Pickle::dict(&[("w", wide)]), &[("0", &six_floats())]);
    fs::write(workspace.path("wide.pth"), file).unwrap();
    workspace.run_with("convert wide.pth", &[]).fails_with(&["convert --trust", "expansion_ratio"]);
    workspace.run_with("convert wide.pth --trust", &[]).succeeds();
    assert!(fs::metadata(workspace.path("wide.safetensors")).unwrap().len() > 80_000_000);

    let mut damaged = build::small_zip();
    let at = damaged.windows(4).position(|w| w == 1_f32.to_le_bytes()).unwrap();
    damaged[at] ^= 1;
    fs::write(workspace.path("damaged.pth"), damaged).unwrap();
    workspace.run_with("convert damaged.pth", &[]).fails_with(&["convert --no-checksums"]);
    workspace.run_with("convert damaged.pth --no-checksums", &[]).succeeds();
}

#[test]
fn a_choice_that_a_network_does_not_have_is_refused() {
    let workspace = Workspace::new();
    for (choice, network) in
        [("range=0..1", "GPEN"), ("adain=off", "CodeFormer"), ("resampling=fir", "GFPGANv1")]
    {
        let run = workspace.run(&format!("inspect x2.safetensors --assume {choice}"));
        run.fails_with(&["SRVGGNetCompact has no", "leave out --assume", network]);
    }
    workspace.run("inspect x2.safetensors --assume slope=0").succeeds();
}

#[test]
fn what_a_file_cannot_tell_is_said() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 20, 12);
    // Without slopes: leaky ReLU or ReLU.
    let model = upscaler(&[8, 8]);
    let tensors = SafeTensors::deserialize(&model).unwrap().tensors();
    let kept = tensors
        .into_iter()
        .filter(|(name, view)| name.ends_with("bias") || view.shape().len() == 4);
    let file = safetensors::serialize(kept, None).unwrap();
    fs::write(workspace.path("leaky.safetensors"), file).unwrap();
    let run = workspace.run("restore a.png -o b.png --model leaky.safetensors");
    assert!(
        run.succeeds().err.contains("assumed: the file cannot tell it from ReLU"),
        "{}",
        run.err
    );
    let restore = "restore a.png -o c.png --model leaky.safetensors --assume slope=0";
    assert!(!workspace.run(restore).succeeds().err.contains("assumed"));
}

#[test]
fn nothing_in_a_file_commands_the_terminal() {
    let workspace = Workspace::new();
    let escaped = r#"{"__metadata__":{"\u001b[2Jkey":"\u001b]0;owned\u0007","t":"\u202etxt"},"#;
    let model = renamed(str::to_owned, &[]);
    let length = u64::from_le_bytes(model[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(model[8..8 + length].to_vec()).unwrap();
    let header = header.replacen('{', escaped, 1);
    let file = build::safetensors(&header, &model[8 + length..]);
    fs::write(workspace.path("esc.safetensors"), file).unwrap();
    let name = r#"{"\u001b[31mRED.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    fs::write(workspace.path("name.safetensors"), build::safetensors(name, &[0; 8])).unwrap();
    for arguments in [
        "inspect esc.safetensors --device cpu",
        "inspect esc.safetensors --device cpu --json",
        "convert --list esc.safetensors name.safetensors",
        "inspect name.safetensors --device cpu",
    ] {
        let run = workspace.run_with(arguments, &[]);
        let told = format!("{}{}", run.out, run.err);
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!told.contains(obeyed), "{arguments}: {told:?}");
        assert!(arguments.contains("name") || told.contains("owned"), "{arguments}: {told}");
    }
}

/// Every number of the configuration in our own format, replaced by others: a sentence, or a network
/// that is built.
#[test]
fn no_number_of_our_own_metadata_ends_the_program() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens/mmrbnet/default_32/checkpoint.safetensors");
    let file = fs::read(path).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let config: serde_json::Value =
        serde_json::from_str(header["__metadata__"]["config"].as_str().unwrap()).unwrap();
    let mut pointers = Vec::new();
    numbers(&config, String::new(), &mut pointers);
    assert!(pointers.len() > 10, "{pointers:?}");
    let mut values: Vec<serde_json::Value> = (0..64).map(|bit| (1_u64 << bit).into()).collect();
    values.extend([0.into(), (-1).into(), 0.5.into(), 1e300.into(), u64::MAX.into()]);
    let (mut refused, start) = (0, Instant::now());
    for pointer in &pointers {
        for value in &values {
            let (mut header, mut config) = (header.clone(), config.clone());
            *config.pointer_mut(pointer).unwrap() = value.clone();
            header["__metadata__"]["config"] = config.to_string().into();
            let changed = build::safetensors(&header.to_string(), &file[8 + length..]);
            let model = pentimento::Model::from_bytes(changed, "m", &Default::default());
            refused += usize::from(model.is_err());
        }
    }
    assert!(refused > pointers.len() * 55, "{refused} of {}", pointers.len() * values.len());
    let each = start.elapsed() / (pointers.len() * values.len()) as u32;
    assert!(each < Duration::from_millis(200), "{each:?}");
}

fn numbers(value: &serde_json::Value, pointer: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Number(_) => found.push(pointer),
        serde_json::Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                numbers(item, format!("{pointer}/{i}"), found);
            }
        }
        serde_json::Value::Object(entries) => {
            for (key, item) in entries {
                numbers(item, format!("{pointer}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// A conversion that Ctrl-C ends leaves nothing behind.
#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_temporary_file() {
    let workspace = Workspace::new();
    // 1.5 GB of a float by a stride of 0, so that there is time.
    let wide = Tensor { shape: &[400_000_000], strides: &[0], ..SIX };
    let file = build::archive(&Pickle::dict(&[("w", wide)]), &[("0", &six_floats())]);
    fs::write(workspace.path("wide.pth"), file).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["convert", "wide.pth", "--trust"])
        .current_dir(workspace.path(""))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let hidden =
        || workspace.files("").into_iter().filter(|n| n.starts_with(".pentimento-")).count();
    let start = Instant::now();
    while hidden() == 0 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(hidden(), 1, "the conversion had not begun, or was done");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(hidden(), 0);
    assert!(!workspace.path("wide.safetensors").exists());
}
