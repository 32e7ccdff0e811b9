//! JSON that survives clients that take bytes for characters.

use std::{fmt, io};

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::{BadBody, FieldErrors};

/// A value as JSON in pure ASCII.
///
/// ```
/// use cloverleaf::services::dfx::events::ascii_json;
/// assert_eq!(ascii_json(&"Größe 😀"), br#""Gr\u00f6\u00dfe \ud83d\ude00""#);
/// ```
pub fn ascii_json(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    ascii_json_of(value, 0)
}

/// The same with room for `length` bytes from the start.
pub(super) fn ascii_json_of(value: &(impl Serialize + ?Sized), length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    // Writing to memory does not fail, and the bodies here have no keys that JSON cannot hold.
    match value.serialize(&mut Serializer::with_formatter(&mut bytes, Ascii(CompactFormatter))) {
        Ok(()) => bytes,
        Err(_) => b"{}".to_vec(),
    }
}

struct Ascii(CompactFormatter);

impl Formatter for Ascii {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if text.is_ascii() {
            return self.0.write_string_fragment(writer, text);
        }
        for character in text.chars() {
            if character.is_ascii() {
                writer.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// JSON in UTF-8, or in Latin-1 when it is not UTF-8.
///
/// # Errors
/// [`BadBody::Json`].
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadBody> {
    let parsed = match std::str::from_utf8(bytes) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_str(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
    };
    parsed.map_err(|e| BadBody::Json(e.to_string()))
}

/// A number, or a number in a string, as old clients sent times.
pub(super) fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(LenientNumber)
}

/// Refuses arrays and objects at their first byte, however much of them would follow.
struct LenientNumber;

impl Visitor<'_> for LenientNumber {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.trim().parse().map(Some).map_err(E::custom)
    }
}

/// A value, or what it is by default where the sender writes `null`.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What is wrong with which field, in whatever shape: an error must not hide behind its details.
pub(super) fn field_errors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FieldErrors, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => FieldErrors::new(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, value.into())).collect(),
        other => [(String::new(), other.into())].into(),
    })
}

/// Bytes as base64, with or without padding.
pub(super) mod base64 {
    use std::fmt;

    use base64::Engine;
    use base64::alphabet::STANDARD;
    use base64::display::Base64Display;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    use bytes::Bytes;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    /// Decodes the text where it lies.
    struct Base64 {
        /// What is not base64 is taken as it is.
        lenient: bool,
    }

    impl Visitor<'_> for Base64 {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("base64")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
            match ENGINE.decode(text) {
                Err(_) if self.lenient => Ok(text.as_bytes().to_vec()),
                decoded => decoded.map_err(E::custom),
            }
        }
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        // Piece by piece, straight into the body.
        serializer.collect_str(&Base64Display::new(bytes, &ENGINE))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        deserializer.deserialize_str(Base64 { lenient: false }).map(Bytes::from)
    }

    pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_str(Base64 { lenient: true })
    }
}
