//! A few words with which someone far away can read the car, and nothing else.
//!
//! ```text
//! obd query NAME        the value of a command or signal, as JSON: obd query RPM
//! obd dtc               the stored trouble codes, as JSON
//! obd supports NAME     true or false
//! obd status            what the link reaches
//! help                  this list
//! ```

use serde_json::{Value, json};

use super::{Car, QueryError};

const HELP: &str = "obd query NAME | obd dtc | obd supports NAME | obd status | help";

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// Not one of the words.
    #[error("unknown command; try: {HELP}")]
    Unknown,
    /// No command or signal has this name.
    #[error("unknown name: {0}")]
    Name(String),
    /// It would change something in the car.
    #[error("{0} does not only read")]
    NotReading(String),
    /// The car did not answer.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Carries out one command and returns one line without its end.
///
/// # Errors
/// [`ExecuteError`]
pub async fn execute(car: &Car, text: &str) -> Result<String, ExecuteError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["obd", "query", name] => query(car, name).await.map(|value| value.to_string()),
        ["obd", "dtc"] => query(car, "GET_DTC").await.map(|value| value.to_string()),
        ["obd", "supports", name] => {
            let item = car.find(name).ok_or_else(|| ExecuteError::Name((*name).to_owned()))?;
            Ok(car.supports(&item).to_string())
        }
        ["obd", "status"] => {
            let state = car.state();
            Ok(json!({"link": format!("{:?}", state.link), "trouble": state.trouble}).to_string())
        }
        ["help"] => Ok(HELP.to_owned()),
        _ => Err(ExecuteError::Unknown),
    }
}

async fn query(car: &Car, name: &str) -> Result<Value, ExecuteError> {
    let item = car.find(name).ok_or_else(|| ExecuteError::Name(name.to_owned()))?;
    if !item.only_reads() {
        return Err(ExecuteError::NotReading(name.to_owned()));
    }
    let reading = car.query(&item).await?;
    Ok(serde_json::to_value(reading.to_timeline()?).unwrap_or_default())
}
