//! The lines of a reply: which are data, and in which format they may be printed.

use cloverleaf_core::bus::{Format, Protocol};
use cloverleaf_core::elm327::wire::{self, Line};

use super::super::signals::{Header, Request};
use super::Question;

/// What a reply's lines are.
#[derive(Debug, Default)]
pub(super) struct Lines<'a> {
    /// Lines that may be frames.
    pub data: Vec<&'a [u8]>,
    /// Lines that the adapter itself may have answered.
    pub text: Vec<&'a [u8]>,
    /// What the adapter said of itself and the bus.
    pub status: Vec<&'static str>,
}

impl<'a> Lines<'a> {
    /// Sorts the lines of a reply; the echo of the request, with or without a response count, is left out.
    pub(super) fn of(reply: &'a str, request: &[u8]) -> Self {
        let mut lines = Self::default();
        let sent = hex::encode_upper(request);
        let is_echo = |line: &[u8]| {
            let counted = line.split_last().is_some_and(|(_, line)| wire::is_echo(line, sent.as_bytes()));
            wire::is_echo(line, sent.as_bytes()) || counted
        };
        for line in wire::lines(reply.as_bytes()) {
            match line {
                Line::Data { hex, fault: None } if is_echo(hex) => {}
                Line::Data { hex, fault: None } => {
                    lines.text.push(hex);
                    lines.data.push(hex);
                }
                // What the adapter itself complains of must not be believed.
                Line::Data { fault: Some(status), .. } | Line::Status(status) => {
                    lines.status.push(status.as_str());
                }
                Line::Text(text) => lines.text.push(text),
            }
        }
        lines
    }
}

/// The formats in which lines may be printed, likeliest first.
pub(super) fn formats(question: &Question<'_>, request: &Request, lines: &[&[u8]]) -> Vec<Format> {
    let extended = request.properties.extended.is_some();
    let headers: &[bool] = match question.headers {
        Some(true) => &[true],
        Some(false) => &[false],
        None => &[true, false],
    };
    let mut formats = Vec::new();
    let mut add = |format| {
        if !formats.contains(&format) {
            formats.push(format);
        }
    };
    for &headers in headers {
        let protocol = question.protocol.or_else(|| bus(request, lines));
        let format = Format { headers, ..Format::new(protocol) };
        add(Format { extended, ..format });
        if headers && protocol.is_none_or(Protocol::is_can) {
            add(Format { extended: !extended, ..format });
        }
    }
    if headers.contains(&true) && question.protocol.is_none() {
        // An identifier beyond those of ISO 15765-4 may look like something else: `17FE007B`, `618 8 …`.
        for protocol in [Protocol::Can11Fast, Protocol::Can29Fast] {
            let format = Format::new(Some(protocol));
            add(Format { extended, ..format });
            add(Format { extended: !extended, ..format });
        }
    }
    formats
}

/// The bus that header and lines tell: an 11-bit identifier has three digits and so makes the number of digits odd.
fn bus(request: &Request, lines: &[&[u8]]) -> Option<Protocol> {
    let digits = |line: &&[u8]| line.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    let odd = lines.iter().filter(|line| digits(line) % 2 == 1).count();
    match request.route().header {
        _ if odd * 2 > lines.len() => Some(Protocol::Can11Fast),
        Some(Header::Can29(_)) => Some(Protocol::Can29Fast),
        _ => None,
    }
}
