//! What all commands share: reaching the car, showing that it takes time, and finding names.

use std::process::ExitCode;
use std::time::Duration;

use cloverleaf_core::bus::Protocol;
use cloverleaf_core::elm327::session::{Failure, Link};
use cloverleaf_core::elm327::wire::Status;
use cloverleaf_core::obd2::Command as Obd;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Failed, say};
use crate::car::signals::Signals;
use crate::car::{Car, Item, QueryError, only_reads};
use crate::config::duration;
use crate::services::obd::CarOptions;
use crate::timeline::Bus;
use crate::transport::serial;

/// How to reach the car, and how to print what it says.
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
    #[command(flatten)]
    car: CarOptions,

    /// Give up when no car is connected after this time
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    timeout: Duration,

    /// Print JSON, one object or value per line
    #[arg(long)]
    pub(super) json: bool,
}

impl Connection {
    /// The signal sets that are given.
    pub(super) fn signals(&self) -> anyhow::Result<Signals> {
        Ok(self.car.knowledge.signals()?)
    }

    /// Connects to the car and learns what it supports.
    pub(super) async fn open(&self) -> anyhow::Result<Car> {
        self.reach(true).await
    }

    /// Whether the bus is one of SAE J1939, where all that can be done is listening.
    pub(super) fn is_j1939(&self) -> bool {
        self.car.protocol == Some(Protocol::J1939)
    }

    /// Connects at least to the adapter, whether or not there is a car.
    pub(super) async fn open_adapter(&self) -> anyhow::Result<Car> {
        self.reach(false).await
    }

    async fn reach(&self, car_needed: bool) -> anyhow::Result<Car> {
        let car = Car::connect(self.car.resolve()?, Bus::new());
        let mut states = car.states();
        let progress = spinner(format!("connecting to {}", car.adapter()));
        let reached = async {
            loop {
                {
                    let state = states.borrow_and_update();
                    match (&state.trouble, state.link) {
                        // No adapter: waiting does not help.
                        (Some(trouble), Link::NotConnected) => return Err(trouble.clone()),
                        (None, Link::NotConnected) => {}
                        _ if state.supported.is_some() => return Ok(()),
                        (Some(_), _) if !car_needed => return Ok(()),
                        (Some(trouble), link) => {
                            progress.set_message(format!("{}: {trouble}; trying again", link.as_str()));
                        }
                        (None, link) => progress.set_message(link.as_str()),
                    }
                }
                if states.changed().await.is_err() {
                    return Err("the link ended".into());
                }
            }
        };
        let reached = tokio::time::timeout(self.timeout, reached).await;
        progress.finish_and_clear();
        match reached {
            Ok(Ok(())) => Ok(car),
            Ok(Err(trouble)) => Err(Failed::Connection(trouble).into()),
            Err(_) => {
                let state = car.state();
                let trouble = state.trouble.unwrap_or_else(|| "no answer".into());
                Err(Failed::Connection(format!("{}: {trouble}", state.link.as_str())).into())
            }
        }
    }
}

/// What a name stands for, or a failure that suggests one like it.
pub(super) fn find(car: &Car, name: &str) -> Result<Item, Failed> {
    let upper = name.to_ascii_uppercase();
    car.find(name).or_else(|| car.find(&upper)).ok_or_else(|| {
        let known = Obd::all().map(|command| command.name);
        let own = car.signals().into_iter().flat_map(Signals::commands).flat_map(|command| &command.signals);
        let names = known.chain(own.map(|signal| signal.id.as_str()));
        let likeness = |known: &str| strsim::jaro_winkler(known, &upper);
        let alike = names.map(|known| (likeness(known), known)).max_by(|(a, _), (b, _)| a.total_cmp(b));
        let alike = alike.filter(|(likeness, _)| *likeness > 0.85);
        let hint = alike.map(|(_, known)| format!(", did you mean {known}?")).unwrap_or_default();
        Failed::Usage(format!("`{name}` is unknown{hint}; `cloverleaf obd commands --all` lists every name"))
    })
}

/// Refuses what clears, controls or writes where values are asked for.
pub(super) fn must_read(name: &str, request: &[u8]) -> Result<(), Failed> {
    if only_reads(request) {
        return Ok(());
    }
    Err(Failed::Usage(format!(
        "`{name}` does not only read; `cloverleaf obd clear-dtc` clears codes, `cloverleaf obd raw` sends anything"
    )))
}

/// What the car tells; `None` where it tells nothing of the kind, or declines.
///
/// # Errors
/// Where it is not the car that says so: the connection is lost, the adapter or the bus is at fault.
pub(super) fn told<T>(answered: Result<T, QueryError>) -> Result<Option<T>, Failed> {
    match answered {
        Ok(value) => Ok(Some(value)),
        Err(QueryError::Decode(_) | QueryError::Failed(Failure::Adapter(Status::NoData))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<QueryError> for Failed {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotConnected(_) => Self::Connection(error.to_string()),
            error => Self::Answer(error.to_string()),
        }
    }
}

/// Something that turns while work takes long; on a terminal only.
pub(super) fn spinner(message: String) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let progress = ProgressBar::new_spinner().with_style(style).with_message(message);
    progress.enable_steady_tick(Duration::from_millis(120));
    progress
}

/// Work of known length; on a terminal only.
pub(super) fn bar(length: usize, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_style(style).with_message(message)
}

/// List the serial ports that may have an adapter
#[derive(Debug, clap::Args)]
pub(super) struct Ports {
    /// Print JSON, one object per line
    #[arg(long)]
    json: bool,
}

impl Ports {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let ports = serial::ports();
        if ports.is_empty() {
            return Err(Failed::Connection("there is no serial port".into()).into());
        }
        for path in ports {
            let problem = serial::open_briefly(&path).err().map(|error| error.to_string());
            if self.json {
                say!("{}", json!({ "port": path, "free": problem.is_none(), "error": problem }))?;
            } else {
                say!("{}", problem.unwrap_or_else(|| path.display().to_string()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
