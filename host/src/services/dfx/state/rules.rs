//! How the local server behaves, and how it misbehaves on request: a TOML file.
//!
//! ```
//! use cloverleaf::services::dfx::state::Rules;
//! let rules = Rules::parse(r#"
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

use cloverleaf_core::dfx::body::code;
use cloverleaf_core::dfx::{Action, ROUTES, Status};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Why a text is not rules.
#[derive(Debug, thiserror::Error)]
pub enum BadRules {
    /// Not TOML, not a key that there is, or a value that it cannot have.
    #[error(transparent)]
    Toml(Box<toml::de::Error>),
    /// Results answer no action.
    #[error("fault {0}: action is for on = \"reply\", not for results")]
    ActionOfResult(usize),
    /// A result that waits cannot come first.
    #[error("results_first needs latency = 0 and no shuffle")]
    ResultsFirst,
}

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
    /// How many results of a measurement are held back and let go in reverse; 0 and 1 keep the order. Fewer are let go
    /// with its last chunk, or after a second.
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

impl Rules {
    /// Reads rules from TOML.
    ///
    /// # Errors
    /// [`BadRules`], which names the key.
    pub fn parse(text: &str) -> Result<Self, BadRules> {
        let rules: Self = toml::from_str(text).map_err(|error| BadRules::Toml(Box::new(error)))?;
        if rules.results_first && (rules.latency > 0 || rules.shuffle > 1) {
            return Err(BadRules::ResultsFirst);
        }
        let wrong = |fault: &Fault| fault.on == On::Result && fault.action.is_some();
        match rules.fault.iter().position(wrong) {
            Some(index) => Err(BadRules::ActionOfResult(index + 1)),
            None => Ok(rules),
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
    /// Only replies to this action: its number, or its name such as `Measurements.Data`.
    #[serde(default, deserialize_with = "action")]
    pub action: Option<Action>,
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
    #[serde(default = "internal", deserialize_with = "status")]
    pub status: Status,
    /// The code of [`Effect::Error`].
    #[serde(default = "internal_code")]
    pub code: String,
}

fn once() -> u32 {
    1
}

fn internal() -> Status {
    Status::INTERNAL_ERROR
}

fn internal_code() -> String {
    code::INTERNAL_ERROR.to_owned()
}

fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Action>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u16),
        Text(String),
    }
    let expected = "action is the number of an action, such as \"0506\", or its name";
    let number = match Written::deserialize(deserializer).map_err(|_| D::Error::custom(expected))? {
        Written::Number(number) => Some(number),
        Written::Text(text) => match ROUTES.iter().find(|route| route.name.eq_ignore_ascii_case(&text)) {
            Some(route) => Some(route.number),
            None => text.parse().ok(),
        },
    };
    number.and_then(Action::new).map(Some).ok_or_else(|| D::Error::custom(expected))
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    let code = u16::deserialize(deserializer)?;
    Status::new(code).ok_or_else(|| D::Error::custom("status is 100 to 999"))
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
