//! The Cloverleaf core on a microcontroller: a Cortex-M4 that drives an ELM327 adapter over a UART.
//!
//! ```text
//! app      what it does: connect, name the car, read codes, poll   generic over link and clock, no board in it
//! uart     Arm CMSDK UART, by interrupts                           embedded-io-async BufRead + Write
//! clock    SysTick                                                 cloverleaf_core::driver::Clock
//! board    vector table, faults, exit, measuring the stack         Arm MPS2 with AN386, as QEMU has it
//! ```
//!
//! The session, the scheduler, the decoders and the driver are those of the host, unchanged.
//!
//! | measured: thumbv7em, opt-level s, fat LTO, deepest stack in QEMU | bytes |
//! |---|---|
//! | code | 65 800 |
//! | constants: the tables of SAE J1979, their names and words | 126 500 |
//! | static RAM, with the one task and the rings of two UARTs (1.4 k) | 5 900 |
//! | stack at its deepest | 5 600 |
//!
//! On other targets this crate is empty, so that `cargo check --workspace` works everywhere.
#![no_std]

#[cfg(target_os = "none")]
pub mod app;
#[cfg(target_os = "none")]
pub mod board;
#[cfg(target_os = "none")]
pub mod clock;
#[cfg(target_os = "none")]
pub mod uart;
