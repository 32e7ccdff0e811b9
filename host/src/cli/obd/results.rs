//! What the car found out about itself: `monitors`, `readiness`.

use std::process::ExitCode;

use cloverleaf_core::elm327::session::Target;
use cloverleaf_core::obd2::{self, Command as Obd, Decoder};
use serde_json::{Map, Value, json};

use super::connection::{Connection, bar, find, told};
use super::{Failed, say};
use crate::car::value::to_timeline;
use crate::timeline;

/// Show the results of the on-board monitors (service 06)
#[derive(Debug, clap::Args)]
pub(super) struct Monitors {
    #[command(flatten)]
    connection: Connection,
}

impl Monitors {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let state = car.state();
        // Those without a name, too: makers have their own from E1 on.
        let all = state.supported.iter().flat_map(|supported| supported.of(0x06));
        let command = |mid| Some((mid, Obd::of_request(&[0x06, mid])?));
        let monitors: Vec<_> =
            all.filter_map(command).filter(|(_, command)| command.decoder == Decoder::Tests).collect();
        if monitors.is_empty() {
            return Err(Failed::Answer("the car tells no results of monitors".into()).into());
        }
        if !self.connection.json {
            say!("{}", row(["ECU", "monitor", "test", "", "value", "min", "max", ""]))?;
        }
        let progress = bar(monitors.len(), "reading the monitors");
        for (mid, command) in monitors {
            progress.inc(1);
            let Some(reply) = told(car.request(&[0x06, mid], Target::Functional).await)? else { continue };
            for obd2::Answer { source, value } in obd2::answers(command, reply.messages()) {
                let value = value.map(|value| to_timeline(&value, car.descriptions()));
                let Ok(timeline::Value::Json(Value::Array(tests))) = value else { continue };
                for test in tests {
                    progress.suspend(|| self.print(&name(mid, command), &source.to_string(), test))?;
                }
            }
        }
        progress.finish_and_clear();
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, monitor: &str, ecu: &str, mut test: Value) -> std::io::Result<()> {
        if self.connection.json {
            test["monitor"] = monitor.into();
            test["ecu"] = ecu.into();
            return say!("{test}");
        }
        let text = |key: &str| test[key].as_str().unwrap_or_default();
        // The maker's own tests have numbers only.
        let name = match test["name"].as_str() {
            Some(name) => format!("{} {name}", text("tid")),
            None => text("tid").to_owned(),
        };
        let number = |key: &str| shortened(test[key].as_f64().unwrap_or_default());
        let verdict = if test["passed"] == true { "passed" } else { "FAILED" };
        let monitor = monitor.trim_start_matches("MONITOR_");
        let (value, min, max) = (number("value"), number("min"), number("max"));
        say!("{}", row([ecu, monitor, &name, verdict, &value, &min, &max, text("unit")]))
    }
}

/// The name of a monitor; `MONITOR_E1` for one that has none.
fn name(mid: u8, command: &Obd) -> String {
    if command.pid().is_some() { command.name.to_owned() } else { format!("{}_{mid:02X}", command.name) }
}

/// A row of the table: with the longest names it fits a terminal of 100 columns.
fn row([ecu, monitor, test, verdict, value, min, max, unit]: [&str; 8]) -> String {
    let row = format!("{ecu:<8} {monitor:<20} {test:<24} {verdict:<6} {value:>9} {min:>9} {max:>9} {unit}");
    row.trim_end().to_owned()
}

/// A number without more digits than a person compares.
fn shortened(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Show which self-tests are complete, since the codes were cleared and in this drive
#[derive(Debug, clap::Args)]
pub(super) struct Readiness {
    #[command(flatten)]
    connection: Connection,
}

impl Readiness {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let mut report = Map::new();
        for (title, name) in [("since_cleared", "STATUS"), ("this_drive", "STATUS_DRIVE_CYCLE")] {
            let item = find(&car, name)?;
            if !car.supports(&item) {
                continue;
            }
            if let Some(value) = told(car.query(&item).await.and_then(|reading| reading.to_timeline()))? {
                let mut status = json!(value);
                if let (Some(status), "this_drive") = (status.as_object_mut(), title) {
                    status.remove("mil");
                    status.remove("codes");
                }
                report.insert(title.into(), status);
            }
        }
        if report.is_empty() {
            return Err(Failed::Answer("the car does not tell its readiness".into()).into());
        }
        if self.connection.json {
            say!("{}", Value::Object(report))?;
            return Ok(ExitCode::SUCCESS);
        }
        for (title, status) in report {
            let title = title.replace('_', " ");
            // PID 41 has neither lamp nor count: those bits are reserved.
            if status.get("mil").is_some() {
                let lamp = if status["mil"] == true { "on" } else { "off" };
                say!("{title}: lamp {lamp}, {} stored", status["codes"])?;
            } else {
                say!("{title}:")?;
            }
            for (test, state) in status["tests"].as_object().into_iter().flatten() {
                let test = test.trim_end_matches("_MONITORING").replace('_', " ").to_lowercase();
                say!("  {test:<28} {}", state.as_str().unwrap_or_default())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
