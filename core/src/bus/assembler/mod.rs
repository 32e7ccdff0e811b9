//! From lines to messages.
//!
//! [`intake`] knows how each bus and each setting of the adapter prints a line; [`store`] keeps messages while
//! they grow.

mod error;
mod intake;
mod store;

use heapless::Vec;

pub use self::error::{FrameError, Loss, LossReason};
use self::store::{Slot, State};
use super::{Message, Protocol, legacy::Check};

/// How the adapter prints data lines, which follows from its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// The bus; `None` while the adapter still searches, then each line is judged by its shape.
    pub protocol: Option<Protocol>,
    /// Whether lines begin with a header (`AT H1`). Without, all senders are
    /// [`Address::HIDDEN`](super::Address::HIDDEN).
    pub headers: bool,
    /// Whether the first data byte is an address (ISO 15765-2 extended addressing, `AT CEA`).
    pub extended: bool,
    /// Whether the adapter may join the frames of a CAN message into one line without control bytes (`STCSEGR`). With a
    /// header, a line is one if it begins as responses do, with 40h or more, which no control byte reaches. It does not
    /// say how long it should be.
    pub joined: bool,
}

impl Format {
    /// Headers on, normal addressing, one line per frame.
    pub const fn new(protocol: Option<Protocol>) -> Self {
        Self { protocol, headers: true, extended: false, joined: false }
    }
}

/// Collects the data lines of one reply into messages: at most `MESSAGES`, with at most `BYTES` (up to 65 535)
/// bytes of payload together.
///
/// ```
/// use cloverleaf_core::bus::{Address, Assembler, Format, Protocol};
///
/// let mut reply = Assembler::<4, 64>::new(Format::new(Some(Protocol::Can11Fast)));
/// reply.push(b"7E8 10 14 49 02 01 57 50 30 ")?;
/// reply.push(b"7E9 03 7F 09 12 ")?;
/// reply.push(b"7E8 21 5A 5A 5A 39 39 5A 54 ")?;
/// reply.push(b"7E8 22 53 33 39 32 31 32 34 ")?;
/// let mut messages = reply.messages();
/// let first = messages.next().unwrap();
/// assert_eq!(first.source, Address(0x7E8));
/// assert_eq!(first.data.len(), 20);
/// assert_eq!(messages.next().unwrap().data, [0x7F, 0x09, 0x12]);
/// # Ok::<(), cloverleaf_core::bus::FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Assembler<const MESSAGES: usize, const BYTES: usize> {
    format: Format,
    slots: Vec<Slot, MESSAGES>,
    bytes: [u8; BYTES],
    used: usize,
    /// The number of the latest line of the reply.
    line: u16,
}

impl<const MESSAGES: usize, const BYTES: usize> Assembler<MESSAGES, BYTES> {
    const FITS: () = assert!(BYTES <= u16::MAX as usize);

    /// An empty reply.
    pub const fn new(format: Format) -> Self {
        let () = Self::FITS;
        Self { format, slots: Vec::new(), bytes: [0; BYTES], used: 0, line: 0 }
    }

    /// How lines are read.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Forgets everything: the next line begins a new reply, printed in this format.
    pub fn restart(&mut self, format: Format) {
        self.format = format;
        self.slots.clear();
        self.used = 0;
        self.line = 0;
    }

    /// The messages that are whole, in the order in which they began.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> + Clone {
        self.slots
            .iter()
            .filter(|slot| matches!(slot.state, State::Whole | State::Lines { .. }))
            .map(|slot| Message { source: slot.source, data: self.data(slot) })
    }

    /// The lines that completed the [`messages`](Self::messages), in the same order, by their number from 1. A copy
    /// of such a line counts again: its sender spoke once more. From 65 535 lines on all have that number.
    pub fn ends(&self) -> impl Iterator<Item = u16> + Clone {
        let whole = |slot: &&Slot| matches!(slot.state, State::Whole | State::Lines { .. });
        self.slots.iter().filter(whole).map(|slot| slot.end)
    }

    /// What came of messages that are not whole: their bytes up to the first gap.
    pub fn fragments(&self) -> impl Iterator<Item = Message<'_>> + Clone {
        self.slots
            .iter()
            .filter(|slot| matches!(slot.state, State::Open { .. } | State::Lost(_)))
            .map(|slot| Message { source: slot.source, data: self.data(slot) })
    }

    /// The messages that are not, if the reply ended here.
    pub fn losses(&self) -> impl Iterator<Item = Loss> + Clone {
        self.slots.iter().filter_map(|slot| {
            let reason = match slot.state {
                State::Whole | State::Lines { .. } => return None,
                State::Open { declared, .. } => LossReason::Incomplete { received: slot.length, declared },
                State::Lost(reason) => reason,
            };
            Some(Loss { source: slot.source, reason })
        })
    }

    /// Takes one data line: hexadecimal digits, blanks anywhere.
    ///
    /// # Errors
    /// A [`FrameError`] about this line. What earlier lines brought stays.
    #[inline]
    pub fn push(&mut self, line: &[u8]) -> Result<(), FrameError> {
        self.line = self.line.saturating_add(1);
        match (self.format.headers, self.format.protocol) {
            (true, Some(Protocol::Can11Fast | Protocol::Can11Slow)) => self.push_can(line, 3),
            (true, Some(Protocol::Can29Fast | Protocol::Can29Slow)) => self.push_can(line, 8),
            (true, Some(Protocol::J1939)) => self.push_j1939(line),
            (true, Some(Protocol::J1850Pwm | Protocol::J1850Vpw)) => self.push_legacy(line, Check::Crc),
            (true, Some(Protocol::Iso9141)) => self.push_legacy(line, Check::Sum),
            (true, Some(Protocol::KwpSlow | Protocol::KwpFast)) => self.push_legacy(line, Check::Kwp),
            (true, None) => self.push_unknown(line),
            (false, Some(protocol)) if !protocol.is_can() => self.push_bare_legacy(line),
            (false, _) => self.push_bare_can(line),
        }
    }
}
