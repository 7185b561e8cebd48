//! Which weights are chosen, and names that clash.

use std::sync::Arc;

use pentimento_convert::{Checkpoint, Error, Options, Source};

use crate::build::*;

/// A checkpoint whose top level has a dictionary with one tensor under each of these names, and a
/// tensor under each of the others.
fn file(containers: &[&str], tensors: &[&str]) -> Vec<u8> {
    let mut p = Pickle::new().raw(b"}");
    for name in containers {
        p = p.text(name).raw(b"}").text(&format!("in {name}")).tensor(&SIX).raw(b"ss");
    }
    for name in tensors {
        p = p.text(name).tensor(&SIX).raw(b"s");
    }
    archive(&p.stop(b""), &[("0", &six_floats())])
}

fn with_key(file: &[u8], key: &str) -> Result<Checkpoint, Error> {
    read_with(file, &Options { key: Some(key.into()), ..Options::default() })
}

#[test]
fn containers_are_found_by_preference() {
    let all = ["net_g", "model", "state_dict", "g", "params", "g_ema", "params_ema", "d"];
    let checkpoint = read(&file(&all, &["latent_avg"])).unwrap();
    let preferred = ["params_ema", "g_ema", "params", "g", "state_dict", "model", "net_g", "", "d"];
    assert_eq!(checkpoint.candidates, preferred);
    assert_eq!(checkpoint.container.as_deref(), Some("params_ema"));
    assert_eq!(checkpoint.tensors[0].name, "in params_ema");
    assert_eq!(checkpoint.dropped.len(), 8);
    for key in all {
        let checkpoint = with_key(&file(&all, &[]), key).unwrap();
        assert_eq!(checkpoint.tensors[0].name, format!("in {key}"));
    }
    assert_eq!(with_key(&file(&all, &["x"]), "").unwrap().tensors[0].name, "x");
    let error = with_key(&file(&["g"], &[]), "params").unwrap_err();
    assert_eq!(error.to_string(), "no weights under \"params\"; the file offers \"g\"");
}

#[test]
fn unknown_containers_are_chosen_only_if_they_are_alone() {
    assert_eq!(read(&file(&["weights"], &[])).unwrap().container.as_deref(), Some("weights"));
    assert!(matches!(read(&file(&["one", "two"], &[])), Err(Error::AmbiguousContainer { .. })));
    assert_eq!(read(&file(&["one", "two"], &["x"])).unwrap().container, None);
}

#[test]
fn the_prefix_of_parallel_training_is_removed() {
    let checkpoint =
        read(&file(&[], &["module.a", "module.module.b", "module.", "submodule.c"])).unwrap();
    let names: Vec<_> = checkpoint.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "module.", "submodule.c"]);
    let error = read(&file(&[], &["module.a", "a"])).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { name, .. } if name == "a"));
}

#[test]
fn smoothed_weights_come_first_under_any_of_their_names() {
    for smoothed in
        ["ema", "params-ema", "ema_state_dict", "state_dict_ema", "model_ema", "netG_ema"]
    {
        let checkpoint = read(&file(&["model", "state_dict", smoothed], &[])).unwrap();
        assert_eq!(checkpoint.container.as_deref(), Some(smoothed));
        assert_eq!(checkpoint.tensors[0].name, format!("in {smoothed}"));
    }
}

#[test]
fn dictionaries_are_searched_to_any_depth() {
    let p = Pickle::new().raw(b"}").text("epoch").raw(b"K\x03s").text("model").raw(b"}");
    let p = p.text("raw").raw(b"}").text("a").tensor(&SIX).raw(b"ss");
    let p = p.text("ema").raw(b"}").text("b").tensor(&SIX).raw(b"sss");
    let nested = archive(&p.stop(b""), &[("0", &six_floats())]);
    let checkpoint = read(&nested).unwrap();
    assert_eq!(checkpoint.candidates, ["model/ema", "model/raw"]);
    assert_eq!(checkpoint.container.as_deref(), Some("model/ema"));
    assert_eq!(checkpoint.tensors[0].name, "b");
    assert_eq!(checkpoint.dropped, ["epoch (an integer)", "raw (a dictionary)"]);
    // Whatever is listed can be had, by its path or by its own name.
    for key in ["model/raw", "raw"] {
        assert_eq!(with_key(&nested, key).unwrap().tensors[0].name, "a");
    }
}

#[test]
fn a_number_beside_the_weights_does_not_hide_them() {
    let loss = Tensor { shape: &[], strides: &[], ..SIX };
    let p = Pickle::new().raw(b"}").text("loss").tensor(&loss).raw(b"s").text("mine").raw(b"}");
    let p = p.text("a").tensor(&SIX).raw(b"ss");
    let checkpoint = read(&archive(&p.stop(b""), &[("0", &six_floats())])).unwrap();
    assert_eq!(checkpoint.container.as_deref(), Some("mine"));
    assert_eq!(checkpoint.candidates, ["mine", ""]);
}

