//! What the frames of a J1939 bus say: read, and told on the timeline.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use cloverleaf_core::bus::{Assembler, Format, FrameError, Message, Protocol};
use cloverleaf_core::obd2::Quantity;
use cloverleaf_core::obd2::j1939::{self, Fault, Lamps, Parameter, Pgn};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::timeline::{self, Bus, Source};

/// The longest broadcast: 255 packets of seven bytes (SAE J1939-21, 5.10.1).
const LONGEST: usize = 255 * 7;

/// How many long messages may be under way at once; when another begins, those that did not end are forgotten.
const UNDER_WAY: usize = 256;

/// A value is told no more often than this.
const PERIOD: Duration = Duration::from_millis(100);

/// Puts frames together, also the packets that one unit sends another (RTS/CTS), as they pass by.
#[derive(Debug, Default)]
pub struct Listener {
    /// By receiver and sender: between two units one message at most is under way.
    long: HashMap<(u8, u8), Assembler<1, LONGEST>>,
}

/// A whole message, read.
#[derive(Debug)]
pub struct Broadcast {
    group: Pgn,
    sender: u8,
    parameters: Vec<(&'static Parameter, Option<Quantity>)>,
    codes: Option<(Lamps, Vec<Fault>)>,
    identification: Option<String>,
}

impl Listener {
    /// Takes a frame as the adapter prints it, without blanks; gives the message that it is, or completes. Of a
    /// damaged frame, or a packet of a message whose beginning was not heard, there is nothing to read.
    pub fn hear(&mut self, frame: &str) -> Option<Broadcast> {
        let byte = |digits| u8::from_str_radix(digits, 16).ok();
        let between = (byte(frame.get(4..6)?)?, byte(frame.get(6..8)?)?);
        let mut alone = Assembler::new(Format::new(Some(Protocol::J1939)));
        match alone.push(frame.as_bytes()) {
            Ok(()) => {
                if let Some(message) = alone.messages().next() {
                    return Some(Broadcast::read(message));
                }
                if alone.losses().next().is_some() {
                    // It announces a longer one, in the place of what the sender did not end.
                    if self.long.len() >= UNDER_WAY {
                        self.long.clear();
                    }
                    self.long.insert(between, alone);
                }
                None
            }
            Err(FrameError::Orphan) => {
                let long = self.long.get_mut(&between)?;
                long.push(frame.as_bytes()).ok()?;
                let whole = long.messages().next().map(Broadcast::read)?;
                self.long.remove(&between);
                Some(whole)
            }
            Err(_) => None,
        }
    }
}

impl Broadcast {
    fn read(message: Message<'_>) -> Self {
        Self {
            group: Pgn::of(message.source),
            sender: j1939::sender(message.source),
            parameters: j1939::parameters(message).collect(),
            codes: j1939::faults(message).map(|(lamps, faults)| (lamps, faults.collect())),
            identification: j1939::identification(message).and_then(|text| text.as_str().map(str::to_owned)),
        }
    }

    /// Group and sender, and what is known of the rest: `parameters`, `lamps` and `codes`, `vin`.
    pub fn to_json(&self) -> Value {
        let mut object = json!({ "pgn": self.group.0, "sender": self.sender });
        if !self.parameters.is_empty() {
            let parameters = self.parameters.iter().map(|(row, value)| {
                json!({
                    "spn": row.spn,
                    "name": row.name,
                    "value": value.map(|value| value.to_f64()),
                    "unit": value.map(|value| value.unit().symbol()),
                })
            });
            object["parameters"] = parameters.collect();
        }
        if let Some((lamps, codes)) = &self.codes {
            object["lamps"] = lit(*lamps).collect();
            let codes =
                codes.iter().map(|code| json!({ "spn": code.spn, "fmi": code.mode, "count": code.count }));
            object["codes"] = codes.collect();
        }
        if let Some(vin) = &self.identification {
            object["vin"] = vin.as_str().into();
        }
        object
    }

