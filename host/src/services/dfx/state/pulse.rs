//! The signal path of the local server: the heart rate that is in the samples, and how sure it is.
//!
//! The samples are freed of their trend, windowed (Hann), and searched for the strongest frequency between 42 and
//! 240 beats a minute. The signal-to-noise ratio sets the power at that frequency and its first harmonic against the
//! rest of the band. Without a clear peak there is no heart rate: noise is not a pulse.

use std::f64::consts::TAU;

use super::measurement::LONGEST;

/// The slowest heart rate looked for, in Hz.
const LOWEST: f64 = 0.7;
/// The fastest.
const HIGHEST: f64 = 4.0;
/// The distance of the frequencies tried, in Hz: 0.6 beats a minute, refined by interpolation.
const STEP: f64 = 0.01;
/// More samples a second than this tell nothing more about a pulse: they are averaged.
const FASTEST_RATE: f64 = 60.0;
/// Below this many dB a peak is taken for noise.
pub(super) const LEAST_SNR: f64 = 6.0;
/// How long a chunk is when nothing says so, in seconds.
pub(super) const CHUNK_SECONDS: f64 = 5.0;
/// Samples a second of text that does not say how long it is: a camera's frames.
const CAMERA_RATE: f64 = 30.0;
/// Longer payloads are not taken for text: two minutes of camera frames are a tenth of it.
const LONGEST_TEXT: usize = 1 << 20;
/// The first bytes of a payload of samples; see [`Signal::of_payload`].
pub const MAGIC: [u8; 4] = *b"CLVP";

/// Evenly spaced samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signal {
    /// Samples a second.
    pub rate: f64,
    /// The samples, in whatever unit.
    pub samples: Vec<f64>,
}

/// What a signal tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulse {
    /// Beats a minute.
    pub bpm: f64,
    /// Signal-to-noise ratio in dB.
    pub snr: f64,
}

impl Signal {
    /// The samples in a payload that lasts `seconds`. Three forms are understood:
    ///
    /// * `CLVP`, samples a second (u16), samples (i16), all little-endian: it says itself how long it lasts;
    /// * text: numbers separated by spaces, commas or line ends, in brackets or not;
    /// * anything else: one sample a byte.
    pub fn of_payload(payload: &[u8], seconds: Option<f64>) -> Self {
        if let Some((rate, samples)) = described(payload) {
            return Self::averaged(rate, samples);
        }
        if let Some(samples) = numbers(payload) {
            let rate = seconds.map_or(CAMERA_RATE, |seconds| samples.len() as f64 / seconds);
            return Self::averaged(rate, samples.into_iter());
        }
        let rate = payload.len() as f64 / seconds.unwrap_or(CHUNK_SECONDS);
        Self::averaged(rate, payload.iter().map(|byte| f64::from(*byte)))
    }

    /// This signal as a payload in the first form. Samples are scaled to use the range of 16 bits.
    pub fn to_payload(&self) -> Vec<u8> {
        let largest = self.samples.iter().fold(0.0_f64, |largest, sample| largest.max(sample.abs()));
        let scale = if largest > 0.0 { f64::from(i16::MAX) / largest } else { 1.0 };
        let mut payload = MAGIC.to_vec();
        payload.extend((self.rate.round() as u16).to_le_bytes());
        payload.extend(self.samples.iter().flat_map(|sample| ((sample * scale) as i16).to_le_bytes()));
        payload
    }

    /// How long it lasts.
    pub fn seconds(&self) -> f64 {
        if self.rate > 0.0 { self.samples.len() as f64 / self.rate } else { 0.0 }
    }

    /// No more samples a second than tell something about a pulse, and a second more than a measurement can be.
    fn averaged(rate: f64, mut samples: impl Iterator<Item = f64>) -> Self {
        let count = (rate / FASTEST_RATE).ceil().max(1.0);
        let rate = rate / count;
        let averages = std::iter::from_fn(|| {
            let (mut sum, mut added) = (0.0, 0.0);
            while added < count
                && let Some(sample) = samples.next()
            {
                sum += sample;
                added += 1.0;
            }
            (added > 0.0).then(|| sum / added)
        });
        Self { rate, samples: averages.take(((LONGEST + 1.0) * rate) as usize).collect() }
    }

    /// The pulse in the signal. `None` when it is shorter than two seconds, flat, or too slow to show a pulse.
    pub fn pulse(&self) -> Option<Pulse> {
        if self.seconds() < 2.0 || self.rate < 2.0 * HIGHEST {
            return None;
        }
        let windowed = windowed(&self.samples);
        let count = ((HIGHEST - LOWEST) / STEP).round() as usize + 1;
        let frequency = |index: usize| LOWEST + STEP * index as f64;
        let power: Vec<f64> =
            (0..count).map(|index| power_at(&windowed, frequency(index) / self.rate)).collect();
        let peak = (0..count).max_by(|a, b| power[*a].total_cmp(&power[*b]))?;
        let total: f64 = power.iter().sum();
        if total <= f64::EPSILON * windowed.len() as f64 {
            return None;
        }
        // A Hann window spreads a line over two bins of 1/T to either side.
        let width = 2.0 / self.seconds();
        let fundamental = frequency(peak);
        let near = |index: usize, centre: f64| (frequency(index) - centre).abs() <= width;
        let signal: f64 = (0..count)
            .filter(|index| near(*index, fundamental) || near(*index, 2.0 * fundamental))
            .map(|index| power[index])
            .sum();
        let noise = (total - signal).max(total * 1e-9);
        let bpm = 60.0 * (fundamental + STEP * between(&power, peak));
        Some(Pulse { bpm, snr: 10.0 * (signal / noise).log10() })
    }
}

