//! From lines to messages.

use core::fmt;

use heapless::Vec;

use super::{
    Address, Message, Protocol, can,
    hex::{self, HexError},
    legacy::{self, Check},
};

/// How the adapter prints data lines, which follows from its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// The bus; `None` while the adapter still searches, then each line is judged by its shape.
    pub protocol: Option<Protocol>,
    /// Whether lines begin with a header (`AT H1`). Without, all senders are [`Address::HIDDEN`].
    pub headers: bool,
    /// Whether the first data byte is an address (ISO 15765-2 extended addressing, `AT CEA`).
    pub extended: bool,
    /// Whether the adapter joined long messages into one line without frame counts (`STCSEGR 1` of STN chips).
    pub joined: bool,
}

impl Format {
    /// Headers on, normal addressing, one line per frame.
    pub const fn new(protocol: Option<Protocol>) -> Self {
        Self { protocol, headers: true, extended: false, joined: false }
    }
}

/// Why one line was refused. The messages begun by other lines are not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// A character that is neither a hexadecimal digit nor a blank.
    Character(u8),
    /// Too few digits to hold a header and data, or half a byte at the end.
    Short,
    /// More data than a frame of this bus can carry.
    Long,
    /// A declared length that does not fit the frame.
    Length,
    /// A CAN frame whose first byte is of no kind that ISO 15765-2 knows.
    Kind(u8),
    /// A check byte that does not match (legacy buses).
    Check {
        /// What the bytes before it give.
        expected: u8,
        /// What the line ends with.
        found: u8,
    },
    /// A later part of a message that never began.
    Orphan,
    /// No room for one more message, or for one of this length.
    Full,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(byte) => write!(f, "byte {byte:02X} is no hexadecimal digit"),
            Self::Short => f.write_str("the frame is cut short"),
            Self::Long => f.write_str("more data than a frame can carry"),
            Self::Length => f.write_str("the declared length does not fit the frame"),
            Self::Kind(byte) => write!(f, "no frame begins with {byte:02X}"),
            Self::Check { expected, found } => {
                write!(f, "check byte {found:02X} where {expected:02X} was due")
            }
            Self::Orphan => f.write_str("part of a message that never began"),
            Self::Full => f.write_str("no room for this message"),
        }
    }
}

impl core::error::Error for FrameError {}

impl From<HexError> for FrameError {
    fn from(error: HexError) -> Self {
        match error {
            HexError::Character(byte) => Self::Character(byte),
            HexError::Full => Self::Long,
        }
    }
}

/// A message that began and did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loss {
    /// Its sender.
    pub source: Address,
    /// What happened to it.
    pub reason: LossReason,
}

/// Why a message did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LossReason {
    /// The reply ended first.
    Incomplete {
        /// Bytes that arrived.
        received: u16,
        /// Bytes that the first frame declared.
        declared: u16,
    },
    /// A part is missing or out of order.
    Sequence {
        /// The number that was due.
        expected: u8,
        /// The number that came.
        found: u8,
    },
    /// The sender began another message.
    Interrupted,
    /// It grew beyond the room there is.
    Full,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { received, declared } => {
                write!(f, "only {received} of {declared} bytes arrived")
            }
            Self::Sequence { expected, found } => {
                write!(f, "part {found} arrived where part {expected} was due")
            }
            Self::Interrupted => f.write_str("its sender began another message"),
            Self::Full => f.write_str("it grew beyond the room there is"),
        }
    }
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All of it is there.
    Whole,
    /// Declared by a first frame; `next` is the number of the part that is due.
    Open { declared: u16, next: u8 },
    /// Legacy lines, which declare no length: complete as far as anyone can tell; `last` is the latest number.
    Lines { last: u8 },
    /// Given up; later parts of it are skipped.
    Lost(LossReason),
}

/// One message and where its bytes are.
#[derive(Clone, Copy, Debug)]
struct Slot {
    source: Address,
    start: u16,
    length: u16,
    state: State,
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
}

impl<const MESSAGES: usize, const BYTES: usize> Assembler<MESSAGES, BYTES> {
    const FITS: () = assert!(BYTES <= u16::MAX as usize);

