//! See [`cloverleaf_fuzz::ws_decoder`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::ws_decoder(data));
#[cfg(not(fuzzing))]
fn main() {}
