//! Results of on-board monitors (service 06).

use super::{Quantity, Scaling};

/// The results of one reply: on CAN nine bytes each, on older buses six.
///
/// ```text
/// CAN      MID TID UAS  VALUE MIN MAX           (SAE J1979, 7.6.3; two bytes each)
/// legacy   TID COMPONENT  VALUE LIMIT           (SAE J1979, 6.6.3)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tests<'a>(&'a [u8]);

/// One result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Test {
    /// The monitor, on CAN; on older buses the component and the kind of limit.
    pub mid: u8,
    /// The test.
    pub tid: u8,
    /// The scaling of the three numbers; `None` on older buses, where the maker defines it.
    pub uas: Option<u8>,
    /// What was measured.
    pub value: u16,
    /// The least that passes.
    pub min: u16,
    /// The most that passes.
    pub max: u16,
}

impl<'a> Tests<'a> {
    /// Takes what follows the service byte.
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The results, in the order of the reply. A cut-off last one is left out.
    pub fn iter(&self) -> impl Iterator<Item = Test> + Clone + use<'a> {
        let legacy = !self.0.len().is_multiple_of(9) && self.0.len().is_multiple_of(6);
        let size = if legacy { 6 } else { 9 };
        self.0.chunks_exact(size).filter_map(|chunk| match *chunk {
            [mid, tid, uas, v1, v0, l1, l0, h1, h0] => Some(Test {
                mid,
                tid,
                uas: Some(uas),
                value: u16::from_be_bytes([v1, v0]),
                min: u16::from_be_bytes([l1, l0]),
                max: u16::from_be_bytes([h1, h0]),
            }),
            [tid, component, v1, v0, l1, l0] => {
                let limit = u16::from_be_bytes([l1, l0]);
                // The top bit of the component says which limit it is: 0 a maximum, 1 a minimum.
                let least = component & 0x80 != 0;
                Some(Test {
                    mid: component,
                    tid,
                    uas: None,
                    value: u16::from_be_bytes([v1, v0]),
                    min: if least { limit } else { 0 },
                    max: if least { u16::MAX } else { limit },
                })
            }
            _ => None,
        })
    }
}

impl Test {
    /// How the numbers scale; `None` if the identifier is reserved or stands for no quantity.
    pub fn scaling(&self) -> Option<Scaling> {
        Scaling::from_uas(self.uas?)
    }

    /// The measured value, the least and the most that pass, if their scaling is known.
    pub fn quantities(&self) -> Option<[Quantity; 3]> {
        let scaling = self.scaling()?;
        Some([self.value, self.min, self.max].map(|raw| scaling.quantity(&raw.to_be_bytes())))
    }

    /// Whether the value lies within its limits.
    pub fn passed(&self) -> bool {
        // From 80h on the numbers are signed (SAE J1979, annex E).
        if self.uas.is_some_and(|uas| uas >= 0x80) {
            let signed = self.min.cast_signed()..=self.max.cast_signed();
            return signed.contains(&self.value.cast_signed());
        }
        (self.min..=self.max).contains(&self.value)
    }

    /// The name and description of a test that the standard defines (TIDs 01 to 0C on CAN).
    pub const fn name(&self) -> Option<(&'static str, &'static str)> {
        if self.uas.is_none() {
            return None;
        }
        Some(match self.tid {
            0x01 => ("RTL_THRESHOLD_VOLTAGE", "Rich to lean sensor threshold voltage"),
            0x02 => ("LTR_THRESHOLD_VOLTAGE", "Lean to rich sensor threshold voltage"),
            0x03 => ("LOW_VOLTAGE_SWITCH_TIME", "Low sensor voltage for switch time calculation"),
            0x04 => ("HIGH_VOLTAGE_SWITCH_TIME", "High sensor voltage for switch time calculation"),
            0x05 => ("RTL_SWITCH_TIME", "Rich to lean sensor switch time"),
            0x06 => ("LTR_SWITCH_TIME", "Lean to rich sensor switch time"),
            0x07 => ("MIN_VOLTAGE", "Minimum sensor voltage for test cycle"),
            0x08 => ("MAX_VOLTAGE", "Maximum sensor voltage for test cycle"),
            0x09 => ("TRANSITION_TIME", "Time between sensor transitions"),
            0x0A => ("SENSOR_PERIOD", "Sensor period"),
            0x0B => ("MISFIRE_AVERAGE", "Average misfire counts for last ten driving cycles"),
            0x0C => ("MISFIRE_COUNT", "Misfire counts for last/current driving cycles"),
            _ => return None,
        })
    }
}
