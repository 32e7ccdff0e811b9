//! The car over Socket.IO: the events of obd-socketio 0.3.4, on the namespaces `/` and `/obd`.
//!
//! A client asks (`query`, `status`, `supports`, …) and is answered by an event of the same name; it watches
//! (`watch`, `unwatch`, `start`, `stop`) and every value is pushed to it as `watching`. What one client watches is
//! its own business and ends with its connection.
//!
//! A key is presented as the relay's: `{"token": …}` in the connection's auth payload, or `?token=…` in its query string.
//!
//! | | obd-socketio | here |
//! |---|---|---|
//! | `watch` | fails unless the program sets a callback | works; values are pushed as `watching`, the name that onboardpi chose |
//! | `watch` with an unknown name | stops the polling of everyone | that name is left out |
//! | `watch` with a single name | taken letter by letter | that name |
//! | `watch` with rates | – | `[{"name":"RPM","rate":10}]`, times a second |
//! | watches | one set for all clients, kept after disconnects | each client's own, dropped with it |
//! | `query` of something unwatched | `null` | the car is asked once |
//! | `supports`, `query`, `has_name` of an unknown name, or of something that is no name | no answer | `false`, `null`, `false` |
//! | `stop` without argument | fails | works, as with one; `start` and `stop` are the client's own |
//! | `watch`, `query` of something that does not only read (`CLEAR_DTC`) | done, `watch` again and again | left out, `null` |
//! | who may use the car | everyone | everyone on this machine; elsewhere those with `--obd-key`, or nobody until there is one or `--obd-open`. Others are answered `error` with `{"event":…,"message":"Invalid token"}` |
//! | any event before the car is connected | no answer | the answer that fits: `Not Connected`, `false`, `""`, `[]`, `null` |
//! | `status` | never changes by itself | follows what happens on the link |
//! | monitors (`MONITOR_…`) | hang the server for ever | an array of tests, with `unit` and `passed` besides the six keys |
//! | values that python-OBD decodes wrongly | VIN cut off, refusals read as values, … | right |
//! | codes | hexadecimal letters in lower case, descriptions from a table | upper case, described from their structure |
//! | `close` | closes for all and tells all (`obd_closed`) | the same; `start` connects again |
//! | polling | at most four rounds a second | as fast as the link can |
//! | onboardpi's `clear_dtc` | acknowledged with `null` | acknowledged with whether it worked, and the event says so too |
//! | onboardpi's `connect_obd` | opens whatever port the client names | the adapter is the program's: another name is answered `false` |
//! | onboardpi's `start_emulator` | ELM327-emulator on a pty | the simulated car on a TCP port of this machine, `socket://…` |
//! | onboardpi's `kill`, `set_logger_level`, injectors | end the program, set its log, feed OpenAuto | acknowledged, nothing more; `injector_state` is `{}` |
//! | a client that does not read | blocks or grows | of each signal only the newest value waits; unread answers end the connection |

pub mod events;
pub mod handlers;
pub mod state;

use std::path::PathBuf;
use std::time::Duration;

use cloverleaf_core::bus::Protocol;

pub use events::CommandInfo;
pub use handlers::{Client, Obd};

use super::Context;
use crate::auth::{Guard, Key};
use crate::car::descriptions::{self, Descriptions};
use crate::car::signals::{LoadError, Signals};
use crate::car::{self, Car};
use crate::transport::Adapter;

/// How the car is reached.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Car (OBD-II)")]
#[group(skip)]
pub struct CarOptions {
    /// The adapter: `sim` (a simulated car), `auto`, a serial port (/dev/ttyUSB0) or tcp://HOST:PORT
    #[arg(long, env = "CLOVERLEAF_ADAPTER", value_name = "ADAPTER", default_value = "sim")]
    pub adapter: Adapter,

    /// The serial port's rate, bits per second; found out when not given
    #[arg(long, env = "CLOVERLEAF_BAUD", value_name = "RATE")]
    pub baud: Option<u32>,

    /// Change the adapter to this serial rate once it is connected: 115200, 230400, 500000, 1000000, 2000000
    #[arg(long, env = "CLOVERLEAF_ADAPTER_BAUD", value_name = "RATE")]
    pub adapter_baud: Option<u32>,

    /// The car's bus as the ELM327 numbers them (1 to 9, A); found out when not given
    #[arg(long, env = "CLOVERLEAF_PROTOCOL", value_name = "NUMBER")]
    pub protocol: Option<Protocol>,

