//! `cloverleaf dfx measure`: files in, vital signs out.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use cloverleaf_core::dfx::body::code;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::plot::{plot, range};
use crate::cli::Failed;
use crate::config::duration;
use crate::services::dfx::client::{CallError, Connect, Measurement, Pace, Protocol, ResultError};
use crate::services::dfx::events::{Create, Outcome};
use crate::services::dfx::state::Signal;

/// Measure vital signs from recorded data
///
/// A file of numbers (one a line; of several columns the last; a first line of names is skipped) is a signal: it is
/// cut into chunks and its beginning plotted. Any other file is one chunk as it is, such as the payloads of the DFX SDK.
///
/// With --json each result is one object a line. The exit code is 0 when every chunk gave a result.
#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// What to measure (`-` for standard input)
    #[arg(long, short, value_name = "FILE", required = true, num_args = 1..)]
    input: Vec<PathBuf>,

    /// How long a chunk is
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = length)]
    chunk: Duration,

    /// Samples a second in files of numbers: a whole number, to 0.2 %
    #[arg(long, value_name = "HZ", default_value_t = 30.0, value_parser = rate)]
    rate: f64,

    /// The server
    #[arg(
        long,
        env = "CLOVERLEAF_DFX_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:5000/dfx"
    )]
    server: String,

    /// The token of a device or a user
    #[arg(
        long,
        env = "CLOVERLEAF_DFX_KEY",
        value_name = "TOKEN",
        default_value = "local",
        hide_env_values = true
    )]
    key: String,

    /// The study that says what to measure
    #[arg(long, value_name = "ID", default_value = "")]
    study: String,

    /// The subprotocol to offer
    #[arg(long, value_enum, default_value_t = Subprotocol::Json)]
    protocol: Subprotocol,

    /// Send as fast as the server takes it, instead of in real time
    #[arg(long)]
    at_once: bool,

    /// Print one JSON object for each result
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Subprotocol {
    /// JSON bodies
    Json,
    /// Protobuf bodies
    Proto,
    /// No subprotocol: protobuf bodies, as the first clients had them
    None,
}

/// How long to wait for results after the last chunk.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many seconds of a signal are plotted: more, and beats are no longer seen.
const PLOTTED: f64 = 10.0;

/// How often a chunk is sent again after RATE_LIMIT.
const RETRIES: usize = 5;

struct Chunk {
    payload: Bytes,
    length: Duration,
}

/// One line of the results.
#[derive(Debug, Serialize)]
struct Row {
    measurement: String,
    chunk: Option<u32>,
    /// Beats a minute.
    heart_rate: Option<f64>,
    /// dB.
    signal_to_noise: Option<f64>,
    code: String,
}

/// What has come.
#[derive(Debug, Default)]
struct Results {
    rows: Vec<Row>,
    /// How many results came but could not be read.
    lost: u64,
}

impl Results {
    /// Whether no more will come of so many chunks.
    fn is_complete(&self, chunks: usize) -> bool {
        self.rows.len() as u64 + self.lost >= chunks as u64
    }
}