#[test]
fn networks_that_lie_side_by_side_are_told_apart() {
    let names = [
        "generator.a.weight",
        "generator.b.weight",
        "generator_ema.a.weight",
        "discriminator.c.weight",
        "perceptual_loss.vgg.weight",
    ];
    let tensors: Vec<(&str, Tensor)> = names.iter().map(|name| (*name, SIX)).collect();
    let file = archive(&Pickle::dict(&tensors), &[("0", &six_floats())]);
    let checkpoint = read(&file).unwrap();
    assert_eq!(checkpoint.container.as_deref(), Some("generator_ema."));
    assert_eq!(checkpoint.tensors.len(), 1);
    assert_eq!(checkpoint.tensors[0].name, "a.weight");
    assert_eq!(checkpoint.dropped.len(), 4);
    for (key, first) in
        [("generator.", "a.weight"), ("generator", "a.weight"), ("discriminator.", "c.weight")]
    {
        assert_eq!(with_key(&file, key).unwrap().tensors[0].name, first);
    }
    // The same in a safetensors file.
    let info = |i: usize| {
        format!(r#"{{"dtype":"F32","shape":[2,1],"data_offsets":[{},{}]}}"#, 8 * i, 8 * i + 8)
    };
    let header: Vec<String> =
        (0..).zip(names).map(|(i, name)| format!(r#""{name}":{}"#, info(i))).collect();
    let file = safetensors(&format!("{{{}}}", header.join(",")), &[0; 40]);
    let checkpoint = read(&file).unwrap();
    assert_eq!(checkpoint.container.as_deref(), Some("generator_ema."));
    assert_eq!(checkpoint.tensors[0].name, "a.weight");
    assert_eq!(checkpoint.dropped.len(), 4);
    assert_eq!(with_key(&file, "generator.").unwrap().tensors.len(), 2);
    assert!(matches!(with_key(&file, "nothing"), Err(Error::NoSuchContainer { .. })));
}

#[test]
fn a_dictionary_that_holds_itself_ends_the_search() {
    let p = Pickle::new().raw(b"}q\0").text("again").raw(b"h\0s").text("w").tensor(&SIX);
    let checkpoint = read(&archive(&p.stop(b"s"), &[("0", &six_floats())])).unwrap();
    assert_eq!((checkpoint.candidates, checkpoint.tensors.len()), (vec![String::new()], 1));
}

#[test]
fn repeated_names_are_refused() {
    let error = read(&file(&[], &["a", "b", "a"])).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { name, .. } if name == "a"));
    let error = read(&file(&["params", "params"], &[])).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { name, .. } if name == "params"));
    let p = Pickle::new().raw(b"}").text("params").raw(b"}");
    let p = p.text("a").tensor(&SIX).raw(b"s").text("a").tensor(&SIX);
    let error = read(&archive(&p.stop(b"ss"), &[("0", &six_floats())])).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { place, .. } if place == "params"));
}

#[test]
fn what_is_no_weight_is_listed() {
    let p = Pickle::new().raw(b"}").text("w").tensor(&SIX).raw(b"s").text("epoch").raw(b"K\x03s");
    let p = p.raw(b"K\x07").tensor(&SIX).raw(b"s");
    let checkpoint = read(&archive(&p.stop(b""), &[("0", &six_floats())])).unwrap();
    assert_eq!(checkpoint.dropped, ["epoch (an integer)", "an entry under an integer (a tensor)"]);
}

#[test]
fn the_mark_of_a_pro_file_becomes_metadata() {
    let p = Pickle::new().raw(b"}").text("w").tensor(&SIX).raw(b"s").text("pro").raw(b"K\x01s");
    let bytes = archive(&p.stop(b""), &[("0", &six_floats())]);
    let source = Source::from_shared(Arc::new(bytes), &Options::default()).unwrap();
    assert_eq!(source.contents().metadata["pro"], "true");
    assert!(source.contents().dropped.is_empty());
}

#[test]
fn a_checkpoint_without_weights_says_what_it_holds() {
    let holds = |p: Pickle| refused(&archive(&p.stop(b""), &[("0", &six_floats())]));
    assert!(holds(Pickle::new().raw(b"}")).contains("holds an empty dictionary"));
    assert!(
        holds(Pickle::new().raw(b"}").text("epoch").raw(b"K\x03s")).contains("epoch (an integer)")
    );
    assert!(holds(Pickle::new().tensor(&SIX)).contains("holds a tensor"));
    let module = Pickle::new().raw(b"cnet\nModel\n)\x81}b").stop(b"");
    let error = read_with(&archive(&module, &[]), &skipping()).unwrap_err().to_string();
    assert!(error.contains("an object of net.Model"), "{error}");
    // As old versions saved it, with its source code.
    let source = Pickle::new().raw(b"(").text("module").global("net", "Model").text("f").text("s");
    let error =
        read_with(&archive(&source.stop(b"tQ)\x81}b"), &[]), &skipping()).unwrap_err().to_string();
    assert!(error.contains("an object of net.Model"), "{error}");
}

#[test]
fn python_2_checkpoints_are_read() {
    // OrderedDict([['w', tensor]]) with names of Python 2's `str`.
    let p = Pickle::new().global("collections", "OrderedDict").raw(b"]](U\x01w").tensor(&SIX);
    let checkpoint = read(&archive(&p.stop(b"ea\x85R"), &[("0", &six_floats())])).unwrap();
    assert_eq!(checkpoint.tensors[0].name, "w");
}

#[test]
fn a_mark_that_tells_two_networks_apart_stays() {
    let p = Pickle::new().raw(b"}").text("w").tensor(&SIX).raw(b"s").text("pro").raw(b"K\x01");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pro.pth");
    std::fs::write(&path, archive(&p.stop(b"s"), &[("0", &six_floats())])).unwrap();
    let source = pentimento_convert::Source::open(&path, &Options::default()).unwrap();
    assert_eq!(source.contents().metadata["pro"], "true");
    assert!(source.contents().dropped.is_empty());
}