    /// An empty reply.
    pub const fn new(format: Format) -> Self {
        let () = Self::FITS;
        Self { format, slots: Vec::new(), bytes: [0; BYTES], used: 0 }
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
    }

    /// The messages that are whole, in the order in which they began.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> + Clone {
        self.slots
            .iter()
            .filter(|slot| matches!(slot.state, State::Whole | State::Lines { .. }))
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

    /// A line of a bus that is not known yet, judged by its shape: an odd number of digits is an 11-bit
    /// identifier and whole bytes, `18DA…` (or padding) a 29-bit one, anything else a legacy header.
    fn push_unknown(&mut self, line: &[u8]) -> Result<(), FrameError> {
        if hex::digits(line) % 2 == 1 {
            return self.push_can(line, 3);
        }
        match hex::number(line, 3) {
            Some((0x18D, _)) => self.push_can(line, 8),
            Some((0 | 0x700..=0x7FF, _)) => self.push_can(line, 3),
            _ => self.push_legacy(line, Check::Any),
        }
    }

    /// A CAN line whose identifier has `digits` digits.
    #[inline]
    fn push_can(&mut self, line: &[u8], digits: usize) -> Result<(), FrameError> {
        let (id, rest) = hex::number(line, digits).ok_or_else(|| refusal(line))?;
        if self.format.joined {
            return self.push_joined(Address(id), rest);
        }
        let mut buffer = [0; 16];
        let found = hex::bytes(rest, &mut buffer)?;
        if found.odd {
            return self.push_prefixed_can(id, rest);
        }
        self.push_frame(Address(id), buffer.get(..found.count).unwrap_or_default())
    }

    /// A CAN line with half a byte too many between identifier and data: an 11-bit identifier padded to eight
    /// digits, or the number of data bytes (`AT D1`).
    fn push_prefixed_can(&mut self, id: u32, rest: &[u8]) -> Result<(), FrameError> {
        let mut buffer = [0; 16];
        let prefix = if id == 0 { 5 } else { 1 };
        let (prefix, rest) = hex::number(rest, prefix).ok_or(FrameError::Short)?;
        let found = hex::bytes(rest, &mut buffer)?;
        if found.odd {
            return Err(FrameError::Short);
        }
        let data = buffer.get(..found.count).unwrap_or_default();
        match id {
            0 => self.push_frame(Address(prefix), data),
            _ if prefix as usize == data.len() => self.push_frame(Address(id), data),
            _ => Err(FrameError::Length),
        }
    }

    /// The data bytes of one CAN frame.
    #[inline]
    fn push_frame(&mut self, source: Address, data: &[u8]) -> Result<(), FrameError> {
        let frame = data.len() <= can::FRAME;
        let data = match (self.format.extended, data) {
            (true, [_, data @ ..]) => data,
            _ => data,
        };
        match data {
            _ if frame => {}
            // An adapter joined the parts and put the length in front: `09 41 68 03 33 35 00 00 00 00`.
            [length, joined @ ..] if usize::from(*length) == joined.len() => {
                return self.single(source, joined);
            }
            _ => return Err(FrameError::Long),
        }
        match can::parse(data)? {
            can::Pdu::Single(data) => self.single(source, data),
            can::Pdu::First { length, data } => self.first(source, length, data, 1),
            can::Pdu::Consecutive { sequence, data } => {
                self.next(|slot| slot.source == source, sequence, 0x0F, data)
            }
            can::Pdu::FlowControl => Ok(()),
        }
    }

    /// A line that the adapter joined: the whole payload follows the identifier.
    fn push_joined(&mut self, source: Address, rest: &[u8]) -> Result<(), FrameError> {
        let length = self.decode_at_end(rest)?;
        self.keep_end(source, length)
    }

