//! What a session is told, and what it knows of its adapter.

use heapless::String;

use crate::bus::Protocol;
use crate::time::Duration;

/// How a session goes about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// The protocol to use; `None` lets the adapter search.
    pub protocol: Option<Protocol>,
    /// Ask the car (`0100`) whether it is there before being ready. Without, the session is ready once the
    /// protocol is set: for cars that speak UDS only.
    pub probe: bool,
    /// Do not look for a car while the socket has less than 6 V.
    pub check_voltage: bool,
    /// Use the commands of STN chips where the adapter is one.
    pub stn: bool,
    /// Repeat an unchanged request by a lone carriage return, as long as the adapter proves to know that.
    pub repeat: bool,
    /// How long a search for the protocol, or the slow start of a K-line bus, may take.
    pub search: Duration,
    /// After so long without a request, ask the car whether it is still there; `None`: never.
    pub keep_alive: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            protocol: None,
            probe: true,
            check_voltage: true,
            stn: true,
            repeat: false,
            search: Duration::from_secs(15),
            keep_alive: Some(Duration::from_secs(5)),
        }
    }
}

/// What the adapter said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Adapter {
    /// Its banner: `ELM327 v1.5`. Clones lie about the version.
    pub banner: String<32>,
    /// The name of its STN chip, if it has one: `STN2256 v5.11.4`.
    pub stn: Option<String<32>>,
}

/// What monitoring lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Filter {
    /// Everything.
    #[default]
    All,
    /// CAN identifiers that equal `pattern` where `mask` has ones.
    Pass {
        /// The bits wanted.
        pattern: u32,
        /// The bits that count.
        mask: u32,
    },
}
