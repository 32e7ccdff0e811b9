//! See [`cloverleaf_fuzz::obd2_decode`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::obd2_decode(data));
#[cfg(not(fuzzing))]
fn main() {}
