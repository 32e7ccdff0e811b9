//! The shapes of a line: what each bus and each setting of the adapter prints.

use super::super::{
    Address, can,
    hex::{self, HexError},
    legacy::{self, Check},
};
use super::{Assembler, FrameError, Slot, State};

impl<const MESSAGES: usize, const BYTES: usize> Assembler<MESSAGES, BYTES> {
    /// A line of a bus that is not known yet, judged by its shape: an odd number of digits is an 11-bit
    /// identifier and whole bytes, `18DA…` (or padding) a 29-bit one, anything else a legacy header.
    pub(super) fn push_unknown(&mut self, line: &[u8]) -> Result<(), FrameError> {
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
    pub(super) fn push_can(&mut self, line: &[u8], digits: usize) -> Result<(), FrameError> {
        let (id, rest) = hex::number(line, digits).ok_or_else(|| refusal(line))?;
        if self.format.joined && hex::number(rest, 1).is_some_and(|(first, _)| first >= 4) {
            let length = self.decode_at_end(rest)?;
            return self.keep_end(Address(id), length);
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
    pub(super) fn push_prefixed_can(&mut self, id: u32, rest: &[u8]) -> Result<(), FrameError> {
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
    pub(super) fn push_frame(&mut self, source: Address, data: &[u8]) -> Result<(), FrameError> {
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

    /// A J1939 line: as the ELM327 splits the identifier (`6 0FECA 00`) or as eight plain digits (`18FECA00`).
    ///
    /// Long messages (SAE J1939-21, 5.10) are joined, to everyone (BAM) as well as to one receiver (RTS) who gives leave:
    /// their message carries the identifier that was announced.
    pub(super) fn push_j1939(&mut self, line: &[u8]) -> Result<(), FrameError> {
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
        let receiver = (id >> 8) as u8;
        match (id >> 16 & 0xFF, data) {
            (0xEC, [0x10 | 0x20, low, high, _packets, _, p0, p1, p2]) => {
                let group = u32::from_le_bytes([*p0, *p1, *p2, 0]);
                let source = Address(id & 0x1C00_0000 | group << 8 & 0x03FF_FF00 | id & 0xFF);
                self.first(source, u16::from_le_bytes([*low, *high]), &[], 1)?;
                if let Some(slot) = self.slots.iter_mut().rfind(|slot| slot.source == source) {
                    slot.receiver = receiver;
                }
                Ok(())
            }
            // Leave to go on, the receipt, and the end of a message that was given up.
            (0xEC, [0x11 | 0x13 | 0xFF, ..]) => Ok(()),
            (0xEB, [sequence, data @ ..]) => {
                let same = |slot: &Slot| slot.source.0 & 0xFF == id & 0xFF && slot.receiver == receiver;
                self.next(same, *sequence, 0xFF, data)
            }
            _ => self.single(Address(id), data),
        }
    }

    /// A CAN line without header: a payload, a length (`014`), or a numbered part (`1: 41 …`).
    pub(super) fn push_bare_can(&mut self, line: &[u8]) -> Result<(), FrameError> {
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
        let length = self.decode_at_end(line)?;
        self.keep_end(Address::HIDDEN, length)
    }

    /// A line of a legacy bus, header and check byte included.
    pub(super) fn push_legacy(&mut self, line: &[u8], check: Check) -> Result<(), FrameError> {
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
    pub(super) fn push_bare_legacy(&mut self, line: &[u8]) -> Result<(), FrameError> {
        let length = self.decode_at_end(line)?;
        self.lines(Address::HIDDEN, length)
    }

    /// Decodes digits behind the used bytes, without using them up, and returns how many bytes they are.
    pub(super) fn decode_at_end(&mut self, line: &[u8]) -> Result<usize, FrameError> {
        let free = self.bytes.get_mut(self.used..).unwrap_or_default();
        match hex::bytes(line, free) {
            Ok(found) if found.odd || found.count == 0 => Err(FrameError::Short),
            Ok(found) => Ok(found.count),
            Err(HexError::Full) => Err(FrameError::Full),
            Err(error) => Err(error.into()),
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
