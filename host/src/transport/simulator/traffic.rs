//! What the control units tell one another all the time, for `AT MA`.

use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::frames::{Frame, Header};
use super::vehicle::State;

/// Identifier and period of every broadcast.
const BROADCASTS: [(u16, Duration); 5] = [
    (0x0C9, Duration::from_millis(10)),
    (0x1F1, Duration::from_millis(20)),
    (0x3E9, Duration::from_millis(50)),
    (0x4C1, Duration::from_millis(100)),
    (0x52A, Duration::from_millis(500)),
];

/// The broadcasts from a moment on, in order.
#[derive(Debug)]
pub(super) struct Traffic {
    protocol: Protocol,
    due: [Duration; BROADCASTS.len()],
}

impl Traffic {
    pub(super) fn new(now: Duration, protocol: Protocol) -> Self {
        // Not all at the same moment.
        let due = std::array::from_fn(|number| now + Duration::from_millis(2 * number as u64 + 1));
        Self { protocol, due }
    }

    /// When the next frame is on the bus.
    pub(super) fn next(&self) -> Duration {
        self.due.into_iter().min().unwrap_or(Duration::MAX)
    }

    /// The next frame, with the values of `state`.
    pub(super) fn frame(&mut self, state: &State) -> Frame {
        let next = self.next();
        let number = self.due.iter().position(|due| *due == next).unwrap_or(0);
        let (id, period) = BROADCASTS[number];
        self.due[number] += period;
        let rpm = ((state.rpm * 4.0) as u16).to_be_bytes();
        let speed = ((state.speed * 64.0) as u16).to_be_bytes();
        let data = match id {
            0x0C9 => vec![0x84, rpm[0], rpm[1], state.throttle as u8, 0, 0, 0, 0],
            0x1F1 => vec![state.gear, state.pedal as u8, 0, 0, 0, 0],
            0x3E9 => vec![speed[0], speed[1], 0, 0, speed[0], speed[1], 0, 0],
            0x4C1 => vec![0, 0, (state.coolant + 40.0) as u8, (state.intake + 40.0) as u8],
            _ => ((state.odometer * 10.0) as u32).to_be_bytes().to_vec(),
        };
        let header = match self.protocol {
            Protocol::Can11Fast | Protocol::Can11Slow => Header::Can11(id),
            protocol if protocol.is_can() => Header::Can29(0x0C00_0000 | u32::from(id) << 8),
            _ => Header::Legacy([0xA8, 0x1B, 0x10]),
        };
        Frame::broadcast(header, data)
    }
}