impl From<Outcome> for Row {
    fn from(outcome: Outcome) -> Self {
        Self {
            chunk: outcome.chunk(),
            heart_rate: outcome.values("HR_BPM").last(),
            signal_to_noise: outcome.values("SNR").last(),
            measurement: outcome.measurement_id,
            code: outcome.error.code,
        }
    }
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (mut chunks, mut plots) = (Vec::new(), Vec::new());
        for path in &self.input {
            chunks.extend(self.chunks(path, &mut plots)?);
        }
        ensure!(!chunks.is_empty(), "there is nothing in the input to measure");
        crate::cli::block_on(self.measure(chunks, &plots))
    }

    /// The chunks of one file, and if it is a signal how it looks.
    fn chunks(&self, path: &Path, plots: &mut Vec<String>) -> anyhow::Result<Vec<Chunk>> {
        let mut bytes = Vec::new();
        let read = if path.as_os_str() == "-" {
            io::stdin().lock().read_to_end(&mut bytes)
        } else {
            File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
        };
        read.with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(!bytes.is_empty(), "{} is empty", path.display());
        let Some(samples) = std::str::from_utf8(&bytes).ok().and_then(numbers) else {
            return Ok(vec![Chunk { payload: bytes.into(), length: self.chunk }]);
        };
        let (lowest, highest) = range(&samples);
        let seconds = samples.len() as f64 / self.rate;
        let some = samples.get(..(PLOTTED * self.rate) as usize);
        let which = if some.is_some() { format!(" (plotted: the first {PLOTTED} s)") } else { String::new() };
        plots.push(format!("{} · {seconds:.1} s{which} · {lowest} to {highest}", path.display()));
        plots.extend(plot(some.unwrap_or(&samples), 78, 8));
        let count = ((self.chunk.as_secs_f64() * self.rate) as usize).max(1);
        let cut = samples.chunks(count).map(|samples| {
            let signal = Signal { rate: self.rate, samples: samples.to_vec() };
            Chunk { payload: signal.to_payload().into(), length: Duration::from_secs_f64(signal.seconds()) }
        });
        Ok(cut.collect())
    }

    async fn measure(&self, chunks: Vec<Chunk>, plots: &[String]) -> anyhow::Result<ExitCode> {
        let protocol = match self.protocol {
            Subprotocol::Json => Protocol::Json,
            Subprotocol::Proto => Protocol::Proto,
            Subprotocol::None => Protocol::Unnamed,
        };
        let connect = Connect { protocol, ..Connect::new(&self.server, &self.key) };
        let client = connect
            .connect()
            .await
            .map_err(|error| Failed::connection(anyhow::Error::from(error).context(self.server.clone())))?;
        let create = Create { study_id: self.study.clone(), ..Create::default() };
        let mut measurement = Measurement::start(client, create, Pace::AtOnce).await?;
        if !self.json {
            let mut out = io::stdout().lock();
            plots.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        let progress = if self.json { ProgressBar::hidden() } else { ProgressBar::new(chunks.len() as u64) };
        progress.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} chunks  {msg}")?);
        let mut results = Results::default();
        let measured = self.add_all(&mut measurement, &chunks, &progress, &mut results).await;
        let rows = results.rows;
        progress.finish_and_clear();
        // What came before an error is not lost.
        if !self.json && !rows.is_empty() {
            table(&rows, &mut io::stdout().lock())?;
        }
        measured?;
        Ok(if rows.len() < chunks.len() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    async fn add_all(
        &self,
        measurement: &mut Measurement,
        chunks: &[Chunk],
        progress: &ProgressBar,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        for (index, chunk) in chunks.iter().enumerate() {
            if let Some(due) = measurement.due(chunk.length).filter(|_| !self.at_once) {
                self.results_until(measurement, due, progress, results).await?;
            }
            add(measurement, chunk, index + 1 == chunks.len(), progress).await?;
            progress.inc(1);
        }
        while !results.is_complete(chunks.len()) {
            match timeout(TIMEOUT, measurement.next()).await {
                Ok(Some(result)) => self.result(result, progress, results)?,
                Ok(None) => break,
                Err(_) => {
                    let (came, all) = (results.rows.len(), chunks.len());
                    bail!("{came} of {all} results came; no more within {TIMEOUT:?}")
                }
            }
        }
        Ok(())
    }

    async fn results_until(
        &self,
        measurement: &mut Measurement,
        due: Instant,
        progress: &ProgressBar,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = sleep_until(due) => return Ok(()),
                result = measurement.next() => match result {
                    Some(result) => self.result(result, progress, results)?,
                    None => bail!("the server ended the measurement"),
                },
            }
        }
    }

    fn result(
        &self,
        result: Result<Outcome, ResultError>,
        progress: &ProgressBar,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let row = match result {
            Ok(outcome) => Row::from(outcome),
            Err(error @ (ResultError::Ended(_) | ResultError::Closed(_))) => return Err(error.into()),
            // The others go on.
            Err(error) => {
                eprintln!("{error}");
                results.lost += if let ResultError::Missed(count) = error { count } else { 1 };
                return Ok(());
            }
        };
        if self.json {
            writeln!(io::stdout(), "{}", serde_json::to_string(&row)?)?;
        }
        progress.set_message(row.heart_rate.map_or_else(|| row.code.clone(), |bpm| format!("{bpm:.0} bpm")));
        results.rows.push(row);
        Ok(())
    }
}

