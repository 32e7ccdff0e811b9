//! How a signal lies in the data of a reply, and what its bits mean.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rational::Rational;

/// The value of a signal.
///
/// Whole numbers stay whole: `83`, not `83.0`. Switches are `0` and `1`; their unit (`offon`, `yesno`, `noyes`)
/// says which is which.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// Any other number, rounded once, from the exact fraction.
    Real(f64),
    /// The text of a state, or the characters of a text signal.
    Text(String),
}

impl Value {
    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Real(value) => Some(*value),
            Self::Text(_) => None,
        }
    }
}

impl From<Rational> for Value {
    fn from(value: Rational) -> Self {
        value.to_integer().map_or_else(|| Self::Real(value.to_f64()), Self::Integer)
    }
}

/// Where a signal lies and how it is read (`fmt`).
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    /// Its first bit, counted from the most significant bit of the first data byte (`bix`).
    pub bit: u32,
    /// Its length in bits, at least 1 (`len`).
    pub length: u32,
    /// Whether its bytes come least significant first (`blsb`).
    pub reversed: bool,
    /// Whether it is in two's complement (`sign`).
    pub signed: bool,
    /// What the bits mean.
    pub meaning: Meaning,
    /// The unit, as the signal set names it; states have none.
    pub unit: Option<String>,
}

/// What the bits of a signal mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// A linear quantity.
    Quantity(Box<Quantity>),
    /// One of several states: what the value is for these bits.
    States(BTreeMap<i64, String>),
    /// ASCII characters.
    Characters,
    /// Hexadecimal digits: what is longer than [`NUMBER_BITS`] and not text.
    Digits,
}

/// `bits × factor + offset`, kept within its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    pub(super) factor: Rational,
    pub(super) offset: Rational,
    pub(super) min: Option<Rational>,
    pub(super) max: Option<Rational>,
    pub(super) null_min: Option<Rational>,
    pub(super) null_max: Option<Rational>,
}

impl Quantity {
    /// The value of `raw`; `None` in the ranges that mean "not available". They are looked at before the value is
    /// forced into its range, which would hide them.
    fn value(&self, raw: i128) -> Option<Value> {
        let raw = Rational::integer(raw);
        let exact = self.factor.checked_mul(raw).and_then(|product| product.checked_add(self.offset));
        // Out of 128 bits only with factors of many digits on long signals: then the rounded product serves.
        let rounded = || {
            let product = raw.to_f64() * self.factor.to_f64();
            Rational::from_decimal(product + self.offset.to_f64())
        };
        let value = exact.or_else(rounded)?;
        if self.null_min.is_some_and(|bound| value <= bound)
            || self.null_max.is_some_and(|bound| value >= bound)
        {
            return None;
        }
        Some(match (self.min, self.max) {
            (Some(min), _) if value < min => min.into(),
            (_, Some(max)) if value > max => max.into(),
            _ => value.into(),
        })
    }
}

/// Numbers are at most this long.
pub const NUMBER_BITS: u32 = 64;

impl Format {
    /// The value of the signal in `data` (what follows service and identifier in a reply). `None` if the data end
    /// before it does, if it says "not available", or if it is in none of its states.
    pub fn decode(&self, data: &[u8]) -> Option<Value> {
        match &self.meaning {
            Meaning::Quantity(quantity) => quantity.value(self.number(data)?),
            Meaning::States(states) => {
                let state = states.get(&i64::try_from(self.number(data)?).ok()?)?;
                Some(Value::Text(state.clone()))
            }
            Meaning::Characters => {
                let text: String = self.pieces(data, 8)?.into_iter().filter_map(character).collect();
                Some(Value::Text(text.trim().to_owned()))
            }
            Meaning::Digits => {
                let digits = self.pieces(data, 4)?;
                Some(Value::Text(digits.iter().map(|digit| format!("{digit:X}")).collect()))
            }
        }
    }

    /// The number of bytes of data that the signal needs.
    pub fn needs(&self) -> usize {
        self.bit.saturating_add(self.length).div_ceil(8) as usize
    }

    /// The bits as a number.
    fn number(&self, data: &[u8]) -> Option<i128> {
        let turned;
        let (data, bit) = if self.reversed && self.length > 8 {
            turned = self.turned(data)?;
            (turned.as_slice(), self.bit % 8)
        } else {
            (data, self.bit)
        };
        let raw = bits(data, bit, self.length)?;
        let negative = self.signed && raw >> (self.length - 1) != 0;
        Some(if negative { raw - (1 << self.length) } else { raw })
    }

