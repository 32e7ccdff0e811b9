//! Recognises JSON in a slice: finds where a value ends and proves that it is valid, without building it.
//!
//! Nothing recurses and nothing is allocated: nesting is a stack of bits, [`DEPTH`] deep. What is recognised stays
//! a slice of the input, which can be handed on as it is.
//!
//! ```
//! use cloverleaf_core::json;
//! let message = json::document(br#" {"a":[1,"]}"],"b":"gr\u00fcn"} "#)?;
//! assert_eq!(json::member(message, "a"), Some(&br#"[1,"]}"]"#[..]));
//! let b = json::member(message, "b").unwrap();
//! assert!(json::is_string(b, "grün"));
//! # Ok::<(), json::Error>(())
//! ```

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::character::complete::{digit0, digit1, one_of};
use nom::combinator::{opt, recognize};
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// How deep arrays and objects may nest.
pub const DEPTH: usize = 512;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The text breaks the grammar this many bytes before its end (0: it ends too early).
    Syntax(usize),
    /// A string is not UTF-8, this many bytes before the end.
    Utf8(usize),
    /// Arrays and objects nest deeper than [`DEPTH`].
    Depth,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Syntax(0) => f.write_str("the JSON text ends too early"),
            Self::Syntax(left) => write!(f, "not JSON, {left} bytes before the end"),
            Self::Utf8(left) => write!(f, "a JSON string is not UTF-8, {left} bytes before the end"),
            Self::Depth => write!(f, "JSON nested deeper than {DEPTH} levels"),
        }
    }
}

impl core::error::Error for Error {}

/// Recognises a whole text: one value with nothing but blanks around it. Answers the value without the blanks.
///
/// # Errors
/// When the text is not JSON.
pub fn document(input: &[u8]) -> Result<&[u8], Error> {
    let (value, rest) = value(input)?;
    match blanks(rest) {
        [] => Ok(value),
        rest => Err(Error::Syntax(rest.len())),
    }
}

/// The first elements of an array, and how many it has.
pub type First<'a, const N: usize> = ([&'a [u8]; N], usize);

/// Recognises a whole text that is one array, in one pass: answers its first `N` elements (those that it has not are
/// empty) and how many it has. `None` if the text begins as something else.
///
/// # Errors
/// When the text is not JSON.
pub fn array<const N: usize>(input: &[u8]) -> Result<Option<First<'_, N>>, Error> {
    let [b'[', rest @ ..] = blanks(input) else { return Ok(None) };
    let (mut elements, mut count) = ([&b""[..]; N], 0);
    let mut rest = blanks(rest);
    while count > 0 || !matches!(rest, [b']', ..]) {
        let (element, after) = value(rest)?;
        if let Some(place) = elements.get_mut(count) {
            *place = element;
        }
        count += 1;
        rest = blanks(after);
        match rest {
            [b',', after @ ..] => rest = after,
            _ => break,
        }
    }
    match rest {
        [b']', after @ ..] if blanks(after).is_empty() => Ok(Some((elements, count))),
        [b']', after @ ..] => Err(Error::Syntax(blanks(after).len())),
        _ => Err(Error::Syntax(rest.len())),
    }
}

/// Recognises the value at the start of `input`, after blanks. Answers the value and what follows it.
///
/// # Errors
/// When no valid value is there.
pub fn value(input: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let start = blanks(input);
    let mut rest = start;
    let mut open = Nesting::default();
    loop {
        // Here a value must follow.
        match rest {
            [b'{', after @ ..] => {
                open.push(true)?;
                rest = blanks(after);
                if !matches!(rest, [b'}', ..]) {
                    rest = key(rest)?;
                    continue;
                }
            }
            [b'[', after @ ..] => {
                open.push(false)?;
                rest = blanks(after);
                if !matches!(rest, [b']', ..]) {
                    continue;
                }
            }
            _ => rest = scalar(rest)?,
        }
        // Here a value has ended, or a container is about to be closed while empty.
        loop {
            let Some(object) = open.top() else {
                let length = start.len() - rest.len();
                return start.split_at_checked(length).ok_or(Error::Syntax(0));
            };
            rest = blanks(rest);
            match (rest, object) {
                ([b'}', after @ ..], true) | ([b']', after @ ..], false) => {
                    open.pop();
                    rest = after;
                }
                ([b',', after @ ..], true) => {
                    rest = key(blanks(after))?;
                    break;
                }
                ([b',', after @ ..], false) => {
                    rest = blanks(after);
                    break;
                }
                _ => return Err(Error::Syntax(rest.len())),
            }
        }
    }
}

