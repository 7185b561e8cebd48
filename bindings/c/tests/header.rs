//! `include/pentimento.h` is what cbindgen makes of `src/ffi`. With `PENTIMENTO_WRITE_HEADER=1` in
//! the environment it is written.

use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let text = |name: &str| std::fs::read_to_string(here.join(name)).expect(name);
    let mut config = cbindgen::Config::from_file(here.join("cbindgen.toml")).expect("a setup");
    config.header = Some(text("prelude.h"));
    config.trailer = Some(text("trailer.h"));
    // The files below it are found by their `mod`.
    let builder =
        cbindgen::Builder::new().with_config(config).with_src(root.join("src/ffi/mod.rs"));
    let mut made = Vec::new();
    builder.generate().expect("src/ffi is plain enough").write(&mut made);
    let made = String::from_utf8(made).expect("UTF-8");

    let path = root.join("include/pentimento.h");
    if std::env::var_os("PENTIMENTO_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("the header can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        there == made,
        "include/pentimento.h is out of date; write it with PENTIMENTO_WRITE_HEADER=1"
    );
}
