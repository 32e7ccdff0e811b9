//! How the bytes of an adapter travel: over a serial port, over TCP, or to a simulated car.

pub mod simulator;
