//! What `serve` can be told: one struct, filled from flags and their environment twins `CLOVERLEAF_…`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Resettable;
use jiff::SignedDuration;

use crate::dashboard;
use crate::services::{dfx, hub, obd, octane, relay};

/// The options of a server; every service adds its own below (`#[group(skip)]`: clap names groups by type, and every
/// service calls its type `Options`).
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Where to listen; port 0 picks a free one
    #[arg(long, env = "CLOVERLEAF_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,

    /// Also let in web pages from this origin, `null` those that are files, `*` all (repeatable, or with commas between)
    #[arg(long, env = "CLOVERLEAF_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<String>,

    /// Also serve the files of this folder, where no service has the path
    #[arg(long = "static", env = "CLOVERLEAF_STATIC", value_name = "FOLDER")]
    pub static_files: Option<PathBuf>,

    /// The page at `/`.
    #[command(flatten)]
    pub dashboard: dashboard::Options,

    /// The car.
    #[command(flatten)]
    pub obd: obd::Options,

    /// Vital signs.
    #[command(flatten)]
    pub dfx: dfx::Options,

    /// Chat rooms.
    #[command(flatten)]
    pub hub: hub::Options,

    /// Users, monitors and their commands.
    #[command(flatten)]
    pub relay: relay::Options,

    /// The road.
    #[command(flatten)]
    pub octane: octane::Options,
}

impl Default for Options {
    fn default() -> Self {
        defaults()
    }
}

/// What options are without flags, whatever the environment says: for `Default`.
pub(crate) fn defaults<T: clap::Args>() -> T {
    let command = T::augment_args(clap::Command::new("defaults")).mut_args(|arg| arg.env(Resettable::Reset));
    let matches = command.try_get_matches_from(["defaults"]);
    matches.and_then(|matches| T::from_arg_matches(&matches)).expect("every option has a default")
}

/// The longest time on the command line: beyond centuries, moments cannot be counted any more.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A time on the command line: `500ms`, `5s`, `1m 30s`, `2h`; a bare number is seconds. 100 years at most.
///
/// # Errors
/// What was expected.
///
/// ```
/// use std::time::Duration;
/// use cloverleaf::config::duration;
/// assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
/// assert_eq!(duration("2.5"), Ok(Duration::from_millis(2500)));
/// assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
/// for bad in ["", "soon", "-1", "nan", "1e30", "1e19"] {
///     assert!(duration(bad).is_err(), "{bad}");
/// }
/// ```
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text.parse::<SignedDuration>().ok().and_then(|duration| duration.try_into().ok()),
    };
    duration.filter(|duration| *duration <= LONGEST).ok_or_else(|| {
        "expected a time such as 500ms, 5s or 1m 30s, 100 years at most; a bare number is seconds".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_a_twin_in_the_environment_and_begins_with_its_service() {
        use clap::Args;
        // What `cloverleaf obd` takes, too.
        let car = ["adapter", "baud", "adapter-baud", "protocol", "signals", "dtc-table", "year"];
        let command = Options::augment_args(clap::Command::new("serve"));
        for arg in command.get_arguments() {
            let flag = arg.get_long().expect("a long flag");
            let twin = format!("CLOVERLEAF_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(&*twin), "--{flag}");
            let service = match arg.get_help_heading() {
                None => continue,
                Some("Car (OBD-II)") if car.contains(&flag) => continue,
                Some("Car (OBD-II)") => "obd-",
                Some("Road (OCTANE)") => "octane-",
                Some("Device (relay)") => "relay-",
                Some("Crew (chat rooms)") => "hub-",
                Some("Driver (DFX)") => "dfx-",
                Some("Dashboard") => "dashboard-",
                Some(other) => panic!("--{flag} below {other}"),
            };
            assert!(flag.starts_with(service), "--{flag} does not begin with --{service}");
        }
    }

    /// The environment of a process cannot be changed safely, so the test runs once more in another.
    #[test]
    fn defaults_do_not_depend_on_the_environment() {
        let defaults = Options::default();
        assert_eq!(defaults.listen.port(), 5000);
        assert_eq!(defaults.hub.hub_rate, hub::Options::default().hub_rate);
        if std::env::var_os("CLOVERLEAF_LISTEN").is_none() {
            let name = "config::tests::defaults_do_not_depend_on_the_environment";
            let again = std::process::Command::new(std::env::current_exe().expect("a test"))
                .args(["--exact", name])
                .envs([("CLOVERLEAF_LISTEN", "nowhere"), ("CLOVERLEAF_HUB_RATE", "7")])
                .output()
                .expect("this test");
            let output = String::from_utf8_lossy(&again.stdout);
            assert!(again.status.success() && output.contains("1 passed"), "{output}");
        }
    }
}
