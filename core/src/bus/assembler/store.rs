//! Where messages grow: room, order, sequence numbers, copies.

use super::super::{Address, Protocol, can};
use super::{Assembler, Format, FrameError, LossReason};

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
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
pub(super) struct Slot {
    pub(super) source: Address,
    start: u16,
    pub(super) length: u16,
    pub(super) state: State,
    /// The number of the line that brought its latest part, or a copy of it.
    pub(super) end: u16,
    /// Of a long message on J1939, to whom it is sent.
    pub(super) receiver: u8,
}

impl<const MESSAGES: usize, const BYTES: usize> Assembler<MESSAGES, BYTES> {
    /// The `length` bytes behind the used ones are a line of a legacy message: decides which.
    ///
    /// SAE J1979 numbers the lines of service 09 from 1 (third byte, with four bytes of data) and repeats the
    /// service byte before every three codes of services 03, 07 and 0A. Both become one message without the
    /// repetitions; everything else is a message of its own.
    pub(super) fn lines(&mut self, source: Address, length: usize) -> Result<(), FrameError> {
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
                self.renew(index);
                return Ok(());
            }
        } else if sequence == last && known.ends_with(data) {
            self.renew(index);
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
            slot.end = self.line;
        }
        self.used += size;
        Ok(())
    }

    /// Keeps a message that came in one frame.
    #[inline]
    pub(super) fn single(&mut self, source: Address, data: &[u8]) -> Result<(), FrameError> {
        let length = data.len();
        let free = self.used..self.used + length;
        self.bytes.get_mut(free).ok_or(FrameError::Full)?.copy_from_slice(data);
        self.keep_end(source, length)
    }

    /// Begins a message of several frames with its first bytes; `next` is the number of the part after these.
    pub(super) fn first(
        &mut self,
        source: Address,
        length: u16,
        data: &[u8],
        next: u8,
    ) -> Result<(), FrameError> {
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
        if !data.is_empty() {
            self.extend(self.slots.len() - 1, data, length, next);
        }
        Ok(())
    }

    /// Makes room for a message of a declared length.
    pub(super) fn open(&mut self, source: Address, length: u16, next: u8) -> Result<(), FrameError> {
        if length == 0 {
            return Err(FrameError::Length);
        }
        let slot = Slot {
            source,
            start: self.used as u16,
            length: 0,
            state: State::Open { declared: length, next },
            end: self.line,
            receiver: 0xFF,
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
    pub(super) fn next(
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
            let known = |slot: &Slot| {
                mine(slot) && (matches!(slot.state, State::Lost(_)) || self.data(slot).len() >= can::FRAME)
            };
            let known = self.slots.iter().rposition(known).ok_or(FrameError::Orphan)?;
            self.renew(known);
            return Ok(());
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

    /// Adds bytes to an open message. At its declared length it is whole; before, part `next` is due. Only the last part
    /// may have fewer bytes than its frame has room for.
    pub(super) fn extend(&mut self, index: usize, data: &[u8], declared: u16, next: u8) {
        let Format { protocol, extended, .. } = self.format;
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let left = usize::from(declared - slot.length);
        let first = slot.length == 0 && protocol != Some(Protocol::J1939);
        let room = 7 - usize::from(first) - usize::from(extended);
        let due = left.min(room);
        let size = data.len().min(left);
        let at = usize::from(slot.start + slot.length);
        if let (Some(room), Some(data)) = (self.bytes.get_mut(at..at + size), data.get(..size)) {
            room.copy_from_slice(data);
        }
        slot.length += size as u16;
        slot.end = self.line;
        slot.state = State::Open { declared, next };
        if data.len() < due {
            slot.state = State::Lost(LossReason::Cut { expected: due as u8, found: data.len() as u8 });
        } else if slot.length == declared {
            slot.state = State::Whole;
            self.forget_copy(index);
        }
    }

    /// Drops a whole message that an earlier one of the same sender equals: an adapter printed it twice.
    pub(super) fn forget_copy(&mut self, index: usize) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        if let Some(known) = self.known(slot.source, self.data(slot), index) {
            let start = usize::from(slot.start);
            if start + usize::from(slot.length) == self.used {
                self.used = start;
            }
            self.slots.remove(index);
            self.renew(known);
        }
    }

    /// Which of the first `limit` messages is this one.
    #[inline]
    pub(super) fn known(&self, source: Address, data: &[u8], limit: usize) -> Option<usize> {
        self.slots
            .iter()
            .take(limit)
            .position(|slot| slot.source == source && slot.state == State::Whole && self.data(slot) == data)
    }

    /// The latest line is one more copy of the end of a message.
    pub(super) fn renew(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.end = self.line;
        }
    }

    /// Keeps the `length` bytes behind the used ones as a whole message, unless it is known.
    #[inline]
    pub(super) fn keep_end(&mut self, source: Address, length: usize) -> Result<(), FrameError> {
        if !self.slots.is_empty() {
            let data = self.bytes.get(self.used..self.used + length).unwrap_or_default();
            if let Some(known) = self.known(source, data, self.slots.len()) {
                self.renew(known);
                return Ok(());
            }
        }
        self.keep(source, length, State::Whole)
    }

    /// Keeps the `length` bytes behind the used ones as a message in this state.
    #[inline]
    pub(super) fn keep(&mut self, source: Address, length: usize, state: State) -> Result<(), FrameError> {
        let slot = Slot {
            source,
            start: self.used as u16,
            length: length as u16,
            state,
            end: self.line,
            receiver: 0xFF,
        };
        self.slots.push(slot).map_err(|_| FrameError::Full)?;
        self.used += length;
        Ok(())
    }

    #[inline]
    pub(super) fn data(&self, slot: &Slot) -> &[u8] {
        let start = usize::from(slot.start);
        self.bytes.get(start..start + usize::from(slot.length)).unwrap_or_default()
    }

    pub(super) fn set(&mut self, index: usize, state: State) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.state = state;
        }
    }
}
