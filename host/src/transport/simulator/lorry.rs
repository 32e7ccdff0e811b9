//! What a lorry tells everybody by SAE J1939. It drives as the car does; nobody answers on its bus.
//!
//! Two active trouble codes are too long for a frame: they travel as the standard's broadcast transport, an
//! announcement and two packets (SAE J1939-21, 5.10.3). Bytes of ones have no value.

use std::time::Duration;

use super::traffic::Broadcast;

/// A row: the 29-bit identifier (sent by the engine, address 0), period and first time in milliseconds.
const fn row(id: u32, period: u64, first: u64, data: fn(&super::vehicle::State) -> Vec<u8>) -> Broadcast {
    Broadcast { id, period: Duration::from_millis(period), first: Duration::from_millis(first), data }
}

/// Every broadcast.
pub(super) const BROADCASTS: &[Broadcast] = &[
    // EEC1: engine speed, torque.
    row(0x0CF0_0400, 20, 1, |state| {
        let [low, high] = ((state.rpm * 8.0) as u16).to_le_bytes();
        let torque = (state.load + 125.0) as u8;
        vec![0xFF, torque, torque, low, high, 0xFF, 0xFF, 0xFF]
    }),
    // EEC2: pedal, load.
    row(0x0CF0_0300, 50, 3, |state| {
        vec![0xFF, (state.pedal * 2.5) as u8, state.load as u8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    }),
    // CCVS: wheel-based speed.
    row(0x18FE_F100, 100, 5, |state| {
        let [low, high] = ((state.speed * 256.0) as u16).to_le_bytes();
        vec![0xFF, low, high, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    }),
    // LFE: fuel rate.
    row(0x18FE_F200, 100, 7, |state| {
        let [low, high] = ((state.fuel_rate * 20.0) as u16).to_le_bytes();
        vec![low, high, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    }),
    // ET1: coolant and oil.
    row(0x18FE_EE00, 1_000, 9, |state| {
        let [low, high] = (((state.oil + 273.0) * 32.0) as u16).to_le_bytes();
        vec![(state.coolant + 40.0) as u8, 0xFF, low, high, 0xFF, 0xFF, 0xFF, 0xFF]
    }),
    // DD: fuel level.
    row(0x18FE_FC00, 1_000, 11, |state| {
        vec![0xFF, (state.fuel_level * 2.5) as u8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    }),
    // VEP1: battery.
    row(0x18FE_F700, 1_000, 13, |state| {
        let [low, high] = ((state.voltage * 20.0) as u16).to_le_bytes();
        vec![0xFF, 0xFF, 0xFF, 0xFF, low, high, 0xFF, 0xFF]
    }),
    // DM1, announced: ten bytes in two packets.
    row(0x1CEC_FF00, 1_000, 15, |_| vec![0x20, 10, 0, 2, 0xFF, 0xCA, 0xFE, 0x00]),
    // The amber lamp; SPN 110 (coolant temperature) FMI 0, once, and the first byte of the next code.
    row(0x1CEB_FF00, 1_000, 65, |_| vec![1, 0x04, 0xFF, 110, 0, 0, 1, 100]),
    // SPN 100 (oil pressure) FMI 1, three times.
    row(0x1CEB_FF00, 1_000, 115, |_| vec![2, 0, 1, 3, 0xFF, 0xFF, 0xFF, 0xFF]),
];
