//! The values of service 01, as SAE J1979-DA lays them out.

use cloverleaf_core::bus::{Address, Message};
use cloverleaf_core::obd2::{Command, Decoder, Kind, Reading, Signal, Value, decode, layout};

/// Every value of an answer that the car has, as `id=value unit`.
fn shown(pid: u8, data: &[u8]) -> Vec<String> {
    let reading = |signal: &Signal| Some(format!("{}={}", signal.id, signal.read(data)?));
    layout(pid).iter().filter(|signal| !matches!(signal.kind, Kind::Flag)).filter_map(reading).collect()
}

#[test]
fn answers_of_several_values_decode_at_their_bits() {
    for (pid, data, values) in [
        (0x03, &[0x02, 0x00][..], &["FUELSYS1=CL", "FUELSYS2=OFF"][..]),
        (0x06, &[0x6B, 0xFF], &["SHRTFT1=-16.40625 %", "SHRTFT3=99.21875 %"]),
        (0x14, &[0x5A, 0x80], &["O2S11=0.45 V", "SHRTFT11=0 %"]),
        (0x24, &[0x80, 0x00, 0x20, 0x00], &["LAMBDA11_VOLT=1.000015", "O2S11_VOLT=1.000015 V"]),
        (
            0x4F,
            &[2, 8, 128, 25],
            &["MAX_EQ_RAT=2", "MAX_O2_VOLT=8 V", "MAX_O2_CURR=128 mA", "MAX_MAP=250 kPa"],
        ),
        (0x62, &[0x9B], &["TQ_ACT=30 %"]),
        (0x65, &[0x10, 0x30], &["GEAR_RCMD=3"]),
        (0x66, &[0x01, 0x00, 0x61, 0x12, 0x34], &["MAFA=3.03125 g/s"]),
        (0x67, &[0x03, 0x7B, 0x7D], &["ECT_1=83 °C", "ECT_2=85 °C"]),
        (0x68, &[0x09, 0x50, 0x51, 0x52, 0x53, 0, 0], &["IAT_11=40 °C", "IAT_21=43 °C"]),
        (0x6B, &[0x10, 0x31, 0, 0, 0], &["EGRTA_WIDE=156 °C"]),
        (0x6B, &[0x00, 0, 0, 0x31, 0], &[]),
        (
            0x6D,
            &[0x07, 0x01, 0xF4, 0x01, 0xF0, 0x50, 0, 0, 0, 0, 0],
            &["FRP_A_CMD=5000 kPa", "FRP_A=4960 kPa", "FRT_A=40 °C"],
        ),
        (
            0x70,
            &[0x27, 0x0D, 0x45, 0x0D, 0x29, 0, 0, 0, 0, 0x02],
            &["BP_A_CMD=106.15625 kPa", "BP_A_ACT=105.28125 kPa", "BP_B=00", "BP_A=BP_A_CL"],
        ),
        (0x7A, &[0x01, 0xFF, 0x9C, 0, 0, 0, 0], &["PF1_DP=-1 kPa"]),
        (0x7F, &[0x03, 0, 0, 0x0E, 0x10, 0, 0, 0, 0x3C, 0, 0, 0, 0], &["RUN_TIME=3600 s", "IDLE_TIME=60 s"]),
        (0x81, &[0x01, 0, 0, 0, 7, 0, 0, 0, 9], &["AECD1_TIME1=7 s", "AECD1_TIME2=9 s"]),
        (0x83, &[0x01, 0x01, 0x2C, 0, 0, 0, 0, 0, 0], &["NOX11=300 ppm"]),
        (
            0x9A,
            &[0x07, 0x01, 0x3F, 0xBC, 0xFF, 0x38],
            &["HEV_MODE=CDM", "HEV_BATT_V=254.9375 V", "HEV_BATT_A=-20 A"],
        ),
        (0x9D, &[0x00, 0x64, 0x00, 0x32], &["FUEL_RATE_ALT=2 g/s", "VFUEL_RATE=1 g/s"]),
        (0x9F, &[0x03, 0xFF, 0x00, 0, 0, 0, 0, 0, 0], &["FUELSYSA_B1=100 %", "FUELSYSB_B1=0 %"]),
        (0xA4, &[0x03, 0x30, 0x05, 0x1A], &["GEAR_ACT=3", "GEAR_RAT=1.306"]),
        (0xA6, &[0x00, 0x01, 0xE2, 0x40], &["ODO=12345.6 km"]),
        (
            0xB6,
            &[0x81, 0x1F, 0x40, 0x0F, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0F, 0xA0],
            &["HVESS_Volt=400 V", "HVESPA_Volt=200 V", "HVESPH_Volt=200 V"],
        ),
    ] {
        assert_eq!(shown(pid, data), values, "PID {pid:02X}");
    }
}

