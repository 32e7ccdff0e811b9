//! Single questions: `query`, `vin`, `clear-dtc`, `raw`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use cloverleaf_core::obd2::Command;
use serde_json::{Value, json};

use super::Failed;
use super::connection::{Connection, find};
use crate::car::Item;
use crate::timeline;

/// Ask for values by name, once
#[derive(Debug, clap::Args)]
pub(super) struct Query {
    #[command(flatten)]
    connection: Connection,

    /// Show what each control unit answers, not only the engine's
    #[arg(long)]
    all: bool,

    /// What to ask for: RPM, SPEED, VIN, …
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Query {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let items = self.names.iter().map(|name| find(&car, name)).collect::<Result<Vec<_>, _>>()?;
        let mut failed = None;
        for item in items {
            match car.query(&item).await {
                Ok(reading) if self.all => {
                    for (ecu, value) in reading.by_ecu() {
                        let value = value.map_err(Failed::from);
                        self.print(&item, Some(ecu.to_string()), value.as_ref());
                        failed = failed.or(value.err());
                    }
                }
                reading => {
                    let value = reading.and_then(|reading| reading.clean()).map_err(Failed::from);
                    self.print(&item, None, value.as_ref());
                    failed = failed.or(value.err());
                }
            }
        }
        match failed {
            // It has been printed where it belongs.
            Some(Failed::Connection(_)) => Ok(ExitCode::from(3)),
            Some(_) => Ok(ExitCode::from(4)),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn print(&self, item: &Item, ecu: Option<String>, value: Result<&timeline::Value, &Failed>) {
        let name = item.name();
        if self.connection.json {
            let mut line = match value {
                Ok(value) => flat(value),
                Err(error) => json!({ "error": error.to_string() }),
            };
            line["name"] = name.into();
            if let Some(ecu) = ecu {
                line["ecu"] = ecu.into();
            }
            println!("{line}");
        } else {
            let ecu = ecu.map(|ecu| format!(" {ecu}")).unwrap_or_default();
            match value {
                Ok(value) => println!("{name}{ecu}: {}", human(value)),
                Err(error) => println!("{name}{ecu}: – ({error})"),
            }
        }
    }
}

/// A value as the fields of a JSON object.
pub(super) fn flat(value: &timeline::Value) -> Value {
    match value {
        timeline::Value::Quantity { value, unit } => json!({ "value": value, "unit": unit }),
        value => json!({ "value": value }),
    }
}

/// A value for people.
pub(super) fn human(value: &timeline::Value) -> String {
    match value {
        timeline::Value::Bool(flag) => if *flag { "yes" } else { "no" }.into(),
        timeline::Value::Quantity { value, unit } => {
            let number = format!("{value:.3}");
            let number = number.trim_end_matches('0').trim_end_matches('.');
            format!("{number} {unit}").trim_end().into()
        }
        timeline::Value::Text(text) => text.clone(),
        timeline::Value::Json(json) => words(json),
    }
}

/// JSON as a line of words.
fn words(json: &Value) -> String {
    match json {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "none".into(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => match (fields.get("code"), fields.get("value"), fields.get("unit")) {
            (Some(code), _, _) => words(code),
            (_, Some(value), Some(unit)) => format!("{} {}", words(value), words(unit)).trim_end().into(),
            _ => {
                let field = |(key, value): (&String, &Value)| format!("{key} {}", words(value));
                fields.iter().map(field).collect::<Vec<_>>().join(", ")
            }
        },
        other => other.to_string(),
    }
}

/// Show the vehicle identification number
#[derive(Debug, clap::Args)]
pub(super) struct Vin {
    #[command(flatten)]
    connection: Connection,
}

impl Vin {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let vin = find(&car, "VIN")?;
        let value = car.query(&vin).await.and_then(|reading| reading.clean()).map_err(Failed::from)?;
        if self.connection.json {
            println!("{}", json!({ "vin": value }));
        } else {
            println!("{}", human(&value));
        }
        Ok(ExitCode::SUCCESS)
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
        let clear = Command::of_request(&[0x04]).map(Item::standard);
        let clear = clear.ok_or_else(|| Failed::Usage("there is no command to clear codes".into()))?;
        let reading = car.query(&clear).await.map_err(Failed::from)?;
        reading.value().map_err(Failed::from)?;
        if self.connection.json {
            println!("{}", json!({ "cleared": true }));
        } else {
            println!("cleared");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn confirmed() -> anyhow::Result<bool> {
    eprint!(
        "Clear codes, freeze frame and readiness tests? An inspection may fail until these have run again. [y/N] "
    );
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Send lines to the adapter as they are, and show what it answers
#[derive(Debug, clap::Args)]
pub(super) struct Raw {
    #[command(flatten)]
    connection: Connection,

    /// What to send: ATI, 010C, …
    #[arg(required = true, value_name = "LINE")]
    lines: Vec<String>,
}

impl Raw {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open_adapter().await?;
        for line in &self.lines {
            let answer = car.command(line).await.map_err(Failed::from)?;
            if self.connection.json {
                println!("{}", json!({ "sent": line, "lines": answer }));
            } else {
                println!("{}", answer.join("\n"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