    /// A J1939 line: as the ELM327 splits the identifier (`6 0FECA 00`) or as eight plain digits (`18FECA00`).
    ///
    /// Broadcast transport (SAE J1939-21, 5.10.3) is joined: its message carries the identifier it announced.
    fn push_j1939(&mut self, line: &[u8]) -> Result<(), FrameError> {
        let (printed, rest) = hex::number(line, 8).ok_or_else(|| refusal(line))?;
        let id = match printed >> 24 {
            // Priority and the leading digit of the group number: the second digit is at most 3.
            high if high & 0x0F <= 3 => (printed >> 28) << 26 | printed & 0x0FFF_FFFF,
            _ => printed,
        };
        let mut buffer = [0; 16];
        let found = hex::bytes(rest, &mut buffer)?;
        if found.odd || found.count == 0 {
            return Err(FrameError::Short);
        }
        if found.count > can::FRAME {
            return Err(FrameError::Long);
        }
        let data = buffer.get(..found.count).unwrap_or_default();
        match (id >> 16 & 0xFF, data) {
            (0xEC, [0x20, low, high, _packets, _, p0, p1, p2]) => {
                let group = u32::from_le_bytes([*p0, *p1, *p2, 0]);
                let source = Address(id & 0x1C00_0000 | group << 8 & 0x03FF_FF00 | id & 0xFF);
                self.first(source, u16::from_le_bytes([*low, *high]), &[], 1)
            }
            (0xEB, [sequence, data @ ..]) => {
                let same = |slot: &Slot| slot.source.0 & 0xFF == id & 0xFF;
                self.next(same, *sequence, 0xFF, data)
            }
            _ => self.single(Address(id), data),
        }
    }

    /// A CAN line without header: a payload, a length (`014`), or a numbered part (`1: 41 …`).
    fn push_bare_can(&mut self, line: &[u8]) -> Result<(), FrameError> {
        if let Some(colon) = line.iter().position(|&byte| byte == b':') {
            let (number, part) = line.split_at_checked(colon).unwrap_or_default();
            let (sequence, _) = hex::number(number, 1).ok_or(FrameError::Short)?;
            let mut buffer = [0; 16];
            let found = hex::bytes(part.get(1..).unwrap_or_default(), &mut buffer)?;
            if found.odd || found.count == 0 {
                return Err(FrameError::Short);
            }
            let data = buffer.get(..found.count).unwrap_or_default();
            let sequence = sequence as u8;
            // Nobody says whose part it is: the oldest message that waits for this number gets it.
            let waits = |slot: &Slot| matches!(slot.state, State::Open { next, .. } if next == sequence);
            if self.slots.iter().any(waits) {
                return self.next(waits, sequence, 0x0F, data);
            }
            return self.next(|_| true, sequence, 0x0F, data);
        }
        if hex::digits(line) == 3 {
            let (length, _) = hex::number(line, 3).ok_or_else(|| refusal(line))?;
            return self.open(Address::HIDDEN, length as u16, 0);
        }
        self.push_joined(Address::HIDDEN, line)
    }

    /// A line of a legacy bus, header and check byte included.
    fn push_legacy(&mut self, line: &[u8], check: Check) -> Result<(), FrameError> {
        let length = self.decode_at_end(line)?;
        let end = self.bytes.get(self.used..self.used + length).unwrap_or_default();
        let frame = legacy::parse(end, check)?;
        let source = Address(u32::from(frame.source));
        // The data lies behind the header (three or four bytes) in what was just decoded.
        let length = frame.data.len();
        let offset = frame.data.as_ptr().addr() - end.as_ptr().addr();
        if let Some(end) = self.bytes.get_mut(self.used..self.used + offset + length) {
            end.copy_within(offset.., 0);
        }
        self.lines(source, length)
    }

    /// A line of a legacy bus as `AT H0` prints it: data only.
    fn push_bare_legacy(&mut self, line: &[u8]) -> Result<(), FrameError> {
        let length = self.decode_at_end(line)?;
        self.lines(Address::HIDDEN, length)
    }