/// The elements of an array that [`value`] has recognised; of anything else, none.
pub fn elements(array: &[u8]) -> Elements<'_> {
    Elements { rest: inside(array, b'[') }
}

/// The members of an object that [`value`] has recognised, as key (with its quotes) and value; of anything else,
/// none.
pub fn members(object: &[u8]) -> Members<'_> {
    Members { rest: inside(object, b'{') }
}

/// The value of an object's member. Of equal keys the first counts.
pub fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    members(object).find(|(key, _)| is_string(key, name)).map(|(_, value)| value)
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// The kind of a value that [`value`] has recognised.
pub const fn kind(value: &[u8]) -> Kind {
    match value {
        [b'{', ..] => Kind::Object,
        [b'[', ..] => Kind::Array,
        [b'"', ..] => Kind::String,
        [b't' | b'f', ..] => Kind::Bool,
        [b'n', ..] => Kind::Null,
        _ => Kind::Number,
    }
}

/// The characters of a recognised string with its escapes resolved; of another value, none.
pub fn characters(string: &[u8]) -> Characters<'_> {
    let body = match string {
        [b'"', body @ .., b'"'] => core::str::from_utf8(body).unwrap_or_default(),
        _ => "",
    };
    Characters { rest: body.chars() }
}

/// The text of a recognised string that has no escapes, without copying it.
pub fn plain(string: &[u8]) -> Option<&str> {
    match string {
        [b'"', body @ .., b'"'] if !body.contains(&b'\\') => core::str::from_utf8(body).ok(),
        _ => None,
    }
}

/// Whether a recognised value is the string `text`.
pub fn is_string(value: &[u8], text: &str) -> bool {
    match value {
        [b'"', body @ .., b'"'] => body == text.as_bytes() || characters(value).eq(text.chars()),
        _ => false,
    }
}

/// Whether two recognised values are the same: strings by their characters, all others by their bytes
/// (so `1` and `1.0` differ, as do objects whose members are ordered differently).
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one == other
        || (kind(one) == Kind::String && kind(other) == Kind::String && characters(one).eq(characters(other)))
}

/// Gives the pieces of `text` as a JSON string, quotes included, to `emit`.
///
/// `"`, `\` and control characters are escaped, everything else is written as it is.
pub fn emit_string(text: &str, emit: &mut impl FnMut(&[u8])) {
    emit(b"\"");
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
        let (run, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
        if !run.is_empty() {
            emit(run);
        }
        let Some((byte, after)) = after.split_first() else { break };
        match byte {
            b'"' => emit(b"\\\""),
            b'\\' => emit(b"\\\\"),
            0x08 => emit(b"\\b"),
            0x09 => emit(b"\\t"),
            0x0A => emit(b"\\n"),
            0x0C => emit(b"\\f"),
            0x0D => emit(b"\\r"),
            _ => {
                let low = byte & 0xF;
                let digit = if low < 10 { b'0' + low } else { b'A' + low - 10 };
                emit(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
            }
        }
        rest = after;
    }
    emit(b"\"");
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (element, rest) = value(self.rest).ok()?;
        self.rest = after_comma(rest);
        Some(element)
    }
}

/// See [`members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = value(self.rest).ok()?;
        let (value, rest) = value(blanks(rest).strip_prefix(b":")?).ok()?;
        self.rest = after_comma(rest);
        Some((key, value))
    }
}

/// See [`characters`].
#[derive(Clone, Debug)]
pub struct Characters<'a> {
    rest: core::str::Chars<'a>,
}

impl Characters<'_> {
    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | self.rest.next()?.to_digit(16)?))
    }
}

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.rest.next()? {
            '\\' => match self.rest.next()? {
                'b' => Some('\u{8}'),
                'f' => Some('\u{c}'),
                'n' => Some('\n'),
                'r' => Some('\r'),
                't' => Some('\t'),
                'u' => {
                    let unit = self.unit()?;
                    if unit & 0xFC00 != 0xD800 {
                        return char::from_u32(unit);
                    }
                    self.rest.nth(1)?;
                    let low = self.unit()?;
                    char::from_u32(0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF))
                }
                other => Some(other),
            },
            other => Some(other),
        }
    }
}

