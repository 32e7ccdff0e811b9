//! The other end: an ELM327 with a car of one ECU, in virtual time, with as many faults as wanted.

use crate::laws::Peer;

/// An adapter that does what it is told, then what its faults make of that.
pub(crate) struct Adapter {
    echo: bool,
    spaces: bool,
    headers: bool,
    last: Vec<u8>,
    /// In low power, until anything is sent to it.
    pub(crate) asleep: bool,
    /// Random bits for the faults, from a seed.
    random: u64,
    /// Of 256 answers, how many go wrong.
    pub(crate) faults: u8,
}

impl Adapter {
    pub(crate) fn new(seed: u64) -> Self {
        let random = seed.wrapping_mul(2).wrapping_add(1);
        Self { echo: true, spaces: true, headers: false, last: Vec::new(), asleep: false, random, faults: 0 }
    }

    fn reset(&mut self) {
        (self.echo, self.spaces, self.headers) = (true, true, false);
    }

    /// xorshift64.
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % below
    }

    /// A frame of the ECU, as the settings have it.
    fn frame(&self, data: &[u8]) -> String {
        let mut text = String::new();
        if self.headers {
            text += if self.spaces { "7E8 " } else { "7E8" };
        }
        let control = [data.len() as u8];
        let bytes = if self.headers { control.iter() } else { [].iter() };
        for byte in bytes.chain(data) {
            text += &format!("{byte:02X}");
            text += if self.spaces { " " } else { "" };
        }
        text + "\r\r>"
    }

    fn answer(&mut self, line: &[u8]) -> (u64, String) {
        let text = String::from_utf8_lossy(line).to_uppercase().replace(' ', "");
        if let Some(command) = text.strip_prefix("AT") {
            let (name, value) = command.split_at(command.len().min(1));
            let on = value == "1";
            match (name, value) {
                ("E", "0" | "1") => self.echo = on,
                ("S", "0" | "1") => self.spaces = on,
                ("H", "0" | "1") => self.headers = on,
                ("Z", "") => {
                    self.reset();
                    return (500, "\r\rELM327 v1.5\r\r>".into());
                }
                ("I", "") => return (5, "ELM327 v1.5\r\r>".into()),
                ("R", "V") => return (5, "12.3V\r\r>".into()),
                ("D", "PN") => return (5, "A6\r\r>".into()),
                ("M", "A") => return (1, String::new()),
                ("L", "P") => {
                    self.asleep = true;
                    return (1, "OK\r".into());
                }
                ("B", _) => return (5, "?\r\r>".into()),
                _ => {}
            }
            return (5, "OK\r\r>".into());
        }
        match text.as_bytes() {
            [] | [b'S', ..] => (5, "?\r\r>".into()),
            // The data of every answer are its PID, so that a wrong one shows.
            [b'0', service, high, low, ..] => {
                let hex = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or(0) as u8;
                let pid = hex(high) << 4 | hex(low);
                (20, self.frame(&[0x40 | hex(service), pid, pid, pid]))
            }
            _ => (200, "NO DATA\r\r>".into()),
        }
    }

    /// What a fault makes of an answer.
    fn spoil(&mut self, delay: u64, answer: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        let at = self.random(answer.len().max(1) as u64) as usize;
        match self.random(9) {
            // Nothing, only the beginning, or a byte missing.
            0 => vec![],
            1 => vec![(delay, answer[..at].to_vec())],
            2 => vec![(delay, [&answer[..at], &answer[answer.len().min(at + 1)..]].concat())],
            // A bit flipped, noise before, an interruption, late in two parts.
            3 => {
                let mut answer = answer;
                if let Some(byte) = answer.get_mut(at) {
                    *byte ^= 0x80;
                }
                vec![(delay, answer)]
            }
            4 => {
                let noise: Vec<u8> = (0..at).map(|_| self.random(256) as u8).collect();
                vec![(delay, noise), (delay, answer)]
            }
            5 => vec![(delay, b"STOPPED\r\r>".to_vec())],
            6 => vec![(delay, answer[..at].to_vec()), (delay + 700, answer[at..].to_vec())],
            // The adapter restarts, or its buffer runs over.
            7 => {
                self.reset();
                vec![(delay, b"\r\rLV RESET\r\r>".to_vec())]
            }
            _ => vec![(delay, [&answer[..at], b"\rBUFFER FULL\r\r>"].concat())],
        }
    }
}

impl Peer for Adapter {
    fn handle(&mut self, bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        if std::mem::take(&mut self.asleep) {
            return vec![(5, b"ELM327 v1.5\r\r>".to_vec())];
        }
        let line = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let echo = if self.echo { [line, b"\r"].concat() } else { Vec::new() };
        if !line.is_empty() {
            self.last = line.to_vec();
        }
        let line = self.last.clone();
        let (delay, answer) = self.answer(&line);
        let answer = [echo, answer.into_bytes()].concat();
        if self.random(256) < u64::from(self.faults) {
            return self.spoil(delay, answer);
        }
        vec![(delay, answer)]
    }
}
