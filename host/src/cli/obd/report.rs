//! What takes several questions: `scan`, `dtc`, `freeze-frame`, `monitors`, `readiness`, `commands`.

use std::process::ExitCode;

use cloverleaf_core::elm327::session::Target;
use cloverleaf_core::obd2::{self, Command as Obd, Decoder, Value as Decoded};
use serde_json::{Map, Value, json};

use super::Failed;
use super::ask::{flat, human};
use super::connection::{Connection, bar, find};
use crate::car::value::clean;
use crate::car::{Car, Item};
use crate::services::obd::CommandInfo;

/// Show everything of interest: adapter, bus, VIN, trouble codes, supported commands
#[derive(Debug, clap::Args)]
pub(super) struct Scan {
    #[command(flatten)]
    connection: Connection,
}

impl Scan {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let state = car.state();
        let vin = find(&car, "VIN")?;
        let vin = car.query(&vin).await.ok().and_then(|reading| reading.clean().ok());
        let codes = codes(&car).await;
        let supported = state.supported.iter().flat_map(|supported| supported.commands());
        let names: Vec<_> = supported.map(|command| command.name).collect();
        if self.connection.json {
            let report = json!({
                "port": state.port,
                "adapter": state.banner,
                "protocol": state.protocol.map(|protocol| protocol.id().to_string()),
                "protocol_name": state.protocol.map(|protocol| protocol.name()),
                "voltage": state.millivolts.map(|millivolts| f64::from(millivolts) / 1_000.0),
                "vin": vin,
                "codes": object(codes),
                "commands": names,
            });
            println!("{report}");
            return Ok(ExitCode::SUCCESS);
        }
        let protocol = state.protocol.map_or("unknown", |protocol| protocol.name());
        let volts = state.millivolts.map(|millivolts| format!("{:.1} V", f64::from(millivolts) / 1_000.0));
        println!("adapter   {} on {}", state.banner, state.port);
        println!("voltage   {}", volts.as_deref().unwrap_or("unknown"));
        println!("protocol  {protocol}");
        println!("VIN       {}", vin.as_ref().map_or_else(|| "unknown".into(), human));
        for (kind, codes) in &codes {
            println!("{kind:<9} {}", listed(codes));
        }
        println!("commands  {} supported:", names.len());
        println!("{}", names.join(" "));
        Ok(ExitCode::SUCCESS)
    }
}

/// Stored, pending and permanent codes; `null` where the car does not tell.
async fn codes(car: &Car) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for (kind, service) in [("stored", 0x03), ("pending", 0x07), ("permanent", 0x0A)] {
        let Some(item) = Obd::of_request(&[service]).map(Item::standard) else { continue };
        let value = match car.query(&item).await {
            Ok(reading) => reading.clean().map_or(Value::Null, |value| json!(value)),
            // Cars before 2010 have no permanent codes.
            Err(_) => Value::Null,
        };
        all.push((kind, value));
    }
    all
}

