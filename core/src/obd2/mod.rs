#![doc = include_str!("../../docs/obd2.md")]

mod command;
mod decode;
mod dtc;
mod dtc_ranges;
mod enumeration;
mod error;
pub mod j1939;
mod layout;
mod monitor;
pub mod reply;
mod scaling;
mod signal;
mod status;
pub mod table;
pub mod uds;
mod unit;
mod value;

pub use command::{Ask, Code, Command, Ecu, Request};
pub use decode::{Answer, Decoder, Part, Split, answer, answers, decode, decode_adapter, is_engine};
pub use dtc::{Description, Dtc, Dtcs};
pub use enumeration::State;
pub use error::{DecodeError, Nrc};
pub use layout::layout;
pub use monitor::{Test, Tests};
pub use scaling::{Factors, Quantity, Scaling};
pub use signal::{Kind, Reading, Signal, Signals};
pub use status::{Ignition, Readiness, Status};
pub use unit::Unit;
pub use value::{Numbers, Sensors, Supported, Text, Value};
