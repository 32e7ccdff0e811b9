//! The signal path of the local server: the heart rate that is in the samples, and how sure it is.
//!
//! The samples are freed of their trend, windowed (Hann), and searched for the strongest frequency between 42 and
//! 240 beats a minute. The signal-to-noise ratio sets the power at that frequency and its first harmonic against the
//! rest of the band. Without a clear peak there is no heart rate: noise is not a pulse.

use std::f64::consts::TAU;

use super::signal::Signal;

/// The slowest heart rate looked for, in Hz.
const LOWEST: f64 = 0.7;
/// The fastest.
const HIGHEST: f64 = 4.0;
/// The distance of the frequencies tried, in Hz: 0.6 beats a minute, refined by interpolation.
const STEP: f64 = 0.01;
/// Below this many dB a peak is taken for noise.
pub(super) const LEAST_SNR: f64 = 6.0;

/// What a signal tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulse {
    /// Beats a minute.
    pub bpm: f64,
    /// Signal-to-noise ratio in dB.
    pub snr: f64,
}

impl Signal {
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
pub(super) mod tests {
    use super::*;

    /// Noise that is the same on every run.
    pub(in super::super) fn noise(count: usize, mut seed: u32) -> Vec<f64> {
        let next = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            f64::from(seed % 256)
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    pub(in super::super) fn beat(bpm: f64, rate: f64, seconds: f64) -> Signal {
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
    fn noise_and_silence_have_no_pulse() {
        let pulses = (1..200).filter(|seed| {
            let signal = Signal { rate: 60.0, samples: noise(300, *seed * 7919) };
            signal.pulse().is_some_and(|pulse| pulse.snr >= LEAST_SNR)
        });
        assert!(pulses.count() <= 10, "more than one in twenty");
        assert_eq!(Signal { rate: 30.0, samples: vec![7.0; 150] }.pulse(), None);
        assert_eq!(Signal { rate: 30.0, samples: Vec::new() }.pulse(), None);
    }
}
