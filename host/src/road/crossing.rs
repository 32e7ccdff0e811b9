//! A rail crossing: lights and bell first, then the gates, the train, and everything back in reverse.

/// Where a crossing is in its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The road is open.
    Open,
    /// Lights flash and the bell rings; the gates are still up.
    Presignal,
    /// The gates go down.
    Closing,
    /// The gates are down.
    Closed,
    /// The gates go up.
    Opening,
    /// The gates are up; the lights still flash.
    Postsignal,
}

/// How long the stages last, in tenths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Warning before the gates move.
    pub presignal: u16,
    /// The gates' way down.
    pub closing: u16,
    /// The gates' way up.
    pub opening: u16,
    /// Warning after the gates are up.
    pub postsignal: u16,
}

impl Default for Timing {
    fn default() -> Self {
        Self { presignal: 40, closing: 80, opening: 80, postsignal: 20 }
    }
}

/// One crossing and who wants it closed.
#[derive(Clone, Debug)]
pub struct Crossing {
    timing: Timing,
    stage: Stage,
    elapsed: u16,
    /// A train is in the approach.
    pub train: bool,
    /// Somebody wants it closed.
    pub manual_call: bool,
    /// The manual call ends by itself after this many tenths of a second.
    pub manual_left: Option<u32>,
}

impl Crossing {
    /// An open crossing.
    pub fn new(timing: Timing) -> Self {
        Self { timing, stage: Stage::Open, elapsed: 0, train: false, manual_call: false, manual_left: None }
    }

    /// Where it is in its sequence.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether anybody wants it closed.
    pub fn called(&self) -> bool {
        self.train || self.manual_call
    }

    /// Whether the lights flash.
    pub fn flashing(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Whether the bell rings: until the gates are down, as drivers need no more warning then.
    pub fn ringing(&self) -> bool {
        matches!(self.stage, Stage::Presignal | Stage::Closing)
    }

    /// Whether a gate arm is anywhere but up.
    pub fn gate_down(&self) -> bool {
        matches!(self.stage, Stage::Closing | Stage::Closed | Stage::Opening)
    }

    /// Lets a tenth of a second pass.
    pub fn step(&mut self) {
        if let Some(left) = &mut self.manual_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.manual_left = None;
                self.manual_call = false;
            }
        }
        self.elapsed = self.elapsed.saturating_add(1);
        let called = self.called();
        let next = match self.stage {
            Stage::Open if called => Stage::Presignal,
            Stage::Presignal if self.elapsed >= self.timing.presignal => Stage::Closing,
            Stage::Closing if self.elapsed >= self.timing.closing => Stage::Closed,
            Stage::Closed if !called => Stage::Opening,
            // A second train while the gates go up: they come down again.
            Stage::Opening if called => Stage::Closing,
            Stage::Opening if self.elapsed >= self.timing.opening => Stage::Postsignal,
            Stage::Postsignal if called => Stage::Presignal,
            Stage::Postsignal if self.elapsed >= self.timing.postsignal => Stage::Open,
            same => same,
        };
        if next != self.stage {
            // Gates that turn round have only as far to go as they had come.
            self.elapsed = match (self.stage, next) {
                (Stage::Opening, Stage::Closing) => self.timing.closing.saturating_sub(self.elapsed),
                _ => 0,
            };
            self.stage = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(crossing: &mut Crossing, steps: u16) -> Stage {
        (0..steps).for_each(|_| crossing.step());
        crossing.stage()
    }

    #[test]
    fn a_train_is_warned_of_before_the_gates_move_and_after_they_are_up() {
        let mut crossing = Crossing::new(Timing::default());
        crossing.train = true;
        assert_eq!(run(&mut crossing, 1), Stage::Presignal);
        assert!(crossing.ringing() && crossing.flashing() && !crossing.gate_down());
        assert_eq!(run(&mut crossing, 40), Stage::Closing);
        assert_eq!(run(&mut crossing, 80), Stage::Closed);
        assert!(!crossing.ringing() && crossing.flashing() && crossing.gate_down());
        assert_eq!(run(&mut crossing, 1000), Stage::Closed);
        crossing.train = false;
        assert_eq!(run(&mut crossing, 1), Stage::Opening);
        assert_eq!(run(&mut crossing, 80), Stage::Postsignal);
        assert_eq!(run(&mut crossing, 20), Stage::Open);
        assert!(!crossing.flashing());
    }

    #[test]
    fn a_second_train_turns_the_gates_round_half_way() {
        let mut crossing = Crossing::new(Timing::default());
        crossing.manual_call = true;
        assert_eq!(run(&mut crossing, 121), Stage::Closed);
        crossing.manual_call = false;
        assert_eq!(run(&mut crossing, 31), Stage::Opening);
        crossing.train = true;
        assert_eq!(run(&mut crossing, 1), Stage::Closing);
        assert_eq!(run(&mut crossing, 40), Stage::Closed, "31 tenths up, so 31 tenths down");
    }

    #[test]
    fn a_manual_call_ends_when_its_time_is_over() {
        let mut crossing = Crossing::new(Timing::default());
        crossing.manual_call = true;
        crossing.manual_left = Some(200);
        assert_eq!(run(&mut crossing, 199), Stage::Closed);
        assert_eq!(run(&mut crossing, 1), Stage::Opening);
        assert!(!crossing.called());
    }
}
