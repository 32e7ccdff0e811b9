//! How the local server behaves, and how it misbehaves on request: a TOML file.
//!
//! ```
//! use cloverleaf::services::dfx::state::{Fault, Rules};
//! let rules: Rules = toml::from_str(r#"
//!     latency = 400        # milliseconds between a chunk and its result
//!     real_time = true     # RATE_LIMIT for chunks that come faster than they can be measured
//!
//!     [[fault]]            # the second chunk is refused once
//!     action = "0506"
//!     chunk = 1
//!     do = "error"
//!     status = 429
//!     code = "RATE_LIMIT"
//!
//!     [[fault]]            # every result comes twice
//!     on = "result"
//!     do = "duplicate"
//!     times = 0
//! "#).unwrap();
//! assert_eq!((rules.latency, rules.fault.len()), (400, 2));
//! ```

use serde::Deserialize;

/// The rules of one server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Milliseconds between a chunk and its result.
    pub latency: u64,
    /// Whether chunks must not come faster than real time.
    pub real_time: bool,
    /// Whether FIRST drops what was added before even when the client does not number its chunks. The C++ client
    /// does not, and sends every chunk but the last as FIRST.
    pub first_resets: bool,
    /// How many results are held back and let go in reverse; 0 and 1 keep the order.
    pub shuffle: usize,
    /// Whether a result goes out before the reply to its chunk.
    pub results_first: bool,
    /// Seconds for which tokens are good.
    pub token_ttl: u64,
    /// A remark on every channel of every result.
    pub note: Option<String>,
    /// What goes wrong.
    pub fault: Vec<Fault>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            latency: 0,
            real_time: false,
            first_resets: false,
            shuffle: 0,
            results_first: false,
            token_ttl: 86_400,
            note: None,
            fault: Vec::new(),
        }
    }
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Whether it befalls replies or results.
    #[serde(default)]
    pub on: On,
    /// Only replies to this action: four digits.
    #[serde(default)]
    pub action: Option<String>,
    /// Only what is about this chunk.
    #[serde(default)]
    pub chunk: Option<u32>,
    /// How many matching messages are let through before.
    #[serde(default)]
    pub after: u32,
    /// How often; 0 is always.
    #[serde(default = "once")]
    pub times: u32,
    /// What goes wrong.
    #[serde(rename = "do")]
    pub effect: Effect,
    /// Milliseconds of [`Effect::Delay`].
    #[serde(default)]
    pub delay: u64,
    /// The status of [`Effect::Error`].
    #[serde(default = "internal")]
    pub status: u16,
    /// The code of [`Effect::Error`].
    #[serde(default)]
    pub code: String,
}

fn once() -> u32 {
    1
}

fn internal() -> u16 {
    500
}

/// What a fault befalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Replies to requests.
    #[default]
    Reply,
    /// Pushed results.
    Result,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The message is not sent.
    Drop,
    /// The message is sent twice.
    Duplicate,
    /// The message is sent late.
    Delay,
    /// An error is sent instead; a request is not carried out.
    Error,
    /// The connection is closed instead, with code 1011.
    Close,
    /// The first twelve bytes are sent, which is no frame.
    Truncate,
    /// The message is sent under an id that nobody gave out.
    WrongId,
    /// The message is sent with a status that is none.
    BadStatus,
    /// The message is sent as text.
    Text,
}