fn object(codes: Vec<(&'static str, Value)>) -> Value {
    codes.into_iter().map(|(kind, codes)| (kind.to_owned(), codes)).collect()
}

/// Codes as words: `P0133`, `none`, `not told`.
fn listed(codes: &Value) -> String {
    match codes.as_array() {
        None => "not told".into(),
        Some(codes) if codes.is_empty() => "none".into(),
        Some(codes) => {
            let code = |code: &Value| code["code"].as_str().unwrap_or_default().to_owned();
            codes.iter().map(code).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Show the trouble codes: stored, pending and permanent
#[derive(Debug, clap::Args)]
pub(super) struct Codes {
    #[command(flatten)]
    connection: Connection,
}

impl Codes {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let codes = codes(&car).await;
        if self.connection.json {
            println!("{}", object(codes));
            return Ok(ExitCode::SUCCESS);
        }
        for (kind, codes) in codes {
            match codes.as_array() {
                Some(codes) if !codes.is_empty() => {
                    println!("{kind}:");
                    for code in codes {
                        let text = |key: &str| code[key].as_str().unwrap_or_default().to_owned();
                        println!("  {}  {}", text("code"), text("description"));
                    }
                }
                _ => println!("{kind}: {}", listed(&codes)),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Show the values that were kept when a trouble code was stored
#[derive(Debug, clap::Args)]
pub(super) struct FreezeFrame {
    #[command(flatten)]
    connection: Connection,

    /// The number of the frame
    #[arg(long, default_value_t = 0)]
    frame: u8,
}

impl FreezeFrame {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let pids = self.supported(&car).await?;
        let progress = bar(pids.len(), "reading the frame");
        let mut frame = Vec::new();
        for command in pids {
            progress.inc(1);
            let request = command.request_with(self.frame);
            let Ok(reply) = car.request(&request, Target::Functional).await else { continue };
            if let Some(Ok(value)) = obd2::answer(command, reply.messages()).map(|answer| answer.value) {
                frame.push((command, clean(&value)));
            }
        }
        progress.finish_and_clear();
        if self.connection.json {
            let values: Map<_, _> =
                frame.iter().map(|(command, value)| (command.name.to_owned(), flat(value))).collect();
            println!("{}", json!({ "frame": self.frame, "values": values }));
            return Ok(ExitCode::SUCCESS);
        }
        if frame.is_empty() {
            println!("there is no freeze frame {}", self.frame);
        }
        for (command, value) in frame {
            println!("{:<40} {}", command.description.trim_start_matches("DTC "), human(&value));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What the frame holds, by the bit maps of service 02.
    async fn supported(&self, car: &Car) -> anyhow::Result<Vec<&'static Obd>> {
        let mut pids = Vec::new();
        for base in (0..=0xE0).step_by(0x20) {
            if base > 0 && !pids.contains(&base) {
                break;
            }
            let Some(command) = Obd::of(0x02, base) else { break };
            let request = command.request_with(self.frame);
            let Ok(reply) = car.request(&request, Target::Functional).await else { break };
            if let Some(Ok(Decoded::Supported(map))) =
                obd2::answer(command, reply.messages()).map(|answer| answer.value)
            {
                pids.extend(map.identifiers());
            }
        }
        let commands = pids.into_iter().filter_map(|pid| Obd::of(0x02, pid));
        Ok(commands.filter(|command| command.decoder != Decoder::Supported).collect())
    }
}

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
        let supported = state.supported.iter().flat_map(|supported| supported.commands());
        let monitors: Vec<_> = supported.filter(|command| command.decoder == Decoder::Tests).collect();
        if monitors.is_empty() {
            return Err(Failed::Answer("the car tells no results of monitors".into()).into());
        }
        let progress = bar(monitors.len(), "reading the monitors");
        for command in monitors {
            progress.inc(1);
            let Ok(reading) = car.query(&Item::standard(command)).await else { continue };
            for (ecu, value) in reading.by_ecu() {
                let Ok(crate::timeline::Value::Json(Value::Array(tests))) = value else { continue };
                for mut test in tests {
                    if self.connection.json {
                        test["name"] = command.name.into();
                        test["ecu"] = ecu.to_string().into();
                        progress.suspend(|| println!("{test}"));
                        continue;
                    }
                    let number = |key: &str| test[key].as_f64().unwrap_or_default();
                    let verdict = if test["passed"] == true { "passed" } else { "FAILED" };
                    let line = format!(
                        "{ecu} {:<32} test {} {verdict}  {} ({} … {}) {}",
                        command.name,
                        test["tid"].as_str().unwrap_or_default(),
                        number("value"),
                        number("min"),
                        number("max"),
                        test["unit"].as_str().unwrap_or_default(),
                    );
                    progress.suspend(|| println!("{}", line.trim_end()));
                }
            }
        }
        progress.finish_and_clear();
        Ok(ExitCode::SUCCESS)
    }
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
            if let Ok(value) = car.query(&item).await.and_then(|reading| reading.clean()) {
                report.insert(title.into(), json!(value));
            }
        }
        if report.is_empty() {
            return Err(Failed::Answer("the car does not tell its readiness".into()).into());
        }
        if self.connection.json {
            println!("{}", Value::Object(report));
            return Ok(ExitCode::SUCCESS);
        }
        for (title, status) in report {
            let lamp = if status["mil"] == true { "on" } else { "off" };
            println!("{}: lamp {lamp}, {} stored", title.replace('_', " "), status["codes"]);
            for (test, state) in status["tests"].as_object().into_iter().flatten() {
                println!("  {:<34} {}", test, state.as_str().unwrap_or_default());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// List the commands that the car supports
#[derive(Debug, clap::Args)]
pub(super) struct Commands {
    #[command(flatten)]
    connection: Connection,

    /// List every command there is, without asking a car
    #[arg(long)]
    all: bool,
}

impl Commands {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let commands: Vec<_> = if self.all {
            Obd::all().collect()
        } else {
            let state = self.connection.open().await?.state();
            state.supported.iter().flat_map(|supported| supported.commands().collect::<Vec<_>>()).collect()
        };
        for command in commands {
            if self.connection.json {
                println!("{}", json!(CommandInfo::from(command)));
            } else {
                println!("{:<32} {:<6} {}", command.name, command.code(), command.description);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
