//! Messages cut into the frames of each bus, and frames printed as an ELM327 prints them.

use std::fmt::Write as _;
use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::ecu::Ecu;

/// What stands in front of a frame's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// An 11-bit CAN identifier.
    Can11(u16),
    /// A 29-bit CAN identifier.
    Can29(u32),
    /// The same as J1939 means it: priority, group, sender.
    J1939(u32),
    /// Priority or format, target and source of the older buses.
    Legacy([u8; 3]),
}

/// One frame on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) header: Header,
    /// On CAN with the protocol control bytes and the padding.
    pub(super) data: Vec<u8>,
    /// The check byte of the older buses (CAN controllers keep theirs to themselves).
    check: Option<u8>,
    /// Whether it is a message that an STN has joined: data and nothing else.
    joined: bool,
}

/// How frames are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) headers: bool,
    pub(super) spaces: bool,
    pub(super) length: bool,
    /// CAN auto formatting: without headers, hide the control bytes.
    pub(super) formatted: bool,
}

impl Ecu {
    /// The address byte of the unit.
    const fn address(self) -> u8 {
        match self {
            Self::Engine => 0x10,
            Self::Transmission => 0x18,
        }
    }

    const fn index(self) -> u16 {
        match self {
            Self::Engine => 0,
            Self::Transmission => 1,
        }
    }
}

/// Whom a request header addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Everyone,
    One(Ecu),
    Nobody,
}

impl Target {
    /// The target of a header given by `AT SH`; none given is a functional request.
    pub(super) fn of(protocol: Protocol, header: Option<u32>) -> Self {
        if protocol == Protocol::J1939 {
            return Self::Nobody;
        }
        let Some(header) = header else { return Self::Everyone };
        let one = |matches: &dyn Fn(Ecu) -> bool| {
            Ecu::ALL.into_iter().find(|ecu| matches(*ecu)).map_or(Self::Nobody, Self::One)
        };
        match protocol {
            Protocol::Can11Fast | Protocol::Can11Slow if header == 0x7DF => Self::Everyone,
            Protocol::Can11Fast | Protocol::Can11Slow => one(&|ecu| header == 0x7E0 + u32::from(ecu.index())),
            // The priority byte above these may differ.
            Protocol::Can29Fast | Protocol::Can29Slow if header & 0xFF_FFFF == 0xDB_33F1 => Self::Everyone,
            Protocol::Can29Fast | Protocol::Can29Slow => {
                one(&|ecu| header & 0xFF_FFFF == 0xDA_00F1 | u32::from(ecu.address()) << 8)
            }
            _ => match header >> 8 & 0xFF {
                0x33 | 0x6A => Self::Everyone,
                address => one(&|ecu| address == u32::from(ecu.address())),
            },
        }
    }
}

/// The frames of one message; `padding` fills CAN frames up to eight bytes.
pub(super) fn cut(protocol: Protocol, ecu: Ecu, message: &[u8], padding: Option<u8>) -> Vec<Frame> {
    if !protocol.is_can() {
        return vec![legacy(protocol, ecu, message)];
    }
    let header = match protocol {
        Protocol::Can11Fast | Protocol::Can11Slow => Header::Can11(0x7E8 + ecu.index()),
        _ => Header::Can29(0x18DA_F100 | u32::from(ecu.address())),
    };
    let frame = |mut data: Vec<u8>| {
        if let Some(padding) = padding {
            data.resize(8, padding);
        }
        Frame { header, data, check: None, joined: false }
    };
    // ISO 15765-2: single frame 0L, first frame 1LLL, consecutive frames 2N.
    if message.len() <= 7 {
        return vec![frame([&[message.len() as u8], message].concat())];
    }
    let (first, rest) = message.split_at(6);
    let length = (message.len() as u16 & 0x0FFF | 0x1000).to_be_bytes();
    let mut frames = vec![frame([&length, first].concat())];
    for (number, part) in (1u8..).zip(rest.chunks(7)) {
        frames.push(frame([&[0x20 | number & 0x0F], part].concat()));
    }
    frames
}