    /// What it says of each of its subjects.
    fn values(&self) -> Vec<(Subject, timeline::Value)> {
        let quantity = |quantity: Quantity| timeline::Value::Quantity {
            value: quantity.to_f64(),
            unit: quantity.unit().symbol(),
        };
        let present = self.parameters.iter().filter_map(|(row, value)| Some((row.spn, (*value)?)));
        let mut values: Vec<_> =
            present.map(|(spn, value)| (Subject::Parameter(spn), quantity(value))).collect();
        if self.codes.is_some() {
            let active = self.group == Pgn::ACTIVE_CODES;
            let subject = if active { Subject::ActiveCodes } else { Subject::PreviousCodes };
            values.push((subject, timeline::Value::Json(self.to_json())));
        }
        let vin = self.identification.iter();
        values.extend(vin.map(|vin| (Subject::Vin, timeline::Value::Text(vin.clone()))));
        values
    }
}

/// What a value is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    /// A parameter, by its number.
    Parameter(u32),
    ActiveCodes,
    PreviousCodes,
    Vin,
}

impl Subject {
    /// Its topic: `SPN190` (engine speed), `DM1`, `DM2`, `VIN`; of other units than the engine's with their address:
    /// `SPN190@03`.
    fn topic(self, sender: u8) -> String {
        let topic = match self {
            Self::Parameter(spn) => format!("SPN{spn}"),
            Self::ActiveCodes => "DM1".into(),
            Self::PreviousCodes => "DM2".into(),
            Self::Vin => "VIN".into(),
        };
        match sender {
            0 => topic,
            sender => format!("{topic}@{sender:02X}"),
        }
    }
}

/// What a bus says on the timeline: each value of each unit when it changes, ten times a second at most.
#[derive(Debug, Default)]
pub(super) struct Telling {
    listener: Listener,
    /// By sender and subject; there are 256 of the one and a table of the other.
    told: HashMap<(u8, Subject), (Instant, timeline::Value)>,
}

impl Telling {
    /// Takes a frame as [`Listener::hear`] does.
    pub(super) fn hear(&mut self, frame: &str, timeline: &Bus) {
        let Some(broadcast) = self.listener.hear(frame) else { return };
        if !timeline.is_watched() {
            return;
        }
        let now = Instant::now();
        for (subject, value) in broadcast.values() {
            let key = (broadcast.sender, subject);
            let known = self.told.get(&key);
            if known.is_some_and(|(at, told)| now - *at < PERIOD || *told == value) {
                continue;
            }
            self.told.insert(key, (now, value.clone()));
            timeline.publish(Source::Car, subject.topic(broadcast.sender), value);
        }
    }
}

impl fmt::Display for Broadcast {
    /// `PGN 61444 of 0: engine speed 1200 rpm`; values that the sender has not got are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.parameters.iter().filter_map(|(row, value)| Some((row.name, (*value)?)));
        let mut parts: Vec<String> = values.map(|(name, value)| format!("{name} {value:#}")).collect();
        if let Some((lamps, codes)) = &self.codes {
            parts.extend(lit(*lamps).map(|lamp| format!("{lamp} lamp")));
            parts.extend(codes.iter().map(|code| match code.count {
                // 127 is "not available".
                127 => code.to_string(),
                count => format!("{code} (×{count})"),
            }));
            if codes.is_empty() {
                parts.push("no trouble codes".into());
            }
        }
        parts.extend(self.identification.iter().map(|vin| format!("VIN {vin}")));
        write!(f, "PGN {} of {}", self.group.0, self.sender)?;
        match parts.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", parts.join(", ")),
        }
    }
}