async fn add(
    measurement: &mut Measurement,
    chunk: &Chunk,
    last: bool,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    for _ in 0..RETRIES {
        match measurement.add(chunk.payload.clone(), chunk.length, last).await {
            Err(CallError::RateLimited { retry_after, .. }) => {
                progress.set_message(format!("rate limit: waiting {retry_after:.1?}"));
                sleep(retry_after).await;
            }
            added => return Ok(added.map(drop)?),
        }
    }
    bail!("the server keeps saying {}", code::RATE_LIMIT)
}

fn table(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let number =
        |value: Option<f64>, unit: &str| value.map_or("–".into(), |value| format!("{value:.1} {unit}"));
    writeln!(out, "{:>5}  {:>10}  {:>9}  code", "chunk", "heart rate", "SNR")?;
    for Row { chunk, heart_rate, signal_to_noise, code, .. } in rows {
        let chunk = chunk.map_or_else(|| "?".into(), |chunk| chunk.to_string());
        let (rate, snr) = (number(*heart_rate, "bpm"), number(*signal_to_noise, "dB"));
        writeln!(out, "{chunk:>5}  {rate:>10}  {snr:>9}  {code}")?;
    }
    Ok(())
}

/// The last number of each line; `None` when the text is something else.
fn numbers(text: &str) -> Option<Vec<f64>> {
    let last =
        |line: &str| line.split([',', ';', '\t', ' ']).rfind(|word| !word.is_empty())?.trim().parse().ok();
    let mut samples = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match last(line).filter(|sample: &f64| sample.is_finite()) {
            Some(sample) => samples.push(sample),
            None if index == 0 => {}
            None => return None,
        }
    }
    (!samples.is_empty()).then_some(samples)
}

/// `5s`, `2.5s`, `500ms` or seconds.
fn length(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(120);
    if allowed.contains(&length) { Ok(length) } else { Err("a chunk has 0.1 to 120 seconds".into()) }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if !(1.0..=1000.0).contains(&rate) => Err("expected 1 to 1000".into()),
        // Payloads hold whole rates: of another, all heart rates would be wrong by as much as it is off.
        Ok(rate) if (rate - rate.round()).abs() > 0.002 * rate => {
            Err("expected a whole number of samples a second, to 0.2 % (29.97 is taken for 30)".into())
        }
        Ok(rate) => Ok(rate),
        Err(_) => Err("expected 1 to 1000".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_numbers_are_told_from_others() {
        assert_eq!(numbers("1\n2.5\n-3e1\n"), Some(vec![1.0, 2.5, -30.0]));
        assert_eq!(numbers("time,value\n0.0,7\n0.1,8\n"), Some(vec![7.0, 8.0]));
        assert_eq!(numbers("a text\nof words\n"), None);
        assert_eq!(numbers("1\nNaN\n"), None);
        assert_eq!(numbers(""), None);
    }

    #[test]
    fn rates_are_whole_numbers_or_nearly() {
        for good in ["1", "12", "29.97", "30", "1000", "499.5"] {
            assert_eq!(rate(good), Ok(good.parse().unwrap()));
        }
        for bad in ["", "0", "0.999", "1001", "NaN", "inf", "12.5", "29.9", "1.1"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lengths_have_units_and_bounds() {
        assert_eq!(length("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(length("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(length("2.5"), Ok(Duration::from_millis(2500)));
        for bad in ["", "s", "-1s", "0", "1e9s", "NaN"] {
            assert!(length(bad).is_err(), "{bad}");
        }
    }
}