    /// The bytes from the one in which the signal begins, as many as its length fills turned around.
    fn turned(&self, data: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = data.get((self.bit / 8) as usize..self.needs())?.to_vec();
        bytes.get_mut(..self.length.div_ceil(8) as usize)?.reverse();
        Some(bytes)
    }

    /// The signal cut into pieces of `length` (4 or 8) bits.
    fn pieces(&self, data: &[u8], length: u32) -> Option<Vec<u8>> {
        let starts = (0..self.length / length).map(|index| self.bit + index * length);
        starts.map(|bit| bits(data, bit, length).and_then(|bits| u8::try_from(bits).ok())).collect()
    }
}

/// `length` (1..=64) bits from `bit` on, most significant first; `None` if the data are shorter.
fn bits(data: &[u8], bit: u32, length: u32) -> Option<i128> {
    let end = bit.checked_add(length)?;
    let bytes = data.get((bit / 8) as usize..end.div_ceil(8) as usize)?;
    let window = bytes.iter().fold(0_u128, |window, &byte| window << 8 | u128::from(byte));
    let mask = u128::MAX.checked_shr(128 - length)?;
    i128::try_from(window >> (end.next_multiple_of(8) - end) & mask).ok()
}

/// A byte as a character, without the NULs and FFs that pad texts.
fn character(byte: u8) -> Option<char> {
    match byte {
        0 | 0xFF => None,
        0x20..=0x7E => Some(char::from(byte)),
        _ => Some(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(bit: u32, length: u32) -> Format {
        let quantity = Quantity {
            factor: Rational::ONE,
            offset: Rational::ZERO,
            min: None,
            max: None,
            null_min: None,
            null_max: None,
        };
        Format {
            bit,
            length,
            reversed: false,
            signed: false,
            meaning: Meaning::Quantity(Box::new(quantity)),
            unit: None,
        }
    }

    #[test]
    fn bits_count_from_the_most_significant() {
        let data = [0b1010_0000, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0];
        for (bit, length, value) in [
            (0, 1, 1),
            (1, 1, 0),
            (0, 3, 5),
            (8, 16, 0x1234),
            (12, 8, 0x23),
            (8, 64, 0x1234_5678_9ABC_DEF0),
            (3, 64, 0x0091_A2B3_C4D5_E6F7),
        ] {
            assert_eq!(format(bit, length).decode(&data), Some(Value::Integer(value)), "{bit}+{length}");
        }
        assert_eq!(format(66, 7).decode(&data), None, "the data end before the signal does");
        assert_eq!(format(u32::MAX, 1).decode(&data), None);
    }

    #[test]
    fn reversed_signals_turn_whole_bytes() {
        let data = [0x00, 0x34, 0x12, 0xF0];
        assert_eq!(Format { reversed: true, ..format(8, 16) }.decode(&data), Some(Value::Integer(0x1234)));
        // 12 bits fill two bytes: 34 12 becomes 12 34, whose first 12 bits are 123.
        assert_eq!(Format { reversed: true, ..format(8, 12) }.decode(&data), Some(Value::Integer(0x123)));
        assert_eq!(Format { reversed: true, ..format(8, 8) }.decode(&data), Some(Value::Integer(0x34)));
    }

    #[test]
    fn signs_are_twos_complement_of_any_length() {
        let signed = |bit, length, data: &[u8]| Format { signed: true, ..format(bit, length) }.decode(data);
        assert_eq!(signed(0, 8, &[0x80]), Some(Value::Integer(-128)));
        assert_eq!(signed(0, 12, &[0xFF, 0xE0]), Some(Value::Integer(-2)));
        assert_eq!(signed(0, 64, &[0xFF; 8]), Some(Value::Integer(-1)));
        assert_eq!(signed(0, 1, &[0x80]), Some(Value::Integer(-1)));
    }

    #[test]
    fn long_signals_are_text() {
        let vin = Format { meaning: Meaning::Characters, ..format(8, 80) };
        assert_eq!(vin.decode(b"\x01\0 CLOVER \xFF"), Some(Value::Text("CLOVER".to_owned())));
        let part = Format { meaning: Meaning::Digits, ..format(4, 72) };
        assert_eq!(part.decode(&[0x12; 10]), Some(Value::Text("212121212121212121".to_owned())));
    }
}
