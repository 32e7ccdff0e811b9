//! `cloverleaf obd monitor`: the frames on the bus.

use std::io::Write;
use std::process::ExitCode;

use cloverleaf_core::elm327::session::Filter;
use serde_json::json;

use super::connection::Connection;
use super::{Failed, interrupted};
use crate::car::j1939::Listener;

/// Show the frames on the bus until interrupted
///
/// With --protocol A (SAE J1939: lorries, buses) also what they say: the common parameters, and trouble codes.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    #[command(flatten)]
    connection: Connection,

    /// Only identifiers like this, X for any digit: 7E8, 7EX, 18DAF1XX
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    filter: Option<Filter>,

    /// Stop after so many frames
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

fn pattern(text: &str) -> Result<Filter, String> {
    if !matches!(text.len(), 3 | 8) {
        return Err("an identifier has three or eight digits".into());
    }
    let (mut pattern, mut mask) = (0, 0);
    for digit in text.chars() {
        let (value, known) = match digit {
            'x' | 'X' => (0, 0),
            digit => (digit.to_digit(16).ok_or("expected hexadecimal digits and X")?, 0xF),
        };
        (pattern, mask) = (pattern << 4 | value, mask << 4 | known);
    }
    Ok(Filter::Pass { pattern, mask })
}

impl Command {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let car = self.connection.open_adapter().await?;
        let mut frames = car.monitor(self.filter.unwrap_or(Filter::All)).map_err(Failed::from)?;
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut listener = self.connection.is_j1939().then(Listener::default);
        while left > 0 {
            let frame = tokio::select! {
                frame = frames.recv() => frame,
                () = interrupted() => break,
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(Failed::from)?;
            let message = listener.as_mut().and_then(|listener| listener.hear(&frame.hex));
            let mut out = std::io::stdout().lock();
            let printed = if self.connection.json {
                let time = frame.time.as_microsecond();
                let mut object = json!({ "time_us": time, "frame": frame.hex, "lost": frame.lost });
                if let Some(message) = message {
                    object["message"] = message.to_json();
                }
                writeln!(out, "{object}")
            } else {
                let lost =
                    if frame.lost > 0 { format!("  ({} lost before)", frame.lost) } else { String::new() };
                let message = message.map(|message| format!("  {message}")).unwrap_or_default();
                writeln!(out, "{:.6} {}{message}{lost}", frame.time, frame.hex)
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
