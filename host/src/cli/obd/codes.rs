//! Trouble codes and what belongs to them: `dtc`, `clear-dtc`, `freeze-frame`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use cloverleaf_core::elm327::session::Target;
use cloverleaf_core::obd2::{self, Command as Obd, Decoder, Value as Decoded};
use serde_json::{Map, Value, json};

use super::ask::{flat, human};
use super::connection::{Connection, bar, find, told};
use super::{Failed, say};
use crate::car::Car;
use crate::car::value::to_timeline;

/// Show the trouble codes: stored, pending and permanent
#[derive(Debug, clap::Args)]
pub(super) struct Codes {
    #[command(flatten)]
    connection: Connection,
}

impl Codes {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let codes = codes(&car).await?;
        if self.connection.json {
            say!("{}", object(codes))?;
            return Ok(ExitCode::SUCCESS);
        }
        for (kind, codes) in codes {
            match codes.as_array() {
                Some(codes) if !codes.is_empty() => {
                    say!("{kind}:")?;
                    for code in codes {
                        let text = |key: &str| code[key].as_str().unwrap_or_default().to_owned();
                        say!("  {}  {}", text("code"), text("description"))?;
                    }
                }
                _ => say!("{kind}: {}", listed(&codes))?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Stored, pending and permanent codes; `null` where the car does not tell: those before 2010 have no permanent ones.
pub(super) async fn codes(car: &Car) -> Result<Vec<(&'static str, Value)>, Failed> {
    let mut all = Vec::new();
    for (kind, name) in
        [("stored", "GET_DTC"), ("pending", "GET_CURRENT_DTC"), ("permanent", "GET_PERMANENT_DTC")]
    {
        let Some(item) = car.find(name) else { continue };
        let value = told(car.query(&item).await.and_then(|reading| reading.to_timeline()))?;
        all.push((kind, json!(value)));
    }
    Ok(all)
}

pub(super) fn object(codes: Vec<(&'static str, Value)>) -> Value {
    codes.into_iter().map(|(kind, codes)| (kind.to_owned(), codes)).collect()
}

/// Codes as words: `P0133`, `none`, `not told`.
pub(super) fn listed(codes: &Value) -> String {
    match codes.as_array() {
        None => "not told".into(),
        Some(codes) if codes.is_empty() => "none".into(),
        Some(codes) => {
            let code = |code: &Value| code["code"].as_str().unwrap_or_default().to_owned();
            codes.iter().map(code).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Clear the stored trouble codes, the freeze frame and the readiness tests
#[derive(Debug, clap::Args)]
pub(super) struct ClearCodes {
    #[command(flatten)]
    connection: Connection,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl ClearCodes {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        if !self.yes && !std::io::stdin().is_terminal() {
            let text = "clearing cannot be undone; say --yes where nobody can be asked";
            return Err(Failed::Usage(text.into()).into());
        }
        let car = self.connection.open().await?;
        if !self.yes && !confirmed()? {
            eprintln!("nothing was cleared");
            return Ok(ExitCode::FAILURE);
        }
        let clear = find(&car, "CLEAR_DTC")?;
        let reading = car.query(&clear).await.map_err(Failed::from)?;
        reading.value().map_err(Failed::from)?;
        if self.connection.json {
            say!("{}", json!({ "cleared": true }))?;
        } else {
            say!("cleared")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn confirmed() -> anyhow::Result<bool> {
    eprintln!("An inspection may fail until the readiness tests have run again.");
    eprint!("Clear codes, freeze frame and readiness tests? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
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
            let Some(reply) = told(car.request(&request, Target::Functional).await)? else { continue };
            if let Some(Ok(value)) = obd2::answer(command, reply.messages()).map(|answer| answer.value) {
                frame.push((command, to_timeline(&value, car.descriptions())));
            }
        }
        progress.finish_and_clear();
        if frame.is_empty() {
            return Err(Failed::Answer(format!("there is no freeze frame {}", self.frame)).into());
        }
        if self.connection.json {
            let values: Map<_, _> =
                frame.iter().map(|(command, value)| (command.name.to_owned(), flat(value))).collect();
            say!("{}", json!({ "frame": self.frame, "values": values }))?;
            return Ok(ExitCode::SUCCESS);
        }
        for (command, value) in frame {
            let description = command.description.strip_prefix("DTC ").unwrap_or(command.description);
            say!("{description:<40} {}", human(&value))?;
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
            let Some(reply) = told(car.request(&request, Target::Functional).await)? else { break };
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
