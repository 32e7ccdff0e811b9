//! See [`cloverleaf_fuzz::json`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::json(data));
#[cfg(not(fuzzing))]
fn main() {}
