//! The car at a glance: `scan`, `commands`.

use std::process::ExitCode;

use cloverleaf_core::obd2::{Ask, Command as Obd, Decoder};
use serde_json::json;

use super::ask::human;
use super::codes::{codes, listed, object};
use super::connection::{Connection, find, told};
use super::say;
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
        let vin = told(car.query(&vin).await.and_then(|reading| reading.to_timeline()))?;
        let codes = codes(&car).await?;
        let supported: Vec<_> = state.supported.iter().flat_map(|supported| supported.commands()).collect();
        let names: Vec<_> = supported.iter().map(|command| command.name).collect();
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
            say!("{report}")?;
            return Ok(ExitCode::SUCCESS);
        }
        let protocol = state.protocol.map_or("unknown", |protocol| protocol.name());
        let volts = state.millivolts.map(|millivolts| format!("{:.1} V", f64::from(millivolts) / 1_000.0));
        say!("adapter   {} on {}", state.banner, state.port)?;
        say!("voltage   {}", volts.as_deref().unwrap_or("unknown"))?;
        say!("protocol  {protocol}")?;
        say!("VIN       {}", vin.as_ref().map_or_else(|| "unknown".into(), human))?;
        for (kind, codes) in &codes {
            say!("{kind:<9} {}", listed(codes))?;
        }
        say!(
            "commands  {} supported (`cloverleaf obd commands` lists all), among them live values:",
            names.len()
        )?;
        let live = supported.iter().filter(|command| {
            matches!(command.ask, Ask::Pid(0x01, _)) && command.decoder != Decoder::Supported
        });
        for line in wrapped(live.map(|command| command.name)) {
            say!("  {line}")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Words in lines that fit a terminal of 100 columns.
fn wrapped<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= 96 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// List the commands that the car supports, and the signals of the signal sets
#[derive(Debug, clap::Args)]
pub(super) struct Commands {
    #[command(flatten)]
    connection: Connection,

    /// List every name there is, without asking a car
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
                say!("{}", json!(CommandInfo::from(command)))?;
            } else {
                say!("{:<32} {:<6} {}", command.name, command.code(), command.description)?;
            }
        }
        for command in self.connection.signals()?.commands() {
            for signal in &command.signals {
                if self.connection.json {
                    let (name, desc) = (&signal.id, &signal.name);
                    let command = command.request.to_string();
                    say!(
                        "{}",
                        json!({ "name": name, "desc": desc, "command": command, "unit": signal.unit() })
                    )?;
                } else {
                    say!("{:<32} {} {}", signal.id, command.request, signal.name)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
