//! What the control units tell one another all the time, for `AT MA`.

use std::time::Duration;

use cloverleaf_core::bus::Protocol;

use super::frames::{Frame, Header};
use super::lorry;
use super::vehicle::State;

/// Something that is told again and again.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) id: u32,
    pub(super) period: Duration,
    /// When it is told first, so that not all is told at the same moment.
    pub(super) first: Duration,
    pub(super) data: fn(&State) -> Vec<u8>,
}

/// The broadcasts of the car.
const CAR: &[Broadcast] = &[
    Broadcast {
        id: 0x0C9,
        period: Duration::from_millis(10),
        first: Duration::from_millis(1),
        data: |state| {
            let [high, low] = ((state.rpm * 4.0) as u16).to_be_bytes();
            vec![0x84, high, low, state.throttle as u8, 0, 0, 0, 0]
        },
    },
    Broadcast {
        id: 0x1F1,
        period: Duration::from_millis(20),
        first: Duration::from_millis(3),
        data: |state| vec![state.gear, state.pedal as u8, 0, 0, 0, 0],
    },
    Broadcast {
        id: 0x3E9,
        period: Duration::from_millis(50),
        first: Duration::from_millis(5),
        data: |state| {
            let [high, low] = ((state.speed * 64.0) as u16).to_be_bytes();
            vec![high, low, 0, 0, high, low, 0, 0]
        },
    },
    Broadcast {
        id: 0x4C1,
        period: Duration::from_millis(100),
        first: Duration::from_millis(7),
        data: |state| vec![0, 0, (state.coolant + 40.0) as u8, (state.intake + 40.0) as u8],
    },
    Broadcast {
        id: 0x52A,
        period: Duration::from_millis(500),
        first: Duration::from_millis(9),
        data: |state| ((state.odometer * 10.0) as u32).to_be_bytes().to_vec(),
    },
];

/// The broadcasts from a moment on, in order.
#[derive(Debug)]
pub(super) struct Traffic {
    protocol: Protocol,
    /// When each is told next.
    due: Vec<(Duration, &'static Broadcast)>,
}

impl Traffic {
    pub(super) fn new(now: Duration, protocol: Protocol) -> Self {
        let broadcasts = if protocol == Protocol::J1939 { lorry::BROADCASTS } else { CAR };
        Self { protocol, due: broadcasts.iter().map(|row| (now + row.first, row)).collect() }
    }

    /// When the next frame is on the bus.
    pub(super) fn next(&self) -> Duration {
        self.due.iter().map(|(due, _)| *due).min().unwrap_or(Duration::MAX)
    }

    /// The next frame, with the values of `state`; none on a bus that is silent for ever.
    pub(super) fn frame(&mut self, state: &State) -> Option<Frame> {
        let (due, broadcast) = self.due.iter_mut().min_by_key(|(due, _)| *due)?;
        *due += broadcast.period;
        let header = match (self.protocol, u16::try_from(broadcast.id)) {
            (Protocol::Can11Fast | Protocol::Can11Slow, Ok(id)) => Header::Can11(id),
            (Protocol::J1939, _) => Header::J1939(broadcast.id),
            (protocol, _) if protocol.is_can() => Header::Can29(0x0C00_0000 | broadcast.id << 8),
            _ => Header::Legacy([0xA8, 0x1B, 0x10]),
        };
        Some(Frame::broadcast(header, (broadcast.data)(state)))
    }
}
