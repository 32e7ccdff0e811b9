//! Single questions and orders: `query`, `vin`, `raw`, `sleep`.

use std::process::ExitCode;

use cloverleaf_core::obd2;
use serde_json::{Value, json};

use super::connection::{Connection, find, must_read};
use super::uds;
use super::{Failed, say};
use crate::car::signals::{self, Request};
use crate::car::{Car, Item};
use crate::timeline;

/// Ask for values by name, or by request in hexadecimal, once
///
/// A request that no table knows is sent as it is, and its answers are shown in hexadecimal: 22F190 reads a data
/// identifier, 1902FF the trouble codes of UDS. Whom to ask stands in front, as signal sets write it (7E0.22F190,
/// 744.74C.22E003|fc=1), or in --header; without either the request goes to every control unit.
#[derive(Debug, clap::Args)]
pub(super) struct Query {
    #[command(flatten)]
    connection: Connection,

    /// Show what each control unit answers, not only the engine's
    #[arg(long)]
    all: bool,

    /// Whom to ask what is given in hexadecimal: 7E0, 18DA10F1
    #[arg(long, value_name = "HEADER", value_parser = signals::header)]
    header: Option<String>,

    /// What to ask for: RPM, SPEED, VIN, …, or a request in hexadecimal: 0902, 22F190
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// What a name stands for.
enum Asked {
    Item(Item),
    Request(Request),
}

impl Query {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open().await?;
        let asked = self.names.iter().map(|name| Ok((name, self.find(&car, name)?)));
        let asked = asked.collect::<Result<Vec<_>, Failed>>()?;
        let mut failed = None;
        for (name, asked) in asked {
            let failure = match asked {
                Asked::Item(item) => self.ask(&car, &item).await?,
                Asked::Request(request) => uds::ask(&car, name, &request, self.connection.json).await?,
            };
            failed = failed.or(failure);
        }
        match failed {
            // It has been printed where it belongs.
            Some(Failed::Connection(_)) => Ok(ExitCode::from(3)),
            Some(_) => Ok(ExitCode::from(4)),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// A name of the tables or of a signal set, else a request in hexadecimal; it must only read.
    fn find(&self, car: &Car, name: &str) -> Result<Asked, Failed> {
        let unknown = match (&self.header, find(car, name)) {
            (None, Ok(item)) => {
                must_read(name, &item.request())?;
                return Ok(Asked::Item(item));
            }
            (_, Err(unknown)) => unknown,
            (Some(_), Ok(_)) => {
                Failed::Usage(format!("--header is for requests in hexadecimal, not for `{name}`"))
            }
        };
        let Ok(request) = name.parse::<Request>() else { return Err(unknown) };
        must_read(name, &request.data)?;
        let header = request.header.clone().or_else(|| self.header.clone());
        let known = obd2::Command::of_request(&request.data);
        // Service 01 takes several PIDs, and then it is another question.
        let known = known.filter(|command| command.request().as_slice() == request.data.as_slice());
        match known.and_then(|command| car.find(command.name)).filter(|_| header.is_none()) {
            Some(item) => Ok(Asked::Item(item)),
            None => Ok(Asked::Request(Request { header, ..request })),
        }
    }

    /// Asks and prints; what failed has been printed too.
    async fn ask(&self, car: &Car, item: &Item) -> anyhow::Result<Option<Failed>> {
        let mut failed = None;
        match car.query(item).await {
            Ok(reading) if self.all => {
                for (ecu, value) in reading.by_ecu() {
                    let value = value.map_err(Failed::from);
                    self.print(item, Some(ecu.to_string()), value.as_ref())?;
                    failed = failed.or(value.err());
                }
            }
            reading => {
                let value = reading.and_then(|reading| reading.to_timeline()).map_err(Failed::from);
                self.print(item, None, value.as_ref())?;
                failed = value.err();
            }
        }
        Ok(failed)
    }

    fn print(
        &self,
        item: &Item,
        ecu: Option<String>,
        value: Result<&timeline::Value, &Failed>,
    ) -> std::io::Result<()> {
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
            return say!("{line}");
        }
        let ecu = ecu.map(|ecu| format!(" {ecu}")).unwrap_or_default();
        match value {
            Ok(value) => say!("{name}{ecu}: {}", human(value)),
            Err(error) => say!("{name}{ecu}: – ({error})"),
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
        timeline::Value::Written(json) => words(&json!(json)),
    }
}

/// JSON as a line of words.
pub(super) fn words(json: &Value) -> String {
    match json {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "none".into(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => match (fields.get("code"), fields.get("value"), fields.get("unit")) {
            (Some(code), _, _) => words(code),
            (_, Some(value), Some(unit)) if fields.len() == 2 => {
                format!("{} {}", words(value), words(unit)).trim_end().into()
            }
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
        let value = car.query(&vin).await.and_then(|reading| reading.to_timeline()).map_err(Failed::from)?;
        if self.connection.json {
            say!("{}", json!({ "vin": value }))?;
        } else {
            say!("{}", human(&value))?;
        }
        Ok(ExitCode::SUCCESS)
    }
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
                say!("{}", json!({ "sent": line, "lines": answer }))?;
            } else {
                say!("{}", answer.join("\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Put the adapter into low power; the next connection wakes it
#[derive(Debug, clap::Args)]
pub(super) struct Sleep {
    #[command(flatten)]
    connection: Connection,
}

impl Sleep {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open_adapter().await?;
        car.sleep().await.map_err(Failed::from)?;
        if self.connection.json {
            say!("{}", json!({ "asleep": true }))?;
        } else {
            say!("the adapter sleeps")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
