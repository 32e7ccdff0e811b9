//! See [`cloverleaf_fuzz::tscbm`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::tscbm(data));
#[cfg(not(fuzzing))]
fn main() {}
