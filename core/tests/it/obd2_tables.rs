//! The tables themselves: order, names, lengths.

use std::collections::HashSet;

use cloverleaf_core::{
    bus::{Address, Message},
    obd2::{self, Ask, Command, DecodeError, Decoder, Ecu, Kind, Scaling, Unit, table},
};

#[test]
fn rows_are_in_the_order_of_their_pids() {
    let tables = [
        table::SERVICE_01,
        table::SERVICE_02,
        table::SERVICE_05,
        table::SERVICE_06,
        table::SERVICE_08,
        table::SERVICE_09,
    ];
    for table in tables {
        let pids: Vec<_> = table.iter().map(|command| command.pid().unwrap()).collect();
        assert!(pids.is_sorted_by(|a, b| a < b), "{pids:02X?}");
    }
}

#[test]
fn names_and_requests_are_unique() {
    let mut names = HashSet::new();
    let mut codes = HashSet::new();
    for command in Command::all() {
        assert!(names.insert(command.name), "{} twice", command.name);
        assert!(codes.insert(command.code().to_string()), "{} twice", command.code());
        assert!(!command.description.is_empty(), "{}", command.name);
        let spelling = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        assert!(command.name.bytes().all(spelling), "{}", command.name);
        assert_eq!(Command::named(command.name), Some(command));
    }
}

#[test]
fn requests_find_their_command() {
    for command in Command::all() {
        let request = command.request();
        match command.ask {
            Ask::Adapter(text) => {
                assert!(request.is_empty() && text.starts_with("AT"));
                assert_eq!(command.ecu, Ecu::Unknown);
            }
            _ => assert_eq!(Command::of_request(&request), Some(command), "{}", command.name),
        }
    }
    assert_eq!(Command::of(0x01, 0x0C).unwrap().name, "RPM");
    assert_eq!(Command::of(0x0B, 0x00), None);
    assert_eq!(Command::of(0x06, 0x11), None);
    assert_eq!(Command::of_request(&[]), None);
}

#[test]
fn a_freeze_frame_is_the_row_of_service_01_under_another_service() {
    assert_eq!(table::SERVICE_01.len(), table::SERVICE_02.len());
    for (live, frozen) in table::SERVICE_01.iter().zip(table::SERVICE_02) {
        assert_eq!(frozen.name, format!("DTC_{}", live.name));
        assert_eq!(frozen.description, format!("DTC {}", live.description));
        assert_eq!((frozen.bytes, frozen.decoder), (live.bytes, live.decoder));
        assert_eq!(frozen.request_with(2), [2, live.pid().unwrap(), 2]);
    }
}

#[test]
fn lengths_agree_with_decoders() {
    for command in Command::all() {
        let (Some(service), Some(length)) = (command.service(), command.data_length()) else {
            continue;
        };
        let answer = |length: u8| {
            let mut data = vec![service + 0x40];
            data.extend(command.pid());
            data.extend((service == 2 || service == 5).then_some(0));
            data.resize(data.len() + usize::from(length), b' ');
            let message = Message { source: Address(0x7E8), data: &data };
            obd2::decode(command, message).map(|_| ())
        };
        assert_eq!(answer(length), Ok(()), "{}: the length of the row is enough", command.name);
        if let Decoder::Scaled(_) = command.decoder {
            let short = DecodeError::Short { needed: length.into(), found: u16::from(length) - 1 };
            assert_eq!(answer(length - 1), Err(short), "{}: and not less", command.name);
        }
        if let Decoder::Signals(signals) = command.decoder {
            let end = signals.iter().map(|signal| signal.bit + u16::from(signal.bits)).max();
            assert!(end.unwrap().div_ceil(8) <= length.into(), "{}: signals end with the data", command.name);
        }
    }
}

#[test]
fn signals_of_a_command_are_distinct_and_narrow() {
    for command in Command::all() {
        let (Decoder::Signals(signals) | Decoder::Counters(signals)) = command.decoder else {
            continue;
        };
        let mut ids = HashSet::new();
        for signal in signals {
            assert!(ids.insert(signal.id), "{}.{} twice", command.name, signal.id);
            assert!((1..=32).contains(&signal.bits), "{}.{}", command.name, signal.id);
            assert!(signal.kind != Kind::Flag || signal.bits == 1, "{}.{}", command.name, signal.id);
        }
    }
}

#[test]
fn every_scaling_is_sound_and_every_uas_resolves() {
    for &scaling in Scaling::ALL {
        let factors = scaling.factors();
        assert!(factors.divide >= 1 && factors.multiply >= 1, "{scaling:?}");
        assert!(factors.multiply < 1 << 20 && factors.add.abs() < 1 << 20, "{scaling:?}: 39 bits fit");
        assert_eq!(obd2::Quantity::new(0, scaling).scaling(), scaling);
        let name = format!("{scaling:?}");
        if let Some(id) = name.strip_prefix("Uas") {
            let id = u8::from_str_radix(id, 16).unwrap();
            assert_eq!(Scaling::from_uas(id), Some(scaling));
            assert_eq!(factors.signed, id >= 0x80, "{scaling:?}: SAE J1979, annex E");
        }
    }
    assert_eq!(Scaling::from_uas(0x00), None);
    assert_eq!(Scaling::from_uas(0x2E), None, "true or false, no quantity");
    assert_eq!((1..=0xFF).filter(|&id| Scaling::from_uas(id).is_some()).count(), 91);
}

#[test]
fn every_unit_has_one_name_of_each_kind() {
    let names: HashSet<_> = Unit::ALL.iter().map(|unit| unit.pint()).collect();
    assert_eq!(names.len(), Unit::ALL.len());
}
