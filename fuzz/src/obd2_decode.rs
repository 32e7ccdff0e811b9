use cloverleaf_core::bus::{Address, Message};
use cloverleaf_core::obd2::{self, Command, Reading, Value};

/// Any message as the answer to any command: a value only if it answers the command, and then one that prints
/// what it holds.
///
/// The first two bytes are the request (service 0 stands for the adapter), the rest is the message.
pub fn obd2_decode(data: &[u8]) {
    let [service, pid, data @ ..] = data else {
        return;
    };
    let command = match service {
        0 => obd2::table::ADAPTER.get(usize::from(pid & 1)),
        _ => Command::of_request(&[*service, *pid]).or_else(|| Command::of_request(&[*service])),
    };
    let broadcast = Message { source: Address(u32::from_be_bytes([0x18, 0xFE, *service, *pid])), data };
    obd2::j1939::parameters(broadcast).filter_map(|(_, value)| value).for_each(check);
    let _ = obd2::j1939::faults(broadcast).map(|(_, faults)| faults.count());
    let _ = obd2::j1939::identification(broadcast);
    let Some(command) = command else {
        return;
    };
    let message = Message { source: Address(0x7E8), data };
    let decoded = obd2::decode(command, message);
    if let Ok(value) = decoded {
        let service = command.service().expect("a service: the adapter's commands have no answer on the bus");
        assert_eq!(data.first(), Some(&(service + 0x40)), "the answer names its service");
        assert!(command.pid().is_none_or(|pid| data.get(1) == Some(&pid)), "and its PID");
        show(value);
    }
    let declined = matches!(data, [0x7F, service, .., _code] if Some(*service) == command.service());
    assert_eq!(declined, matches!(decoded, Err(obd2::DecodeError::Negative { .. })));
    assert_eq!(
        obd2::answers(command, [message].into_iter()).next().map(|answer| answer.value),
        Some(decoded)
    );
    if let Ok(split) = obd2::Split::new(1, message) {
        for part in split {
            let _ = part.value.map(show);
        }
    }
    if let Ok(value) = obd2::decode_adapter(command, data) {
        show(value);
    }
    let _ = obd2::uds::codes(data).map(Iterator::count);
    let _ = obd2::reply::payload(data, data);
}

fn show(value: Value<'_>) {
    assert!(!value.to_string().is_empty() || matches!(value, Value::Text(_) | Value::Numbers(_)));
    match value {
        Value::Quantity(quantity) => check(quantity),
        Value::Signals(signals) => {
            for (_, reading) in signals.iter() {
                if let Some(Reading::Quantity(quantity)) = reading {
                    check(quantity);
                }
            }
        }
        Value::Tests(tests) => tests.iter().filter_map(|test| test.quantities()).flatten().for_each(check),
        _ => {}
    }
}

/// The decimal digits and the float are the same number.
fn check(quantity: obd2::Quantity) {
    let printed: f64 = quantity.to_string().parse().expect("a number");
    let exact = quantity.to_f64();
    assert!((printed - exact).abs() <= 5.1e-7, "{printed} is not {exact}");
}
