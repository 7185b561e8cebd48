#![no_main]

libfuzzer_sys::fuzz_target!(init: pentimento_fuzz::walls::stand(), |data: &[u8]| pentimento_fuzz::targets::heif(data));