    /// The `length` bytes behind the used ones are a line of a legacy message: decides which.
    ///
    /// SAE J1979 numbers the lines of service 09 from 1 (third byte, with four bytes of data) and repeats the
    /// service byte before every three codes of services 03, 07 and 0A. Both become one message without the
    /// repetitions; everything else is a message of its own.
    fn lines(&mut self, source: Address, length: usize) -> Result<(), FrameError> {
        let line = self.bytes.get(self.used..self.used + length).unwrap_or_default();
        let (head, sequence, from) = match *line {
            [0x49, _, sequence, _, ..] => (2, sequence, 3),
            [0x43 | 0x47 | 0x4A, ..] => (1, 0, 1),
            _ => return self.keep_end(source, length),
        };
        let data = line.get(from..).unwrap_or_default();
        let key = line.get(..head).unwrap_or_default();
        let earlier =
            self.slots.iter().rposition(|slot| slot.source == source && self.data(slot).starts_with(key));
        let Some((index, slot)) = earlier.and_then(|index| Some((index, *self.slots.get(index)?))) else {
            let state = match sequence {
                0 | 1 => State::Lines { last: sequence },
                found => State::Lost(LossReason::Sequence { expected: 1, found }),
            };
            // Close the gap that the number leaves, then keep service, PID and data.
            if let Some(end) = self.bytes.get_mut(self.used + head..self.used + length) {
                end.copy_within(from - head.., 0);
            }
            return self.keep(source, head + length - from, state);
        };
        let State::Lines { last } = slot.state else {
            return Ok(());
        };
        let size = data.len();
        let known = self.data(&slot);
        if sequence == 0 {
            let mut groups = known.get(head..).unwrap_or_default().chunks(6);
            if groups.any(|group| group == data) {
                return Ok(());
            }
        } else if sequence == last && known.ends_with(data) {
            return Ok(());
        } else if sequence != last.wrapping_add(1) {
            let reason = LossReason::Sequence { expected: last.wrapping_add(1), found: sequence };
            self.set(index, State::Lost(reason));
            return Ok(());
        }
        // Move the new bytes from the end to just behind their message, and what lies between up.
        let at = usize::from(slot.start + slot.length);
        if let Some(tail) = self.bytes.get_mut(at..self.used + length) {
            tail.rotate_right(size);
        }
        for other in &mut self.slots {
            if usize::from(other.start) >= at && other.length > 0 {
                other.start += size as u16;
            }
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.length += size as u16;
            slot.state = State::Lines { last: sequence };
        }
        self.used += size;
        Ok(())
    }

    /// Keeps a message that came in one frame.
    #[inline]
    fn single(&mut self, source: Address, data: &[u8]) -> Result<(), FrameError> {
        let length = data.len();
        let free = self.used..self.used + length;
        self.bytes.get_mut(free).ok_or(FrameError::Full)?.copy_from_slice(data);
        self.keep_end(source, length)
    }

    /// Begins a message of several frames with its first bytes; `next` is the number of the part after these.
    fn first(&mut self, source: Address, length: u16, data: &[u8], next: u8) -> Result<(), FrameError> {
        let open = |slot: &Slot| slot.source == source && matches!(slot.state, State::Open { .. });
        if let Some(index) = self.slots.iter().rposition(open) {
            if let Some(&slot) = self.slots.get(index) {
                let again = State::Open { declared: length, next };
                if slot.state == again && self.data(&slot) == data {
                    return Ok(());
                }
            }
            self.set(index, State::Lost(LossReason::Interrupted));
        }
        self.open(source, length, next)?;
        self.extend(self.slots.len() - 1, data, length, next);
        Ok(())
    }

    /// Makes room for a message of a declared length.
    fn open(&mut self, source: Address, length: u16, next: u8) -> Result<(), FrameError> {
        if length == 0 {
            return Err(FrameError::Length);
        }
        let slot = Slot {
            source,
            start: self.used as u16,
            length: 0,
            state: State::Open { declared: length, next },
        };
        let used = self.used + usize::from(length);
        if used > BYTES {
            return Err(FrameError::Full);
        }
        self.slots.push(slot).map_err(|_| FrameError::Full)?;
        self.used = used;
        Ok(())
    }

