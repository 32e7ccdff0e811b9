//! The grammar of what an ELM327 answers: bytes to lines, lines to data or status. No state.
//!
//! ```text
//! reply    = [echo CR] *(line EOL) EOL ">"          EOL = CR / LF / CR LF / LF CR
//! line     = *progress [status / data]
//! progress = "SEARCHING" *"." / "BUS INIT:" *"." ["OK"] / *"."
//! data     = 1*(hex / " " / ":") [fault]            a frame, as text: the bus layer reads it
//! fault    = "<DATA ERROR" / "<RX ERROR" / status   whatever ends a line that began as data
//! status   = "OK" / "?" / "NO DATA" / ...           the table of [`Status`]
//! ```
//!
//! Sources: ELM327 data sheet, "Error Messages and Alerts"; OBDLink Family Reference rev. E, "Error Messages".
//! Blanks and letter case do not matter in a status: clones drop the one and change the other. NUL bytes are
//! dropped anywhere (the data sheet asks for it); other unprintable bytes are cut off the ends of a line, and
//! one in the middle of a frame makes the line [`Line::Text`], never data.

use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while1};
use nom::combinator::{all_consuming, fail, map, opt, value};
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// The byte that ends every reply.
pub const PROMPT: u8 = b'>';

/// One part of a reply. A line such as `SEARCHING...7E8 06 41 00 ...` has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A frame as the adapter printed it: hex digits, blanks, perhaps the colon of an unheadered segment.
    Data {
        /// The text of the frame, for the bus layer to read.
        hex: &'a [u8],
        /// What the adapter complained of at the end of the line; the frame must not be believed then.
        fault: Option<Status>,
    },
    /// The adapter speaking of itself or of the bus.
    Status(Status),
    /// Anything else: a banner, a voltage, garbage.
    Text(&'a [u8]),
}

macro_rules! statuses {
    ($($(#[$doc:meta])+ $variant:ident $text:literal $squeezed:literal)+) => {
        /// What an adapter says about itself or the bus instead of, or next to, data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Status {
            $($(#[$doc])+ $variant,)+
            /// `ERRxx`: an internal error with its number; 94 is a fatal CAN error that reset the settings.
            Internal(u8),
        }

        impl Status {
            /// The text as a genuine adapter prints it (`ERR` without its number, but for 94).
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Internal(94) => "ERR94",
                    Self::Internal(_) => "ERR",
                }
            }
        }

        /// Every fixed text without its blanks; longer ones before their own beginnings.
        const TEXTS: &[(Status, &str)] = &[$((Status::$variant, $squeezed),)+];
    };
}

statuses! {
    /// The command was carried out.
    Ok "OK" "OK"
    /// The number of hex digits was odd or too small (obdsim).
    WrongHexCount "?WRONG HEXCHAR COUNT" "?WRONGHEXCHARCOUNT"
    /// The command was not understood.
    NotUnderstood "?" "?"
    /// Nobody answered in time.
    NoData "NO DATA" "NODATA"
    /// The protocol is being searched; an answer follows.
    Searching "SEARCHING..." "SEARCHING"
    /// No protocol found a car.
    UnableToConnect "UNABLE TO CONNECT" "UNABLETOCONNECT"
    /// The slow initialisation of a K-line bus succeeded.
    BusInitOk "BUS INIT: OK" "BUSINIT:OK"
    /// The initialisation of a K-line bus failed.
    BusInitError "BUS INIT: ERROR" "BUSINIT:ERROR"
    /// The initialisation of a K-line bus goes on.
    BusInit "BUS INIT: ..." "BUSINIT:"
    /// The bus never fell silent.
    BusBusy "BUS BUSY" "BUSBUSY"
    /// Electrical trouble on the bus.
    BusError "BUS ERROR" "BUSERROR"
    /// The CAN controller could not send or receive: wrong speed, or nobody there.
    CanError "CAN ERROR" "CANERROR"
    /// A frame failed its check; at the end of a line: this one did.
    DataError "DATA ERROR" "DATAERROR"
    /// A CAN frame was received wrong.
    RxError "RX ERROR" "RXERROR"
    /// The adapter does not hear itself: a wiring fault.
    FeedbackError "FB ERROR" "FBERROR"
    /// The adapter lost frames because we read too slowly.
    BufferFull "BUFFER FULL" "BUFFERFULL"
    /// A character from us interrupted the command.
    Stopped "STOPPED" "STOPPED"
    /// The supply fell; the adapter reset itself and lost its settings.
    LowVoltageReset "LV RESET" "LVRESET"
    /// No activity: low power follows in a minute.
    ActivityAlert "ACT ALERT" "ACTALERT"
    /// Low power follows in two seconds.
    LowPowerAlert "LP ALERT" "LPALERT"
    /// STN: the message did not fit the adapter's memory.
    OutOfMemory "OUT OF MEMORY" "OUTOFMEMORY"
    /// STN: we sent faster than the adapter reads.
    UartOverflow "UART RX OVERFLOW" "UARTRXOVERFLOW"
    /// STN: the ECU did not allow a long request to go on.
    FlowControlTimeout "FC RX TIMEOUT" "FCRXTIMEOUT"
    /// Not an ELM327 word: a modem's.
    Error "ERROR" "ERROR"
}

/// The parts of a whole reply, in order: the empty and the unprintable left out, split at CR, LF and prompt.
///
/// ```
/// use cloverleaf_core::elm327::wire::{lines, Line, Status};
/// let mut parts = lines(b"SEARCHING...7E8 06 41 00 BE 3F A8 13 \r\r>");
/// assert_eq!(parts.next(), Some(Line::Status(Status::Searching)));
/// assert_eq!(parts.next(), Some(Line::Data { hex: b"7E8 06 41 00 BE 3F A8 13", fault: None }));
/// assert_eq!(parts.next(), None);
/// ```
pub fn lines(reply: &[u8]) -> impl Iterator<Item = Line<'_>> {
    Lines { rest: reply, parts: Parts { rest: &[] } }
}

