//! See [`cloverleaf_fuzz::elm327_reply`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::elm327_reply(data));
#[cfg(not(fuzzing))]
fn main() {}