#[test]
fn what_the_car_has_not_got_has_no_value() {
    let [.., b] = layout(0x66) else { panic!("PID 66 has a layout") };
    assert_eq!((b.id, b.read(&[0x01, 0, 0x61, 0x12, 0x34])), ("MAFB", None));
    assert_eq!(b.read(&[0x02, 0, 0x61]), None, "the answer ends before it");
    let [_, trim] = layout(0x14) else { panic!("PID 14 has a layout") };
    assert_eq!((trim.id, trim.read(&[0x5A, 0xFF])), ("SHRTFT11", None), "FF: the sensor is not used for it");
    assert!(trim.read(&[0x5A, 0xFE]).is_some());
    let without_support = Signal { support: None, ..*b };
    assert!(matches!(without_support.read(&[0x01, 0, 0x61, 0x12, 0x34]), Some(Reading::Quantity(_))));
}

#[test]
fn names_are_unique_in_an_answer_and_bits_lie_in_it() {
    for pid in 0..=0xFF {
        let mut ids: Vec<&str> = layout(pid).iter().map(|signal| signal.id).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "PID {pid:02X} names something twice");
        for signal in layout(pid) {
            assert!((1..=32).contains(&signal.bits), "{}", signal.id);
            assert!(signal.support.is_none_or(|bit| bit < 8), "{}: support is in the first byte", signal.id);
            assert!(!signal.name.is_empty() && !signal.id.contains(' '), "{}", signal.id);
            let end = (signal.bit + u16::from(signal.bits)).div_ceil(8);
            // The trims of banks 3 and 4 are there in cars that have these banks.
            if (0x06..=0x09).contains(&pid) && signal.bit == 8 {
                continue;
            }
            let length = Command::of(1, pid).and_then(Command::data_length).filter(|&length| length > 0);
            assert!(length.is_none_or(|length| end <= u16::from(length)), "{} ends at byte {end}", signal.id);
        }
    }
}

#[test]
fn every_pid_to_c8_has_a_name_and_nothing_panics_on_any_data() {
    let data = [0xFF; 64];
    for pid in 0..=0xC8 {
        let command = Command::of(1, pid).unwrap_or_else(|| panic!("PID {pid:02X} is not in the table"));
        for length in 0..data.len() {
            let mut message = vec![0x41, pid];
            message.extend_from_slice(&data[..length]);
            // Whatever the length, an error or a value.
            if let Ok(Value::Signals(signals)) =
                decode(command, Message { source: Address(0x7E8), data: &message })
            {
                assert!(matches!(command.decoder, Decoder::Signals(_)));
                assert!(signals.iter().count() > 0, "PID {pid:02X}");
            }
        }
    }
}

#[test]
fn one_value_answers_agree_with_their_command() {
    for pid in 0..=0xFF {
        let (Some(command), [signal]) = (Command::of(1, pid), layout(pid)) else { continue };
        let Some(length) = command.data_length() else { continue };
        let message: Vec<u8> =
            [0x41, pid, 0x83, 0x27, 0x11, 0x45].into_iter().take(2 + usize::from(length)).collect();
        let value = decode(command, Message { source: Address(0x7E8), data: &message });
        if let (Ok(Value::Quantity(value)), Some(Reading::Quantity(reading))) =
            (value, signal.read(&message[2..]))
        {
            // The vapour pressures are in kPa here, and in Pa for clients of python-OBD.
            let factor = if value.unit() == reading.unit() { 1.0 } else { 1000.0 };
            let difference = value.to_f64() - reading.to_f64() * factor;
            assert!(difference.abs() < 1e-6, "PID {pid:02X}: {value:#} but {reading:#}");
        }
    }
}
