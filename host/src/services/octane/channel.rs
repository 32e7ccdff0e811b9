//! Channels: what a client subscribes to. Some are announced, some only known to those who know them, and those
//! of single radios exist by pattern.

use std::fmt;
use std::sync::Arc;

/// The channels that the listing announces, in its order. Clients print the listing: nothing may be added.
pub const ANNOUNCED: [&str; 8] =
    ["facility", "user", "v2x", "crosswalk", "gate", "railcrossing", "signal", "intersection"];

/// The channels that exist without being announced.
const FURTHER: [&str; 13] = [
    "garage",
    "light",
    "sensor",
    "weather",
    "robot",
    "beacon",
    "ipc",
    "v2x_rsu_raw",
    "v2x_obu_raw",
    "v2x_vru_raw",
    "v2x_rsu_parsed",
    "v2x_obu_parsed",
    "v2x_vru_parsed",
];

/// The name of a channel that exists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(Arc<str>);

impl Channel {
    /// The channel of this name, if there is one. Names are lower case.
    pub fn parse(name: &str) -> Option<Self> {
        let known = ANNOUNCED.contains(&name) || FURTHER.contains(&name) || is_radio(name);
        known.then(|| Self(name.into()))
    }

    /// A channel that certainly exists.
    pub(super) fn known(name: &str) -> Self {
        debug_assert!(Self::parse(name).is_some(), "{name} is no channel");
        Self(name.into())
    }

    /// The channel's name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// radio = "v2x_" ( "rsu" | "obu" | "vru" ) "_" id "_" ( "raw" | "parsed" )      id: 1 to 32 letters, digits, hyphens
fn is_radio(name: &str) -> bool {
    let Some(rest) = ["v2x_rsu_", "v2x_obu_", "v2x_vru_"].iter().find_map(|kind| name.strip_prefix(kind))
    else {
        return false;
    };
    let id = rest.strip_suffix("_raw").or_else(|| rest.strip_suffix("_parsed")).unwrap_or_default();
    (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_known_exactly_or_not_at_all() {
        for name in ANNOUNCED.into_iter().chain(FURTHER) {
            assert_eq!(Channel::parse(name).unwrap().name(), name);
        }
        for name in ["v2x_rsu_0129_parsed", "v2x_obu_beef_raw", "v2x_vru_23_parsed"] {
            assert!(Channel::parse(name).is_some(), "{name}");
        }
        for name in [
            "",
            "Crosswalk",
            "crosswalk ",
            "v2x_rsu__raw",
            "v2x_rsu_a_b_raw",
            "v2x_rsu_é_raw",
            "v2x_bus_1_raw",
        ] {
            assert!(Channel::parse(name).is_none(), "{name}");
        }
        assert!(Channel::parse(&format!("v2x_rsu_{}_raw", "0".repeat(33))).is_none());
    }
}