fn legacy(protocol: Protocol, ecu: Ecu, message: &[u8]) -> Frame {
    let header = match protocol {
        Protocol::J1850Pwm => [0x41, 0x6B, ecu.address()],
        Protocol::J1850Vpw | Protocol::Iso9141 => [0x48, 0x6B, ecu.address()],
        _ => [0x80 | message.len() as u8, 0xF1, ecu.address()],
    };
    let bytes = || header.iter().chain(message);
    let check = match protocol {
        // SAE J1850: CRC-8, polynomial 1D, all ones before, inverted after.
        Protocol::J1850Pwm | Protocol::J1850Vpw => !bytes().fold(0xFF, |crc: u8, byte| {
            (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x1D })
        }),
        _ => bytes().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)),
    };
    Frame { header: Header::Legacy(header), data: message.to_vec(), check: Some(check), joined: false }
}

/// Puts the frames of each long message together, as an STN does (`STCSEGR`). One that is not whole is left out.
pub(super) fn join(frames: Vec<(Duration, Frame)>) -> Vec<(Duration, Frame)> {
    let mut joined = Vec::new();
    let mut open: Vec<(usize, Frame)> = Vec::new();
    for (at, frame) in frames {
        match frame.data.as_slice() {
            [high @ 0x10..=0x1F, low, data @ ..] if frame.check.is_none() => {
                let length = usize::from(u16::from_be_bytes([high & 0x0F, *low]));
                open.push((length, Frame { data: data.to_vec(), joined: true, ..frame }));
            }
            [0x20..=0x2F, data @ ..] if frame.check.is_none() => {
                let Some(index) = open.iter().position(|(_, begun)| begun.header == frame.header) else {
                    continue;
                };
                let (length, begun) = &mut open[index];
                begun.data.extend_from_slice(data);
                if begun.data.len() >= *length {
                    begun.data.truncate(*length);
                    joined.push((at, open.swap_remove(index).1));
                }
            }
            _ => joined.push((at, frame)),
        }
    }
    joined
}

impl Frame {
    /// Header and data, as the filters of an STN see them.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let header = match self.header {
            Header::Can11(id) => id.to_be_bytes().to_vec(),
            Header::Can29(id) | Header::J1939(id) => id.to_be_bytes().to_vec(),
            Header::Legacy(header) => header.to_vec(),
        };
        [header.as_slice(), &self.data].concat()
    }

    /// Whether it is an answer to a diagnostic request, by its header (ISO 15765-4); on the older buses all are.
    pub(super) fn is_diagnostic(&self) -> bool {
        match self.header {
            Header::Can11(id) => id & 0x7F8 == 0x7E8,
            Header::Can29(id) => id & 0x1FFF_FF00 == 0x18DA_F100,
            Header::J1939(_) | Header::Legacy(_) => true,
        }
    }

    /// A frame of ordinary traffic, which is nobody's answer.
    pub(super) fn broadcast(header: Header, data: Vec<u8>) -> Self {
        Self { header, data, check: None, joined: false }
    }

    /// The first frame of a longer message: its sender waits for leave to go on.
    pub(super) fn wants_flow_control(&self) -> bool {
        self.check.is_none() && self.data.first().is_some_and(|control| control >> 4 == 1)
    }

    /// The identifier or the three header bytes as one number.
    pub(super) fn id(&self) -> u32 {
        match self.header {
            Header::Can11(id) => id.into(),
            Header::Can29(id) | Header::J1939(id) => id,
            Header::Legacy([format, target, source]) => u32::from_be_bytes([0, format, target, source]),
        }
    }

    /// The lines that the adapter prints, without line ends.
    pub(super) fn print(&self, style: Style) -> Vec<String> {
        let control = self.data.first().copied().unwrap_or(0);
        if style.headers {
            let mut line = match (self.header, style.spaces) {
                (Header::Can11(id), true) => format!("{id:03X} "),
                (Header::Can11(id), false) => format!("{id:03X}"),
                (Header::Can29(id), _) => hex(&id.to_be_bytes(), style.spaces),
                (Header::J1939(id), spaces) => {
                    let blank = if spaces { " " } else { "" };
                    let (priority, group) = (id >> 26, id >> 8 & 0x3_FFFF);
                    format!("{priority:X}{blank}{group:05X}{blank}{:02X}{blank}", id & 0xFF)
                }
                (Header::Legacy(header), _) => hex(&header, style.spaces),
            };
            if style.length && self.check.is_none() {
                let blank = if style.spaces { " " } else { "" };
                let _ = write!(line, "{:X}{blank}", self.data.len());
            }
            line += &hex(&self.data, style.spaces);
            line += &hex(self.check.as_slice(), style.spaces);
            return vec![line];
        }
        if self.joined || self.check.is_some() || !style.formatted || matches!(self.header, Header::J1939(_))
        {
            return vec![hex(&self.data, style.spaces)];
        }
        let blank = if style.spaces { " " } else { "" };
        match (control >> 4, self.data.as_slice()) {
            (0, [length, data @ ..]) => {
                let data = data.get(..usize::from(length & 0x0F)).unwrap_or(data);
                vec![hex(data, style.spaces)]
            }
            (1, [high, low, data @ ..]) => {
                vec![format!("{:X}{low:02X}", high & 0x0F), format!("0:{blank}{}", hex(data, style.spaces))]
            }
            (2, [number, data @ ..]) => {
                vec![format!("{:X}:{blank}{}", number & 0x0F, hex(data, style.spaces))]
            }
            _ => vec![hex(&self.data, style.spaces)],
        }
    }
}

