//! The analysis of a chunk. It takes milliseconds and nothing of the state, so that nobody has to wait for it.

use super::Output;
use super::pulse::{LEAST_SNR, Pulse};
use super::signal::Signal;
use crate::services::dfx::events::{Channel, Messages, Outcome, OutcomeError, code};

/// What values are multiplied by to be whole numbers.
const MULTIPLIER: u32 = 1000;

/// The SNR of a result without a pulse.
const NO_SNR: f64 = -100.0;

/// A chunk that is to be analysed: [`run`](Self::run) it, and tell the state ([`Input::Analysed`](super::Input::Analysed)).
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The last seconds of the measurement, the chunk included, and the chunk alone.
    pub(super) window: Signal,
    pub(super) chunk: Signal,
    /// A remark on every channel.
    pub(super) note: Option<String>,
    /// The result without its channels.
    pub(super) outcome: Outcome,
    /// What must not go out before the result.
    pub(super) withheld: Vec<Output>,
}

/// A chunk that has been analysed.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysed {
    pub(super) outcome: Outcome,
    pub(super) withheld: Vec<Output>,
}

impl Analysis {
    /// Looks for the pulse. The longer the signal, the clearer it is; but a chunk that does not continue the one before, as
    /// those of simple clients, is clearer on its own.
    pub fn run(self) -> Analysed {
        let Self { window, chunk, note, mut outcome, withheld } = self;
        let scaled = |value: f64| (value * f64::from(MULTIPLIER)).round() as i32;
        let notes: Vec<String> = note.into_iter().collect();
        let channel = |name: &str, value: f64| {
            let channel = Channel { data: vec![scaled(value)], channel: name.into(), notes: notes.clone() };
            (name.to_owned(), channel)
        };
        let pulses = [window.pulse(), chunk.pulse()].into_iter().flatten();
        let clearest = pulses.max_by(|a, b| a.snr.total_cmp(&b.snr));
        (outcome.channels, outcome.error) = match clearest {
            Some(Pulse { bpm, snr }) if snr >= LEAST_SNR => {
                let ok = OutcomeError { code: code::OK.into(), ..OutcomeError::default() };
                ([channel("HR_BPM", bpm), channel("SNR", snr)].into(), ok)
            }
            _ => {
                let msgs = vec!["no pulse in the samples".to_owned()];
                let errors = [("HR_BPM".to_owned(), Messages { msgs })].into();
                ([channel("SNR", NO_SNR)].into(), OutcomeError { code: code::LIVENESS_ERROR.into(), errors })
            }
        };
        outcome.multiplier = MULTIPLIER;
        Analysed { outcome, withheld }
    }
}
