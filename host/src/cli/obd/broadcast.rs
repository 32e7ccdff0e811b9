//! What the frames of a J1939 bus say, for `cloverleaf obd monitor --protocol A`.

use std::collections::HashMap;
use std::fmt;

use cloverleaf_core::bus::{Assembler, Format, FrameError, Message, Protocol};
use cloverleaf_core::obd2::Quantity;
use cloverleaf_core::obd2::j1939::{self, Fault, Lamps, Parameter, Pgn};
use serde_json::{Value, json};

/// The longest broadcast: 255 packets of seven bytes (SAE J1939-21, 5.10.1).
const LONGEST: usize = 255 * 7;

/// Puts frames together. A sender has one long message under way at most, so 256 of them are the bound.
#[derive(Debug, Default)]
pub(super) struct Listener {
    long: HashMap<u8, Assembler<1, LONGEST>>,
}

/// A whole message, read.
#[derive(Debug)]
pub(super) struct Broadcast {
    group: Pgn,
    sender: u8,
    parameters: Vec<(&'static Parameter, Option<Quantity>)>,
    codes: Option<(Lamps, Vec<Fault>)>,
    identification: Option<String>,
}

impl Listener {
    /// Takes a frame as the adapter prints it, without blanks; gives the message that it is, or completes. Of a
    /// damaged frame, or a packet of a message whose beginning was not heard, there is nothing to read.
    pub(super) fn hear(&mut self, frame: &str) -> Option<Broadcast> {
        let sender = u8::from_str_radix(frame.get(6..8)?, 16).ok()?;
        let mut alone = Assembler::new(Format::new(Some(Protocol::J1939)));
        match alone.push(frame.as_bytes()) {
            Ok(()) => {
                if let Some(message) = alone.messages().next() {
                    return Some(Broadcast::read(message));
                }
                // It announces a longer one, in the place of what the sender did not end.
                self.long.insert(sender, alone);
                None
            }
            Err(FrameError::Orphan) => {
                let long = self.long.get_mut(&sender)?;
                long.push(frame.as_bytes()).ok()?;
                let whole = long.messages().next().map(Broadcast::read)?;
                self.long.remove(&sender);
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
    pub(super) fn to_json(&self) -> Value {
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
            (&["70EBFF0002000103FFFFFFFF", "60FE", "", "60FEEE00ZZ", "é0FEEE00"], &[]),
        ] {
            assert_eq!(heard(frames), expected, "{frames:?}");
        }
    }
}
