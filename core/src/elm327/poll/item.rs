//! What to ask again and again.

use heapless::Vec;

use crate::elm327::session::Target;
use crate::time::Duration;

/// The most items that may share a request (SAE J1979: six PIDs).
pub const GROUP: usize = 6;

/// The most bytes of a request: a single CAN frame.
pub const REQUEST: usize = 7;

/// What to ask again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Item {
    /// The service byte and its parameters, at most seven bytes.
    pub request: Vec<u8, REQUEST>,
    /// How many of the parameters the answer repeats after the service byte.
    pub echoed: u8,
    /// How many bytes of data follow them, if that is always the same. Without, the item is asked alone.
    pub length: Option<u8>,
    /// Whether it may share a request with others of its service.
    pub group: bool,
    /// Whom to ask.
    pub target: Target,
    /// How much time there should be between two answers; zero: as little as possible.
    pub period: Duration,
    /// How important it is compared with others that are as late: twice as much for 1, and so on.
    pub priority: u8,
}

impl Item {
    /// An item that everyone may answer, as often as possible, alone: the answer repeats all of its parameters
    /// and has any length. `None` if the request is empty or longer than [`REQUEST`].
    pub fn new(request: &[u8]) -> Option<Self> {
        let bytes = Vec::from_slice(request).ok().filter(|bytes| !bytes.is_empty())?;
        Some(Self {
            echoed: u8::try_from(request.len().saturating_sub(1)).unwrap_or(0),
            request: bytes,
            length: None,
            group: false,
            target: Target::Functional,
            period: Duration::ZERO,
            priority: 0,
        })
    }

    pub(super) fn service(&self) -> u8 {
        self.request.first().copied().unwrap_or(0)
    }

    pub(super) fn parameters(&self) -> &[u8] {
        self.request.get(1..).unwrap_or_default()
    }

    pub(super) fn repeated(&self) -> &[u8] {
        let parameters = self.parameters();
        parameters.get(..usize::from(self.echoed)).unwrap_or(parameters)
    }
}

/// Names an item; void once the item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Key(pub(super) u32);

/// There is no room for another item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no room for another item")
    }
}

impl core::error::Error for Full {}