/// The names of the lamps that are on.
fn lit(lamps: Lamps) -> impl Iterator<Item = &'static str> {
    let all = [
        ("malfunction", lamps.malfunction()),
        ("stop", lamps.stop()),
        ("warning", lamps.warning()),
        ("protect", lamps.protect()),
    ];
    all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(frames: &[&str]) -> Vec<String> {
        let mut listener = Listener::default();
        frames.iter().filter_map(|frame| listener.hear(frame)).map(|message| message.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_unit_has_topics_of_its_own_and_ten_values_a_second() {
        let bus = Bus::new();
        let mut telling = Telling::default();
        // Nobody reads yet; nothing counts as told.
        telling.hear("30F00400007D96802500FFFF", &bus);
        let mut timeline = bus.subscribe();
        let mut heard: HashMap<String, Vec<timeline::Value>> = HashMap::new();
        for turn in 0..100_u32 {
            // EEC1 of the engine and of another unit, every 20 ms: 1200 and 600 rpm and a little more each time.
            for (sender, speed) in [(0x00, 0x2580), (0x03, 0x12C0)] {
                let [high, low] = ((speed + turn) as u16).to_be_bytes();
                telling.hear(&format!("30F004{sender:02X}FFFFFF{low:02X}{high:02X}FFFFFF"), &bus);
            }
            tokio::time::advance(Duration::from_millis(20)).await;
        }
        drop(bus);
        while let Some(entry) = timeline.next().await {
            let entry = entry.expect("in time");
            heard.entry(entry.topic.clone()).or_default().push(entry.value.clone());
        }
        let first = |topic: &str| match heard[topic][0] {
            timeline::Value::Quantity { value, unit: "rpm" } => value,
            ref other => panic!("{topic}: {other:?}"),
        };
        assert_eq!((first("SPN190"), first("SPN190@03")), (1_200.0, 600.0));
        // Two seconds.
        let counts = ["SPN190", "SPN190@03"].map(|topic| heard[topic].len());
        assert_eq!(counts, [20, 20]);
        assert_eq!(heard.len(), 2, "{:?}", heard.keys());
    }

    #[test]
    fn frames_become_messages() {
        for (frames, expected) in [
            (
                &["30F00400007D96802500FFFF"][..],
                &["PGN 61444 of 0: driver's demand of torque 0 %, engine torque 25 %, engine speed 1200 rpm"]
                    [..],
            ),
            (&["60FEEE007BFFFFFFFFFFFFFF"], &["PGN 65262 of 0: coolant temperature 83 °C"]),
            (&["60FECA0300FF00000000FFFF"], &["PGN 65226 of 3: no trouble codes"]),
            (&["60FECA0310FF6E00037FFFFF"], &["PGN 65226 of 3: stop lamp, SPN 110 FMI 3"]),
            (&["60FFFF210102030405060708"], &["PGN 65535 of 33"]),
            // Two senders at once; the other's packet is lost, and so are its codes.
            (
                &[
                    "70ECFF00200A0002FFCAFE00",
                    "70ECFF03200A0002FFCAFE00",
                    "70EBFF000104FF6E00000164",
                    "70EBFF030204FF6E00000164",
                    "70EBFF0002000103FFFFFFFF",
                    "70EBFF030104FF6E00000164",
                ],
                &["PGN 65226 of 0: warning lamp, SPN 110 FMI 0 (×1), SPN 100 FMI 1 (×3)"],
            ),
            // One unit to another: request, leave, packets, and the end; a broadcast of the same sender in between.
            (
                &[
                    "70ECF900100A0002FFCAFE00",
                    "70EC00F9110201FFFFCAFE00",
                    "70ECFF00200A0002FFCAFE00",
                    "70EBF9000104FF6E00000164",
                    "70EBFF000110FF6E00030164",
                    "70EBF90002000103FFFFFFFF",
                    "70EC00F9130A0002FFCAFE00",
                ],
                &["PGN 65226 of 0: warning lamp, SPN 110 FMI 0 (×1), SPN 100 FMI 1 (×3)"],
            ),
            (&["70EBFF0002000103FFFFFFFF", "60FE", "", "60FEEE00ZZ", "é0FEEE00"], &[]),
        ] {
            assert_eq!(heard(frames), expected, "{frames:?}");
        }
    }
}
