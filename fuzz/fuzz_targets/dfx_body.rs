//! See [`cloverleaf_fuzz::dfx_body`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::dfx_body(data));
#[cfg(not(fuzzing))]
fn main() {}
