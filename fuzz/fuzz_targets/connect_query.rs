//! See [`cloverleaf_fuzz::connect_query`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::connect_query(data));
#[cfg(not(fuzzing))]
fn main() {}
