//! See [`cloverleaf_fuzz::phoenix_client`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::phoenix_client(data));
#[cfg(not(fuzzing))]
fn main() {}