    /// What is known of the car.
    #[command(flatten)]
    pub knowledge: Knowledge,
}

/// What is known of a car beyond the standard.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Knowledge {
    /// A signal set in OBDb's v3 format, with further commands of the car. Repeatable (in the variable, commas stand
    /// between files); where two know the same, the later wins
    #[arg(long, env = "CLOVERLEAF_SIGNALS", value_name = "FILE", value_delimiter = ',')]
    pub signals: Vec<PathBuf>,

    /// A file with your own words for trouble codes: CSV (P0301,text) or JSON
    #[arg(long, env = "CLOVERLEAF_DTC_TABLE", value_name = "FILE")]
    pub dtc_table: Option<PathBuf>,

    /// The car's model year, to choose among signals
    #[arg(long, env = "CLOVERLEAF_YEAR", value_name = "YEAR")]
    pub year: Option<u16>,
}

impl Knowledge {
    /// Reads the signal sets.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn signals(&self) -> Result<Signals, LoadError> {
        Signals::load(&self.signals)
    }

    /// Reads the words for trouble codes; without a table, they follow from the codes.
    ///
    /// # Errors
    /// [`descriptions::LoadError`]
    pub fn descriptions(&self) -> Result<Descriptions, descriptions::LoadError> {
        self.dtc_table.as_deref().map_or_else(|| Ok(Descriptions::default()), Descriptions::load)
    }
}

/// Why the car cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A signal set is not readable.
    #[error(transparent)]
    Signals(#[from] LoadError),
    /// A table of trouble codes is not readable.
    #[error(transparent)]
    Descriptions(#[from] descriptions::LoadError),
}

impl CarOptions {
    /// What these options say about the car.
    ///
    /// # Errors
    /// When a signal set or a table of trouble codes cannot be read.
    pub fn resolve(&self) -> Result<car::Options, BuildError> {
        // Read once, and needed for as long as the program runs.
        let signals = &*Box::leak(Box::new(self.knowledge.signals()?));
        let descriptions = &*Box::leak(Box::new(self.knowledge.descriptions()?));
        Ok(car::Options {
            adapter: self.adapter.clone().with_baud(self.baud).with_protocol(self.protocol),
            adapter_baud: self.adapter_baud,
            protocol: self.protocol,
            signals: Some(signals),
            year: self.knowledge.year,
            descriptions: Some(descriptions),
        })
    }
}

/// How the service behaves.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Car (OBD-II)")]
#[group(skip)]
pub struct Options {
    /// The car.
    #[command(flatten)]
    pub car: CarOptions,

    /// Watch no value more often than this, times a second; 0 is as often as its signal set says, or the link can
    #[arg(long, env = "CLOVERLEAF_OBD_WATCH_RATE", value_name = "HZ", default_value_t = 0.0, value_parser = rate)]
    pub obd_watch_rate: f64,

    /// What clients of the car must present
    #[arg(long, env = "CLOVERLEAF_OBD_KEY", value_name = "KEY", hide_env_values = true)]
    pub obd_key: Option<Key>,

    /// Let everyone in the network use the car without a key
    #[arg(long, env = "CLOVERLEAF_OBD_OPEN")]
    pub obd_open: bool,

    /// Answer the further events of onboardpi's server too
    #[arg(long, env = "CLOVERLEAF_OBD_ONBOARDPI")]
    pub obd_onboardpi: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number from 0 to 10000".into()),
    }
}

impl Obd {
    /// Starts to connect to the car and is ready to serve it.
    ///
    /// # Errors
    /// When an option cannot be honoured.
    pub fn new(options: &Options, context: &Context) -> Result<Self, BuildError> {
        let car = Car::connect(options.car.resolve()?, context.timeline.clone());
        let period = match options.obd_watch_rate {
            0.0 => Duration::ZERO,
            rate => Duration::from_secs_f64(1.0 / rate),
        };
        let guard = Guard::new(options.obd_key.clone(), options.obd_open, context.exposure);
        Ok(Self::start(car, guard, period, options.obd_onboardpi))
    }

    /// What is served and where, for people.
    pub fn summary(&self) -> String {
        let served = format!("car      {} · Socket.IO on / and /obd", self.car().adapter());
        self.guard().summary("obd", &served)
    }
}
