//! JSON as JavaScript and Python write it: a string may hold half of a surrogate pair, which no Rust string can.

use serde::de::DeserializeOwned;

/// Parse JSON text. Lone halves of surrogate pairs become U+FFFD.
///
/// # Errors
/// When the text is not JSON, or not that of a `T`.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&replace_lone_surrogates(text)))
}

/// Rewrite every `\uD800`–`\uDFFF` escape that is not part of a pair as `\uFFFD`.
fn replace_lone_surrogates(json: &str) -> String {
    fn unit(text: &str) -> Option<u16> {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        out.push_str(before);
        let length = match unit(escape) {
            Some(0xD800..=0xDBFF) => match escape.get(6..).and_then(unit) {
                Some(0xDC00..=0xDFFF) => 12,
                _ => 0,
            },
            Some(0xDC00..=0xDFFF) => 0,
            Some(_) => 6,
            // One character after the backslash, whatever its width.
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let taken = if length == 0 { 6 } else { length };
        let (escape, tail) = escape.split_at(taken.min(escape.len()));
        out.push_str(if length == 0 { "\\uFFFD" } else { escape });
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        let table = [
            (r#"["\ud83d\ude97"]"#, r#"["\ud83d\ude97"]"#),
            (r#"["\ud83d"]"#, r#"["\uFFFD"]"#),
            (r#"["\ude97\ud83d"]"#, r#"["\uFFFD\uFFFD"]"#),
            (r#"["\ud83d\u0041"]"#, r#"["\uFFFD\u0041"]"#),
            (r#"["\\ud83d"]"#, r#"["\\ud83d"]"#),
            (r#"["\"\ud83d é"]"#, r#"["\"\uFFFD é"]"#),
            (r#"["\é","\ud8"]"#, r#"["\é","\ud8"]"#),
            ("\\", "\\"),
        ];
        for (json, want) in table {
            assert_eq!(replace_lone_surrogates(json), want);
        }
    }

    #[test]
    fn text_with_half_a_pair_is_read_and_what_is_not_json_is_not() {
        assert_eq!(parse::<String>(r#""a\ud83d""#).unwrap(), "a\u{FFFD}");
        assert!(parse::<String>(r#""\ud83d"#).is_err() && parse::<String>("7").is_err());
    }
}
