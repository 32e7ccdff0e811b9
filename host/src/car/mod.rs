//! The car: what it can be asked and what its answers mean.

pub mod signals;
