//! Samples, and how they are written in a payload.

use super::measurement::LONGEST;
use super::pulse::LEAST_SNR;

/// More samples a second than this tell nothing more about a pulse: they are averaged.
const FASTEST_RATE: f64 = 60.0;
/// How long a chunk is when nothing says so, in seconds.
pub(super) const CHUNK_SECONDS: f64 = 5.0;
/// Samples a second of text that does not say how long it is: a camera's frames.
const CAMERA_RATE: f64 = 30.0;
/// Longer payloads are not taken for text: two minutes of camera frames are a tenth of it.
const LONGEST_TEXT: usize = 1 << 20;
/// How much clearer, in dB, a pulse must be in wider samples to be believed rather than that in the bytes.
const CLEARER: f64 = 10.0;
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

impl Signal {
    /// The samples in a payload that lasts `seconds`. Three forms are understood:
    ///
    /// * `CLVP`, samples a second (u16), samples (i16), all little-endian: it says itself how long it lasts;
    /// * text: numbers separated by spaces, commas or line ends, in brackets or not;
    /// * anything else: samples without a word about what they are. They are taken for bytes (u8), unless as i8, or as
    ///   i16, f32 or f64 in little-endian, they hold a pulse that is clear, and clearer by 10 dB.
    pub fn of_payload(payload: &[u8], seconds: Option<f64>) -> Self {
        if let Some((rate, samples)) = described(payload) {
            return Self::averaged(rate, samples, i16s);
        }
        if let Some(samples) = numbers(payload) {
            let rate = seconds.map_or(CAMERA_RATE, |seconds| samples.len() as f64 / seconds);
            return Self::averaged(rate, &samples, |samples| samples.iter().sum());
        }
        Self::clearest(payload, seconds.unwrap_or(CHUNK_SECONDS))
    }

    fn clearest(payload: &[u8], seconds: f64) -> Self {
        let snr = |signal: &Self| signal.pulse().map_or(f64::NEG_INFINITY, |pulse| pulse.snr);
        let bytes = Self::raw(payload, seconds, |samples| whole(samples, |[byte]| byte)).unwrap_or_default();
        let least = (snr(&bytes) + CLEARER).max(LEAST_SNR + CLEARER);
        let others = [
            Self::raw(payload, seconds, |samples| whole(samples, i8::from_le_bytes)),
            Self::raw(payload, seconds, i16s),
            Self::floats(payload, seconds, |sample| f64::from(f32::from_le_bytes(sample))),
            Self::floats(payload, seconds, f64::from_le_bytes),
        ];
        let others = others.into_iter().flatten().map(|signal| (snr(&signal), signal));
        let clear = others.filter(|(snr, _)| *snr >= least).max_by(|(a, _), (b, _)| a.total_cmp(b));
        clear.map_or(bytes, |(_, signal)| signal)
    }

    /// The payload as samples of `N` bytes each. `None` when it cannot be that.
    fn raw<const N: usize>(payload: &[u8], seconds: f64, sum: impl Fn(&[[u8; N]]) -> f64) -> Option<Self> {
        let (samples, []) = payload.as_chunks::<N>() else { return None };
        Some(Self::averaged(samples.len() as f64 / seconds, samples, sum))
    }

    /// The same of floating-point numbers: bytes that are none have exponents of all sizes.
    fn floats<const N: usize>(payload: &[u8], seconds: f64, sample: impl Fn([u8; N]) -> f64) -> Option<Self> {
        let sane = |value: f64| value == 0.0 || (1e-30..1e12).contains(&value.abs());
        let (samples, _) = payload.as_chunks::<N>();
        let all = samples.iter().all(|bytes| sane(sample(*bytes)));
        let sum = |samples: &[[u8; N]]| samples.iter().map(|bytes| sample(*bytes)).sum();
        if all { Self::raw(payload, seconds, sum) } else { None }
    }

