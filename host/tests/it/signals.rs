//! Signal sets and replies that nobody meant: whatever they hold, there is an error or a value, and no panic.

use cloverleaf::car::decode::{Decoder, Question};
use cloverleaf::car::signals::{Signals, Value};
use serde_json::{Value as Json, json};

const MEADOW: &str = include_str!("../signals/meadow.json");

/// A generator of the same numbers every time (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Something that no key expects, or that one might.
fn surprise(random: &mut Random) -> Json {
    random
        .of(&[
            Json::Null,
            json!(true),
            json!(-1),
            json!(0),
            json!(0.1),
            json!(65),
            json!(1e300),
            json!(-1e-300),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(32_760),
            json!(""),
            json!("7E0"),
            json!("DA10"),
            json!("FF"),
            json!("é"),
            json!([]),
            json!([[]]),
            json!({}),
            json!({"22": "1001"}),
            json!({"": ""}),
            json!({"99999999999999999999": "x", "-5": {"value": 7}}),
        ])
        .clone()
}

/// Replaces, removes or adds something at a random place.
fn mutate(json: &mut Json, random: &mut Random) {
    match json {
        Json::Object(object) if !object.is_empty() && random.below(8) > 0 => {
            let keys: Vec<String> = object.keys().cloned().collect();
            let key = random.of(&keys).clone();
            match random.below(10) {
                0 => drop(object.remove(&key)),
                1 => drop(object.insert(format!("{key}x"), surprise(random))),
                2 => drop(object.insert(key, surprise(random))),
                _ => mutate(&mut object[&key], random),
            }
        }
        Json::Array(array) if !array.is_empty() && random.below(8) > 0 => {
            let place = random.below(array.len());
            mutate(&mut array[place], random);
        }
        other => *other = surprise(random),
    }
}

/// A reply of lines that look like frames.
fn reply(random: &mut Random) -> String {
    let ids = ["7E8", "7E8", "7E8", "7EA", "758", "607", "17FE007B", "18DAF110", "48 6B 10", ""];
    let answers =
        ["62 10 01", "62 10 02", "61 30", "62 D1 11", "62 02 8C", "61 85", "41 06", "7F 22 78", "41 66"];
    let mut lines = String::new();
    for _ in 0..random.below(6) {
        lines += *random.of(&ids);
        if random.below(3) == 0 {
            lines += *random.of(&[" 2A", " F1", "8", " "]);
        }
        let first = random.of(&[0x04_u8, 0x05, 0x06, 0x06, 0x07, 0x10, 0x21, 0x30, 0x00, 0xFF]);
        lines.push_str(&format!(" {first:02X} {} ", *random.of(&answers)));
        for _ in 0..3 + random.below(3) {
            lines.push_str(&format!("{:02X} ", random.next() as u8));
        }
        lines += *random.of(&["\r", "\r\n", "<DATA ERROR\r", ">", "é\r"]);
    }
    lines
}

const COMMANDS: [&str; 12] = [
    "7E0.7E8.221001",
    "221002",
    "7E0.7E8.221002|f=-2019",
    "750.758.2130|e=2A",
    "6F1.607.22D111",
    "FC00.22028C",
    "7E1.2185",
    "7E0.0106",
    "010C0D",
    "0166",
    "MEADOW_SOC",
    "0902",
];

#[test]
fn no_signal_set_and_no_reply_is_too_strange() {
    let mut random = Random(1);
    let (mut loaded, mut refused, mut values) = (0, 0, 0);
    for _ in 0..4000 {
        let mut json: Json = serde_json::from_str(MEADOW).expect("JSON");
        for _ in 0..=random.below(3) {
            mutate(&mut json, &mut random);
        }
        let text = json.to_string();
        match Signals::from_text("mutant.json", &text) {
            Err(error) => {
                refused += 1;
                assert!(error.to_string().starts_with("mutant.json: "), "{error}");
            }
            Ok(signals) => {
                loaded += 1;
                let mut decoder = Decoder::new(&signals);
                for _ in 0..8 {
                    let question = Question {
                        command: random.of::<&str>(&COMMANDS),
                        reply: &reply(&mut random),
                        ..Question::default()
                    };
                    values += decoder.decode(&question).signals.len();
                }
                for command in signals.commands() {
                    let data: Vec<u8> = (0..random.below(24)).map(|_| random.next() as u8).collect();
                    for (signal, value) in command.decode(&data) {
                        if let Some(Value::Real(value)) = value {
                            assert!(value.is_finite(), "{}", signal.id);
                        }
                    }
                    let _ = command.request.route();
                }
            }
        }
    }
    assert!(
        loaded > 500 && refused > 500 && values > 100,
        "{loaded} {refused} {values}: the mutants are too tame"
    );
}

#[test]
fn no_text_is_too_strange_to_be_a_signal_set() {
    let mut random = Random(2);
    let deep = "[".repeat(100_000);
    assert!(Signals::from_text("deep.json", &deep).is_err());
    for _ in 0..2000 {
        let mut bytes = MEADOW.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[place] = random.next() as u8,
                1 => bytes.truncate(place),
                _ => bytes.insert(place, *random.of(b"{}[]\",:0-e\\")),
            }
        }
        let _ = Signals::from_text("noise.json", &String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn the_same_bits_give_the_same_value_as_plain_arithmetic() {
    let mut random = Random(3);
    for _ in 0..3000 {
        let length = 1 + random.below(64);
        let bit = random.below(80);
        let (signed, reversed) =
            (random.below(2) == 0, random.below(4) == 0 && length.is_multiple_of(8) && bit.is_multiple_of(8));
        let fmt = json!({"bix": bit, "len": length, "sign": signed, "blsb": reversed, "unit": "scalar"});
        let set =
            json!({"commands": [{"hdr": "7E0", "cmd": {"21": "01"}, "signals": [{"id": "X", "fmt": fmt}]}]});
        let signals = Signals::from_text("one.json", &set.to_string()).expect("a signal set");
        let data: Vec<u8> = (0..20).map(|_| random.next() as u8).collect();

        // Bit by bit, the slow and sure way.
        let mut bits: Vec<bool> =
            (bit..bit + length).map(|place| data[place / 8] >> (7 - place % 8) & 1 == 1).collect();
        if reversed {
            bits = bits.chunks(8).rev().flatten().copied().collect();
        }
        let raw = bits.iter().fold(0_i128, |raw, &bit| raw << 1 | i128::from(bit));
        let raw = if signed && bits[0] { raw - (1 << length) } else { raw };

        let (_, value) = signals.commands()[0].decode(&data).next().expect("one signal");
        let expected = match i64::try_from(raw) {
            Ok(raw) => Value::Integer(raw),
            Err(_) => Value::Real(raw as f64),
        };
        assert_eq!(value, Some(expected), "{fmt} in {data:02X?}");
    }
}
