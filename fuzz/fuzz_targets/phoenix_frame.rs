//! See [`cloverleaf_fuzz::phoenix_frame`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::phoenix_frame(data));
#[cfg(not(fuzzing))]
fn main() {}