fn described(payload: &[u8]) -> Option<(f64, impl Iterator<Item = f64>)> {
    let rest = payload.strip_prefix(&MAGIC)?;
    let (rate, samples) = rest.split_first_chunk::<2>()?;
    let rate = f64::from(u16::from_le_bytes(*rate).max(1));
    let (samples, _) = samples.as_chunks::<2>();
    Some((rate, samples.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)))))
}

fn numbers(payload: &[u8]) -> Option<Vec<f64>> {
    let text = std::str::from_utf8(payload).ok().filter(|text| text.len() <= LONGEST_TEXT)?;
    let words = text.split(|c: char| c.is_whitespace() || ",;[]".contains(c)).filter(|word| !word.is_empty());
    let samples: Vec<f64> =
        words.map(|word| word.parse().ok().filter(|n: &f64| n.is_finite())).collect::<Option<_>>()?;
    (!samples.is_empty()).then_some(samples)
}

/// The samples without their straight line, faded in and out.
fn windowed(samples: &[f64]) -> Vec<f64> {
    let count = samples.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = samples.iter().sum::<f64>() / count;
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let at = index as f64 - middle;
        covariance += at * (sample - mean);
        variance += at * at;
    }
    let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
    let faded = |(index, sample): (usize, &f64)| {
        let at = index as f64;
        let hann = 0.5 - 0.5 * (TAU * (at + 0.5) / count).cos();
        (sample - mean - slope * (at - middle)) * hann
    };
    samples.iter().enumerate().map(faded).collect()
}

/// The power at one frequency, in cycles a sample (Goertzel's algorithm).
fn power_at(samples: &[f64], frequency: f64) -> f64 {
    let coefficient = 2.0 * (TAU * frequency).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let next = sample + coefficient * last - before;
        before = last;
        last = next;
    }
    last * last + before * before - coefficient * last * before
}

/// Where between its neighbours the peak lies, by the parabola through the three: -0.5 to 0.5.
fn between(power: &[f64], peak: usize) -> f64 {
    match (peak.checked_sub(1).and_then(|at| power.get(at)), power.get(peak), power.get(peak + 1)) {
        (Some(left), Some(top), Some(right)) if left - 2.0 * top + right < 0.0 => {
            0.5 * (left - right) / (left - 2.0 * top + right)
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that is the same on every run.
    fn noise(count: usize, mut seed: u32) -> Vec<f64> {
        let next = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            f64::from(seed % 256)
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn beat(bpm: f64, rate: f64, seconds: f64) -> Signal {
        let samples =
            (0..(rate * seconds) as usize).map(|index| (TAU * bpm / 60.0 * index as f64 / rate).sin());
        Signal { rate, samples: samples.collect() }
    }

    #[test]
    fn a_pulse_gives_its_rate_back() {
        for bpm in [48.0, 60.0, 72.5, 90.0, 123.0, 180.0, 230.0] {
            for (rate, seconds) in [(30.0, 5.0), (25.0, 10.0), (100.0, 30.0)] {
                let pulse = beat(bpm, rate, seconds).pulse().unwrap();
                assert!((pulse.bpm - bpm).abs() < 1.5, "{bpm} at {rate} Hz for {seconds} s: {pulse:?}");
                assert!(pulse.snr > LEAST_SNR, "{bpm}: {pulse:?}");
            }
        }
    }

    #[test]
    fn a_pulse_survives_its_payload() {
        let signal = beat(66.0, 30.0, 5.0);
        let text: Vec<String> = signal.samples.iter().map(|sample| format!("{sample:.3}")).collect();
        let bytes: Vec<u8> = signal.samples.iter().map(|sample| (128.0 + 100.0 * sample) as u8).collect();
        let json = format!("[{}]", text.join(", "));
        for payload in [signal.to_payload(), text.join("\n").into_bytes(), json.into_bytes(), bytes] {
            let pulse = Signal::of_payload(&payload, Some(5.0)).pulse().unwrap();
            assert!((pulse.bpm - 66.0).abs() < 1.0, "{pulse:?}");
        }
    }

    #[test]
    fn noise_and_silence_have_no_pulse() {
        let pulses = (1..200).filter(|seed| {
            let signal = Signal { rate: 60.0, samples: noise(300, *seed * 7919) };
            signal.pulse().is_some_and(|pulse| pulse.snr >= LEAST_SNR)
        });
        assert!(pulses.count() <= 10, "more than one in twenty");
        assert_eq!(Signal { rate: 30.0, samples: vec![7.0; 150] }.pulse(), None);
        assert_eq!(Signal { rate: 30.0, samples: Vec::new() }.pulse(), None);
    }

    #[test]
    fn large_payloads_are_averaged() {
        let signal =
            Signal::of_payload(&noise(1_000_000, 1).iter().map(|n| *n as u8).collect::<Vec<_>>(), None);
        assert!(signal.rate <= FASTEST_RATE && (signal.seconds() - 5.0).abs() < 0.1, "{}", signal.rate);
        let endless = Signal::of_payload(&[&MAGIC[..], &[1, 0], &[7; 1_000_000]].concat(), None);
        assert_eq!(endless.samples.len(), 121, "a sample a second for more than two minutes");
    }
}