/// The containers that are open, innermost last, a bit each: set for an object.
struct Nesting {
    bits: [u8; DEPTH / 8],
    depth: usize,
}

impl Default for Nesting {
    fn default() -> Self {
        Self { bits: [0; DEPTH / 8], depth: 0 }
    }
}

impl Nesting {
    fn push(&mut self, object: bool) -> Result<(), Error> {
        let byte = self.bits.get_mut(self.depth / 8).ok_or(Error::Depth)?;
        let bit = 1 << (self.depth % 8);
        *byte = if object { *byte | bit } else { *byte & !bit };
        self.depth += 1;
        Ok(())
    }

    const fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn top(&self) -> Option<bool> {
        let index = self.depth.checked_sub(1)?;
        self.bits.get(index / 8).map(|byte| byte & (1 << (index % 8)) != 0)
    }
}

fn blanks(input: &[u8]) -> &[u8] {
    let end = input.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    input.get(end.unwrap_or(input.len())..).unwrap_or_default()
}

/// What follows the opening bracket of a container; nothing for other values.
fn inside(container: &[u8], bracket: u8) -> &[u8] {
    match container.split_first() {
        Some((first, inside)) if *first == bracket => inside,
        _ => &[],
    }
}

fn after_comma(rest: &[u8]) -> &[u8] {
    blanks(rest).strip_prefix(b",").unwrap_or_default()
}

/// A member's key and its colon; answers what follows, without blanks.
fn key(input: &[u8]) -> Result<&[u8], Error> {
    let rest = blanks(string(input)?);
    rest.strip_prefix(b":").map(blanks).ok_or(Error::Syntax(rest.len()))
}

fn scalar(input: &[u8]) -> Result<&[u8], Error> {
    if let [b'"', ..] = input {
        return string(input);
    }
    let literal = alt((tag("true"), tag("false"), tag("null")));
    let parsed: IResult<&[u8], &[u8]> = alt((literal, number)).parse(input);
    parsed.map(|(rest, _)| rest).map_err(|_| Error::Syntax(input.len()))
}

/// RFC 8259: `number = [ "-" ] int [ "." 1*DIGIT ] [ ( "e" / "E" ) [ "-" / "+" ] 1*DIGIT ]`
fn number(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let int = alt((recognize(tag("0")), recognize((one_of("123456789"), digit0))));
    let fraction = (tag("."), digit1);
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    recognize((opt(tag("-")), int, opt(fraction), opt(exponent))).parse(input)
}

/// A string with its quotes; answers what follows.
fn string(input: &[u8]) -> Result<&[u8], Error> {
    let mut rest = input.strip_prefix(b"\"").ok_or(Error::Syntax(input.len()))?;
    loop {
        let run = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(run).ok_or(Error::Syntax(0))?;
        if !run.is_ascii() && core::str::from_utf8(run).is_err() {
            return Err(Error::Utf8(rest.len()));
        }
        match after {
            [b'"', after @ ..] => return Ok(after),
            [b'\\', ..] => (rest, _) = escape(after).map_err(|_| Error::Syntax(after.len()))?,
            _ => return Err(Error::Syntax(after.len())),
        }
    }
}

/// `\n` and the like, `\uXXXX`, or a pair of surrogates; a surrogate alone is no character.
fn escape(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let hex = |byte: u8| byte.is_ascii_hexdigit();
    let high = (one_of("dD"), one_of("89abAB"), take_while_m_n(2, 2, hex));
    let low = (one_of("dD"), one_of("cdefCDEF"), take_while_m_n(2, 2, hex));
    let pair = recognize((tag("\\u"), high, tag("\\u"), low));
    let single = recognize((
        tag("\\u"),
        alt((
            recognize((one_of("dD"), one_of("01234567"), take_while_m_n(2, 2, hex))),
            recognize((one_of("0123456789abcefABCEF"), take_while_m_n(3, 3, hex))),
        )),
    ));
    let short = recognize(preceded(tag("\\"), one_of("\"\\/bfnrt")));
    alt((short, single, pair)).parse(input)
}
