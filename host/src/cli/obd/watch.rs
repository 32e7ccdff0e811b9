//! `cloverleaf obd watch`: values as they change, a live table in a terminal, lines in a pipe.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::ask::{flat, human};
use super::connection::{Connection, find, must_read};
use super::{Failed, interrupted};
use crate::car::{Item, Reading};

/// Watch values by name until interrupted
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    connection: Connection,

    /// How often to ask for each value, times a second; 0 is as often as its signal set says, or the link can
    #[arg(long, value_name = "HZ", default_value_t = 0.0)]
    rate: f64,

    /// Stop after so many values
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,

    /// What to watch: RPM, SPEED, …
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Command {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let period = match self.rate {
            rate if rate > 0.0 => Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX),
            0.0 => Duration::ZERO,
            _ => return Err(Failed::Usage("a rate is a number from 0 on".into()).into()),
        };
        let car = self.connection.open().await?;
        let items = self.names.iter().map(|name| find(&car, name)).collect::<Result<Vec<_>, _>>()?;
        items.iter().try_for_each(|item| must_read(item.name(), &item.request()))?;
        if let Some(item) = items.iter().find(|item| !car.supports(item)) {
            return Err(Failed::Answer(format!("the car does not support {}", item.name())).into());
        }
        let mut readings = car.readings();
        let watcher = car.watcher();
        watcher.watch(items.iter().map(|item| (item.clone(), period)));
        let mut table =
            (std::io::stdout().is_terminal() && !self.connection.json).then(|| Table::new(&items));
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let reading = tokio::select! {
                reading = readings.recv() => match reading {
                    Ok(reading) => reading,
                    // Printing is too slow: the newest values follow.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => break,
                },
                () = interrupted() => break,
            };
            let printed = match &mut table {
                Some(table) => table.show(&reading),
                None => line(&reading, self.connection.json),
            };
            match printed {
                Ok(()) => left -= 1,
                // Whoever read has had enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(reading: &Reading, json: bool) -> std::io::Result<()> {
    let name = reading.item.name();
    let value = reading.to_timeline();
    let mut out = std::io::stdout().lock();
    if json {
        let mut line = match value {
            Ok(value) => flat(&value),
            Err(error) => json!({ "error": error.to_string() }),
        };
        line["name"] = name.into();
        line["time"] = reading.time.as_millisecond().into();
        return writeln!(out, "{line}");
    }
    match value {
        Ok(value) => writeln!(out, "{:.3} {name} {}", reading.time, human(&value)),
        Err(error) => writeln!(out, "{:.3} {name} – ({error})", reading.time),
    }
}

/// One row per item, rewritten in place.
struct Table {
    rows: Vec<(String, String, u64)>,
    index: HashMap<String, usize>,
    begun: std::time::Instant,
    drawn: Option<std::time::Instant>,
}

impl Table {
    /// Faster is not readable.
    const REDRAW: Duration = Duration::from_millis(80);

    fn new(items: &[Item]) -> Self {
        let rows: Vec<_> = items.iter().map(|item| (item.name().to_owned(), "…".to_owned(), 0)).collect();
        let index = rows.iter().enumerate().map(|(number, (name, ..))| (name.clone(), number)).collect();
        Self { rows, index, begun: std::time::Instant::now(), drawn: None }
    }

    fn show(&mut self, reading: &Reading) -> std::io::Result<()> {
        if let Some(row) = self.index.get(reading.item.name()).and_then(|number| self.rows.get_mut(*number)) {
            row.1 = reading.to_timeline().map_or_else(|error| format!("– ({error})"), |value| human(&value));
            row.2 += 1;
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < Self::REDRAW) {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        if self.drawn.is_some() {
            // Up to the first row again.
            write!(out, "\x1b[{}A", self.rows.len())?;
        }
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        for (name, value, count) in &self.rows {
            writeln!(out, "\x1b[2K{name:<32} {value:<28} {:>7.1}/s", *count as f64 / seconds)?;
        }
        self.drawn = Some(std::time::Instant::now());
        out.flush()
    }
}
