//! Hexadecimal digits with blanks anywhere: the leaf grammar of every data line.
//!
//! ```text
//! line  = *( blank / digit )
//! blank = SP / TAB / NUL / CR / LF
//! digit = 0-9 / A-F / a-f
//! ```

/// Table entry of a character to skip.
const BLANK: u8 = 0x10;
/// Table entry of a character that does not belong in a data line.
const BAD: u8 = 0x20;

/// What each character means: its value as a digit, [`BLANK`] or [`BAD`].
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static MEANING: [u8; 256] = {
    let mut table = [BAD; 256];
    let mut i = 0;
    while i < 10 {
        table[b'0' as usize + i] = i as u8;
        i += 1;
    }
    let mut i = 0;
    while i < 6 {
        table[b'A' as usize + i] = 10 + i as u8;
        table[b'a' as usize + i] = 10 + i as u8;
        i += 1;
    }
    table[b' ' as usize] = BLANK;
    table[b'\t' as usize] = BLANK;
    table[0] = BLANK;
    table[b'\r' as usize] = BLANK;
    table[b'\n' as usize] = BLANK;
    table
};

/// Why digits could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HexError {
    /// A character that is neither digit nor blank.
    Character(u8),
    /// More bytes than the buffer holds.
    Full,
}

/// Reads `count` digits as one number and returns it with what follows them; `None` if there are too few.
#[inline]
pub(super) fn number(mut line: &[u8], count: usize) -> Option<(u32, &[u8])> {
    // The usual identifier, three digits in a row.
    if let (3, [a, b, c, rest @ ..]) = (count, line) {
        let (a, b, c) = (meaning(*a), meaning(*b), meaning(*c));
        if (a | b | c) < BLANK {
            return Some((u32::from(a) << 8 | u32::from(b) << 4 | u32::from(c), rest));
        }
    }
    let mut value = 0;
    let mut left = count;
    while left > 0 {
        let (&first, rest) = line.split_first()?;
        line = rest;
        match meaning(first) {
            digit @ 0..=0xF => {
                value = value << 4 | u32::from(digit);
                left -= 1;
            }
            BLANK => {}
            _ => return None,
        }
    }
    Some((value, line))
}

/// What [`bytes`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    /// How many whole bytes were written.
    pub(super) count: usize,
    /// Whether one digit was left over.
    pub(super) odd: bool,
}

/// Reads digits in pairs into `out`, to the end of the line.
#[inline]
pub(super) fn bytes(line: &[u8], out: &mut [u8]) -> Result<Bytes, HexError> {
    let mut count = 0;
    let mut rest = line.strip_prefix(b" ").unwrap_or(line);
    // A full CAN frame with a blank after each byte, the longest line there is, without a branch per byte.
    if let (Some((frame, tail)), Some((room, _))) = (rest.split_first_chunk(), out.split_first_chunk_mut())
        && let Some(bytes) = spaced(frame)
    {
        *room = bytes;
        count = bytes.len();
        rest = tail;
    }
    loop {
        // Two digits side by side, the usual case, in one step.
        while let [high, low, tail @ ..] = rest {
            let (h, l) = (meaning(*high), meaning(*low));
            if (h | l) >= BLANK {
                break;
            }
            *out.get_mut(count).ok_or(HexError::Full)? = h << 4 | l;
            count += 1;
            rest = match tail {
                [b' ', tail @ ..] => tail,
                tail => tail,
            };
        }
        // Otherwise a blank, a digit and blanks, a bad character, or the end.
        let Some((&first, tail)) = rest.split_first() else {
            return Ok(Bytes { count, odd: false });
        };
        match meaning(first) {
            BLANK => rest = tail,
            BAD.. => return Err(HexError::Character(first)),
            high => match number(tail, 1) {
                Some((low, tail)) => {
                    *out.get_mut(count).ok_or(HexError::Full)? = high << 4 | low as u8;
                    count += 1;
                    rest = tail;
                }
                None => {
                    return match tail.iter().find(|&&byte| meaning(byte) != BLANK) {
                        Some(&byte) => Err(HexError::Character(byte)),
                        None => Ok(Bytes { count, odd: true }),
                    };
                }
            },
        }
    }
}

/// Eight bytes of two digits each, with one blank between; `None` if they are written otherwise.
#[inline]
fn spaced(line: &[u8; 23]) -> Option<[u8; 8]> {
    let mut bytes = [0; 8];
    let mut wrong = 0;
    for (byte, group) in bytes.iter_mut().zip(line.chunks(3)) {
        let [high, low, blank @ ..] = group else {
            return None;
        };
        let (h, l) = (meaning(*high), meaning(*low));
        let blank = blank.first().copied().unwrap_or(b' ');
        wrong |= (h | l) & (BLANK | BAD) | blank ^ b' ';
        *byte = h << 4 | l;
    }
    (wrong == 0).then_some(bytes)
}

/// How many digits a line holds.
pub(super) fn digits(line: &[u8]) -> usize {
    line.iter().filter(|&&byte| meaning(byte) < BLANK).count()
}

#[inline]
fn meaning(byte: u8) -> u8 {
    MEANING.get(usize::from(byte)).copied().unwrap_or(BAD)
}