    /// Takes a later part of a message: of the latest that matches and is not whole.
    fn next(
        &mut self,
        matches: impl Fn(&Slot) -> bool,
        sequence: u8,
        mask: u8,
        data: &[u8],
    ) -> Result<(), FrameError> {
        let mine = |slot: &Slot| matches(slot) && !matches!(slot.state, State::Lines { .. });
        let open = |slot: &Slot| mine(slot) && matches!(slot.state, State::Open { .. });
        let Some(index) = self.slots.iter().position(open) else {
            // A part of a message that was given up, or one more copy of the last part of a whole one.
            let known = self.slots.iter().any(|slot| {
                mine(slot) && (matches!(slot.state, State::Lost(_)) || self.data(slot).len() >= can::FRAME)
            });
            return if known { Ok(()) } else { Err(FrameError::Orphan) };
        };
        let Some(&slot) = self.slots.get(index) else {
            return Err(FrameError::Orphan);
        };
        let State::Open { declared, next } = slot.state else {
            return Err(FrameError::Orphan);
        };
        if sequence != next {
            let copy = sequence == next.wrapping_sub(1) & mask && self.data(&slot).ends_with(data);
            if !copy {
                let reason = LossReason::Sequence { expected: next, found: sequence };
                self.set(index, State::Lost(reason));
            }
            return Ok(());
        }
        self.extend(index, data, declared, next.wrapping_add(1) & mask);
        Ok(())
    }

    /// Adds bytes to an open message. At its declared length it is whole; before, part `next` is due.
    fn extend(&mut self, index: usize, data: &[u8], declared: u16, next: u8) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let size = data.len().min(usize::from(declared - slot.length));
        let at = usize::from(slot.start + slot.length);
        if let (Some(room), Some(data)) = (self.bytes.get_mut(at..at + size), data.get(..size)) {
            room.copy_from_slice(data);
        }
        slot.length += size as u16;
        slot.state = State::Open { declared, next };
        if slot.length == declared {
            slot.state = State::Whole;
            self.forget_copy(index);
        }
    }

    /// Drops a whole message that an earlier one of the same sender equals: an adapter printed it twice.
    fn forget_copy(&mut self, index: usize) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        if self.is_known(slot.source, self.data(slot), index) {
            let start = usize::from(slot.start);
            if start + usize::from(slot.length) == self.used {
                self.used = start;
            }
            self.slots.remove(index);
        }
    }

    /// Whether one of the first `limit` messages is this one.
    #[inline]
    fn is_known(&self, source: Address, data: &[u8], limit: usize) -> bool {
        self.slots
            .iter()
            .take(limit)
            .any(|slot| slot.source == source && slot.state == State::Whole && self.data(slot) == data)
    }

    /// Decodes digits behind the used bytes, without using them up, and returns how many bytes they are.
    fn decode_at_end(&mut self, line: &[u8]) -> Result<usize, FrameError> {
        let free = self.bytes.get_mut(self.used..).unwrap_or_default();
        match hex::bytes(line, free) {
            Ok(found) if found.odd || found.count == 0 => Err(FrameError::Short),
            Ok(found) => Ok(found.count),
            Err(HexError::Full) => Err(FrameError::Full),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the `length` bytes behind the used ones as a whole message, unless it is known.
    #[inline]
    fn keep_end(&mut self, source: Address, length: usize) -> Result<(), FrameError> {
        if !self.slots.is_empty() {
            let data = self.bytes.get(self.used..self.used + length).unwrap_or_default();
            if self.is_known(source, data, self.slots.len()) {
                return Ok(());
            }
        }
        self.keep(source, length, State::Whole)
    }

    /// Keeps the `length` bytes behind the used ones as a message in this state.
    #[inline]
    fn keep(&mut self, source: Address, length: usize, state: State) -> Result<(), FrameError> {
        let slot = Slot { source, start: self.used as u16, length: length as u16, state };
        self.slots.push(slot).map_err(|_| FrameError::Full)?;
        self.used += length;
        Ok(())
    }

    #[inline]
    fn data(&self, slot: &Slot) -> &[u8] {
        let start = usize::from(slot.start);
        self.bytes.get(start..start + usize::from(slot.length)).unwrap_or_default()
    }

    fn set(&mut self, index: usize, state: State) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.state = state;
        }
    }
}

/// Why a header could not be read.
#[cold]
fn refusal(line: &[u8]) -> FrameError {
    match hex::bytes(line, &mut [0; 8]) {
        Err(HexError::Character(byte)) => FrameError::Character(byte),
        _ => FrameError::Short,
    }
}