/// Hex digits, each byte followed by a blank if `spaces`.
fn hex(bytes: &[u8], spaces: bool) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let _ = write!(text, "{byte:02X}{}", if spaces { " " } else { "" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { headers: false, spaces: true, length: false, formatted: true };
    const FULL: Style = Style { headers: true, ..PLAIN };

    fn printed(protocol: Protocol, message: &[u8], style: Style) -> Vec<String> {
        cut(protocol, Ecu::Engine, message, None).iter().flat_map(|frame| frame.print(style)).collect()
    }

    #[test]
    fn a_short_answer_looks_as_on_each_bus() {
        let message = [0x41, 0x00, 0xBE, 0x3E, 0xB8, 0x11];
        for (protocol, line) in [
            // The check bytes are those of the ELM327 data sheet's own examples.
            (Protocol::J1850Vpw, "48 6B 10 41 00 BE 3E B8 11 FA "),
            (Protocol::KwpFast, "86 F1 10 41 00 BE 3E B8 11 8D "),
            (Protocol::Can11Fast, "7E8 06 41 00 BE 3E B8 11 "),
            (Protocol::Can29Fast, "18 DA F1 10 06 41 00 BE 3E B8 11 "),
        ] {
            assert_eq!(printed(protocol, &message, FULL), [line]);
            assert_eq!(printed(protocol, &message, PLAIN), ["41 00 BE 3E B8 11 "]);
        }
    }

    #[test]
    fn a_long_answer_is_segmented_and_numbered() {
        let message: Vec<u8> = (0x49..0x49 + 20).collect();
        assert_eq!(
            printed(Protocol::Can11Fast, &message, FULL),
            ["7E8 10 14 49 4A 4B 4C 4D 4E ", "7E8 21 4F 50 51 52 53 54 55 ", "7E8 22 56 57 58 59 5A 5B 5C "]
        );
        assert_eq!(
            printed(Protocol::Can11Fast, &message, Style { spaces: false, ..PLAIN }),
            ["014", "0:494A4B4C4D4E", "1:4F505152535455", "2:565758595A5B5C"]
        );
    }

    #[test]
    fn headers_address_everyone_one_unit_or_nobody() {
        use Protocol::*;
        for (protocol, header, target) in [
            (Can11Fast, None, Target::Everyone),
            (Can11Fast, Some(0x7DF), Target::Everyone),
            (Can11Fast, Some(0x7E1), Target::One(Ecu::Transmission)),
            (Can11Fast, Some(0x7E5), Target::Nobody),
            (Can29Slow, Some(0x18DB_33F1), Target::Everyone),
            (Can29Slow, Some(0x18DA_10F1), Target::One(Ecu::Engine)),
            (KwpFast, Some(0xC2_33F1), Target::Everyone),
            (KwpFast, Some(0x82_10F1), Target::One(Ecu::Engine)),
        ] {
            assert_eq!(Target::of(protocol, header), target, "{protocol:?} {header:X?}");
        }
    }
}
