//! JSON as Phoenix re-encodes it, for `--hub-strict`: what a client sent is decoded and encoded on its way to others,
//! which sorts keys, keeps the first of equal ones, and resolves escapes. Without the flag payloads are passed on as
//! they came, which is the same to every reader that does not look at equal keys.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cloverleaf_core::json::{self, Error, Kind};

/// Re-encodes a JSON text.
///
/// # Errors
/// When it is not JSON, or has a float that is not finite or an integer of more than [`DIGITS`] digits.
pub(super) fn canonical(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut rest = json::document(text)?;
    let mut out = Vec::with_capacity(text.len());
    node(&mut rest)?.emit(&mut out);
    Ok(out)
}

/// The most digits of an integer.
const DIGITS: usize = 1024;

enum Node<'a> {
    /// A number or a literal.
    Scalar(&'a [u8]),
    String(Cow<'a, str>),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

/// Builds the value at the start of a text that is known to be valid, so not deeper than [`json::DEPTH`].
fn node<'a>(rest: &mut &'a [u8]) -> Result<Node<'a>, Error> {
    *rest = rest.trim_ascii_start();
    match rest.first() {
        Some(b'[') => {
            let mut elements = Vec::new();
            while open(rest, b']') {
                elements.push(node(rest)?);
            }
            Ok(Node::Array(elements))
        }
        Some(b'{') => {
            let mut members = BTreeMap::new();
            while open(rest, b'}') {
                let (key, after) = json::value(rest)?;
                *rest = after.trim_ascii_start().strip_prefix(b":").unwrap_or(after);
                let value = node(rest)?;
                members.entry(json::characters(key).collect()).or_insert(value);
            }
            Ok(Node::Object(members))
        }
        _ => {
            let (scalar, after) = json::value(rest)?;
            *rest = after;
            match json::kind(scalar) {
                Kind::String => Ok(Node::String(match json::plain(scalar) {
                    Some(text) => text.into(),
                    None => json::characters(scalar).collect::<String>().into(),
                })),
                Kind::Number => number(scalar, after),
                _ => Ok(Node::Scalar(scalar)),
            }
        }
    }
}

fn number<'a>(text: &'a [u8], after: &[u8]) -> Result<Node<'a>, Error> {
    if text == b"-0" {
        return Ok(Node::Scalar(b"0"));
    }
    let is_float = text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    let is_finite = parsed.is_some_and(f64::is_finite);
    if (is_float && !is_finite) || (!is_float && text.len() > DIGITS + usize::from(text.starts_with(b"-"))) {
        return Err(Error::Syntax(text.len() + after.len()));
    }
    Ok(Node::Scalar(text))
}

/// Steps over the bracket or comma before the next part of a container; `false` when the container has ended.
fn open(rest: &mut &[u8], end: u8) -> bool {
    let [first, after @ ..] = rest.trim_ascii_start() else { return false };
    let after = after.trim_ascii_start();
    // After the opening bracket the container may be empty; after a comma it is not.
    match after.first() {
        _ if *first == end => {
            *rest = after;
            false
        }
        Some(next) if *next == end && *first != b',' => {
            *rest = &after[1..];
            false
        }
        _ => {
            *rest = after;
            true
        }
    }
}

impl Node<'_> {
    fn emit(&self, out: &mut Vec<u8>) {
        let separate = |index: usize, out: &mut Vec<u8>| {
            if index > 0 {
                out.push(b',');
            }
        };
        match self {
            Node::Scalar(text) => out.extend_from_slice(text),
            Node::String(text) => json::emit_string(text, &mut |bytes| out.extend_from_slice(bytes)),
            Node::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    separate(index, out);
                    element.emit(out);
                }
                out.push(b']');
            }
            Node::Object(members) => {
                out.push(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    separate(index, out);
                    json::emit_string(key, &mut |bytes| out.extend_from_slice(bytes));
                    out.push(b':');
                    value.emit(out);
                }
                out.push(b'}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_out_as_phoenix_writes_them() {
        for (text, canon) in [
            (r#" { "b" : 1 , "a" : [ ] , "b" : 2 } "#, r#"{"a":[],"b":1}"#),
            (r#"[1,[2,[ 3 ]],{},{"x":{"y":[{}]}}]"#, r#"[1,[2,[3]],{},{"x":{"y":[{}]}}]"#),
            (r#"["\/\u00fc\ud83d\ude02\u007f"]"#, "[\"/ü😂\u{7f}\"]"),
            ("[-0,-0.0,123456789012345678901234567890]", "[0,-0.0,123456789012345678901234567890]"),
            ("[ [ ] , [ 1 ] ]", "[[],[1]]"),
        ] {
            assert_eq!(String::from_utf8(canonical(text.as_bytes()).unwrap()).unwrap(), canon);
        }
        assert!(canonical(b"[1e999]").is_err());
        assert!(canonical("9".repeat(DIGITS).as_bytes()).is_ok());
        assert!(canonical("9".repeat(DIGITS + 1).as_bytes()).is_err());
        let deep = ["[".repeat(json::DEPTH), "]".repeat(json::DEPTH)].concat();
        assert_eq!(canonical(deep.as_bytes()).unwrap(), deep.as_bytes());
    }
}