    /// This signal as a payload in the first form. The rate is rounded to a whole number, and samples are scaled to use the
    /// range of 16 bits.
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
    fn averaged<T>(rate: f64, samples: &[T], sum: impl Fn(&[T]) -> f64) -> Self {
        let count = (rate / FASTEST_RATE).ceil().max(1.0);
        let rate = rate / count;
        let averages = samples.chunks(count as usize).map(|samples| sum(samples) / samples.len() as f64);
        Self { rate, samples: averages.take(((LONGEST + 1.0) * rate) as usize).collect() }
    }
}

fn described(payload: &[u8]) -> Option<(f64, &[[u8; 2]])> {
    let rest = payload.strip_prefix(&MAGIC)?;
    let (rate, samples) = rest.split_first_chunk::<2>()?;
    let (samples, _) = samples.as_chunks();
    Some((f64::from(u16::from_le_bytes(*rate).max(1)), samples))
}

/// The sum of whole numbers.
fn whole<const N: usize, T: Into<i64>>(samples: &[[u8; N]], sample: impl Fn([u8; N]) -> T) -> f64 {
    samples.iter().map(|bytes| sample(*bytes).into()).sum::<i64>() as f64
}

fn i16s(samples: &[[u8; 2]]) -> f64 {
    whole(samples, i16::from_le_bytes)
}

fn numbers(payload: &[u8]) -> Option<Vec<f64>> {
    let text = std::str::from_utf8(payload).ok().filter(|text| text.len() <= LONGEST_TEXT)?;
    let words = text.split(|c: char| c.is_whitespace() || ",;[]".contains(c)).filter(|word| !word.is_empty());
    let samples: Vec<f64> =
        words.map(|word| word.parse().ok().filter(|n: &f64| n.is_finite())).collect::<Option<_>>()?;
    (!samples.is_empty()).then_some(samples)
}

#[cfg(test)]
mod tests {
    use super::super::pulse::tests::{beat, noise};
    use super::*;

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
    fn samples_that_do_not_say_what_they_are_give_their_pulse_back() {
        type Write = fn(f64) -> Vec<u8>;
        let forms: [(&str, Write); 6] = [
            ("u8", |sample| vec![(128.0 + 100.0 * sample) as u8]),
            ("i8", |sample| ((100.0 * sample) as i8).to_le_bytes().into()),
            ("i16", |sample| ((10_000.0 * sample) as i16).to_le_bytes().into()),
            ("i16 above zero", |sample| ((10_000.0 + 900.0 * sample) as i16).to_le_bytes().into()),
            ("f32", |sample| (sample as f32).to_le_bytes().into()),
            ("f64", |sample| sample.to_le_bytes().into()),
        ];
        for (form, write) in forms {
            for bpm in [48.0, 60.0, 72.0, 90.0, 150.0] {
                for (rate, seconds) in [(30.0, 5.0), (25.0, 10.0), (100.0, 5.0)] {
                    let samples = beat(bpm, rate, seconds).samples;
                    let payload: Vec<u8> = samples.iter().flat_map(|sample| write(*sample)).collect();
                    let pulse = Signal::of_payload(&payload, Some(seconds)).pulse().unwrap();
                    let case = format!("{bpm} bpm as {form} at {rate} Hz for {seconds} s: {pulse:?}");
                    assert!((pulse.bpm - bpm).abs() < 1.5 && pulse.snr > LEAST_SNR, "{case}");
                }
            }
        }
    }

    #[test]
    fn noise_has_no_pulse_in_any_form() {
        let pulses = (1..200).filter(|seed| {
            let payload: Vec<u8> = noise(1200, *seed * 7919).iter().map(|sample| *sample as u8).collect();
            Signal::of_payload(&payload, None).pulse().is_some_and(|pulse| pulse.snr >= LEAST_SNR)
        });
        assert!(pulses.count() <= 10, "more than one in twenty");
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