/// The iterator of [`lines`].
struct Lines<'a> {
    rest: &'a [u8],
    parts: Parts<'a>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            if let Some(part) = self.parts.next() {
                return Some(part);
            }
            if self.rest.is_empty() {
                return None;
            }
            // The usual line is a frame and nothing else: seen in the pass that looks for its end.
            let (line, rest, seen) = split(self.rest);
            self.rest = rest;
            let line = trim(line);
            if seen & OTHER == 0 && !line.is_empty() {
                return Some(Line::Data { hex: line, fault: None });
            }
            self.parts = Parts { rest: line };
        }
    }
}

/// The first line, what follows its end, and the classes of its bytes.
#[inline]
fn split(reply: &[u8]) -> (&[u8], &[u8], u8) {
    let mut rest = reply;
    let mut clean = 0;
    // Eight bytes at a time while all of them may be in a frame.
    while let Some((bytes, tail)) = rest.split_first_chunk::<8>()
        && bytes.iter().fold(FRAME, |seen, &byte| seen | class(byte)) == FRAME
    {
        clean += bytes.len();
        rest = tail;
    }
    let mut seen = FRAME;
    for (at, &byte) in rest.iter().enumerate() {
        let class = class(byte);
        if class == END {
            let line = reply.get(..clean + at).unwrap_or_default();
            return (line, rest.get(at + 1..).unwrap_or_default(), seen);
        }
        seen |= class;
    }
    (reply, &[], seen)
}

/// A byte that may be in a frame: hex digits, blanks, the colon.
const FRAME: u8 = 0;
/// A byte that ends a line.
const END: u8 = 1;
/// Any other byte.
const OTHER: u8 = 2;

/// The class of every byte.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static CLASS: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < table.len() {
        match byte as u8 {
            b'0'..=b'9' | b'A'..=b'F' | b'a'..=b'f' | b' ' | b':' | 0 => table[byte] = FRAME,
            b'\r' | b'\n' | PROMPT => table[byte] = END,
            _ => {}
        }
        byte += 1;
    }
    table
};

#[inline]
fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(OTHER)
}

/// The parts of one line (without its end), in order.
pub fn parse_line(line: &[u8]) -> Parts<'_> {
    Parts { rest: trim(line) }
}

/// Cuts blanks and unprintable bytes off both ends.
pub fn trim(mut line: &[u8]) -> &[u8] {
    while let Some((b'\0'..=b' ' | 0x7F.., tail)) = line.split_first() {
        line = tail;
    }
    while let Some((b'\0'..=b' ' | 0x7F.., head)) = line.split_last() {
        line = head;
    }
    line
}

/// Whether a line is the echo of a command: the same characters, whatever the blanks and the case.
pub fn is_echo(line: &[u8], command: &[u8]) -> bool {
    let ours = command.iter().filter(|byte| byte.is_ascii_graphic());
    let theirs = line.iter().filter(|byte| byte.is_ascii_graphic());
    !trim(command).is_empty() && ours.map(u8::to_ascii_uppercase).eq(theirs.map(u8::to_ascii_uppercase))
}

