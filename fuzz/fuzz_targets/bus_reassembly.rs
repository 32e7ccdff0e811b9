//! See [`cloverleaf_fuzz::bus_reassembly`].
#![cfg_attr(fuzzing, no_main)]
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| cloverleaf_fuzz::bus_reassembly(data));
#[cfg(not(fuzzing))]
fn main() {}