/// Whether a line is how an adapter introduces itself.
pub fn is_banner(line: &[u8]) -> bool {
    [&b"ELM327"[..], b"ELM329", b"ELM 327", b"OBDLink", b"STN1", b"STN2"]
        .iter()
        .any(|name| line.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name)))
}

/// The iterator of [`parse_line`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        let line = self.rest;
        if line.is_empty() {
            return None;
        }
        if line.iter().all(|&byte| is_frame(byte)) {
            self.rest = &[];
            return Some(Line::Data { hex: line, fault: None });
        }
        self.spoken()
    }
}

impl<'a> Parts<'a> {
    /// The next part of a line that is not just a frame.
    fn spoken(&mut self) -> Option<Line<'a>> {
        let line = self.rest;
        if let Ok((rest, status)) = progress(line) {
            self.rest = trim(rest);
            return match status {
                Some(status) => Some(Line::Status(status)),
                None => self.next(),
            };
        }
        self.rest = &[];
        Some(match all_consuming(whole).parse(line) {
            Ok((_, part)) => part,
            Err(_) => Line::Text(line),
        })
    }
}

/// `progress`: what may stand before data or status on the same line; `None` for mere dots.
fn progress(line: &[u8]) -> IResult<&[u8], Option<Status>> {
    let (rest, status) = alt((
        value(Some(Status::Searching), word("SEARCHING")),
        map((word("BUSINIT:"), dots, opt(bus_init)), |(_, _, end)| Some(end.unwrap_or(Status::BusInit))),
        value(None, take_while1(|byte| byte == b'.')),
    ))
    .parse(line)?;
    let (rest, _) = dots(rest)?;
    Ok((rest, status))
}

/// The outcome of `BUS INIT:`.
fn bus_init(line: &[u8]) -> IResult<&[u8], Status> {
    alt((value(Status::BusInitOk, word("OK")), value(Status::BusInitError, word("ERROR")))).parse(line)
}

/// A line that is all status, or all data, or data that a status cuts short.
fn whole(line: &[u8]) -> IResult<&[u8], Line<'_>> {
    alt((
        map(all_consuming(status), Line::Status),
        map(all_consuming((frame, dots)), |(hex, _)| Line::Data { hex, fault: None }),
        cut_short,
    ))
    .parse(line)
}

/// The text of a frame.
fn frame(line: &[u8]) -> IResult<&[u8], &[u8]> {
    map(take_while1(is_frame), trim).parse(line)
}

#[inline]
fn is_frame(byte: u8) -> bool {
    class(byte) == FRAME
}

/// A frame with a status after it. Some words begin with hex digits, so every end of the frame is tried.
fn cut_short(line: &[u8]) -> IResult<&[u8], Line<'_>> {
    let fault = |tail| all_consuming(preceded(opt(word("<")), status)).parse(tail);
    let longest = line.iter().take_while(|&&byte| is_frame(byte)).count();
    for at in 1..=longest {
        if let Some((hex, tail)) = line.split_at_checked(at)
            && let Ok((rest, status)) = fault(tail)
        {
            let hex = trim(hex);
            return Ok((rest, Line::Data { hex, fault: Some(status) }));
        }
    }
    fail().parse(line)
}

/// `status`: one of the fixed texts, an alert's exclamation mark allowed, or `ERRxx`.
fn status(line: &[u8]) -> IResult<&[u8], Status> {
    let (line, _) = opt(word("!")).parse(line)?;
    for &(status, text) in TEXTS {
        if let Ok((rest, ())) = word(text)(line) {
            return Ok((rest, status));
        }
    }
    let (rest, ()) = word("ERR")(line)?;
    let (rest, number) = take_while1(|byte: u8| byte.is_ascii_hexdigit()).parse(rest)?;
    Ok((rest, Status::Internal(decimal(number))))
}

/// Matches `text`, which has no blanks, whatever blanks the input has between and after its characters.
fn word(text: &'static str) -> impl Fn(&[u8]) -> IResult<&[u8], ()> {
    move |input| {
        let mut rest = input;
        for expected in text.bytes() {
            match rest.split_first() {
                Some((byte, tail)) if byte.to_ascii_uppercase() == expected => rest = skip_blanks(tail),
                _ => return fail().parse(input),
            }
        }
        Ok((rest, ()))
    }
}

fn dots(line: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(|byte| matches!(byte, b'.' | b' ')).parse(line)
}

fn skip_blanks(mut line: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\0', tail)) = line.split_first() {
        line = tail;
    }
    line
}

/// The number of an `ERRxx`, as printed.
fn decimal(digits: &[u8]) -> u8 {
    digits
        .iter()
        .filter(|digit| digit.is_ascii_digit())
        .fold(0, |number: u8, digit| number.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0')))
}
