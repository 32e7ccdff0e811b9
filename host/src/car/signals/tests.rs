use cloverleaf_core::bus::Address;
use serde_json::json;

use super::*;

const MEADOW: &str = include_str!("../../../tests/signals/meadow.json");

fn meadow() -> Signals {
    Signals::from_text("meadow.json", MEADOW).unwrap_or_else(|error| panic!("{error}"))
}

fn message(source: u32, data: &[u8]) -> Message<'_> {
    Message { source: Address(source), data }
}

/// The signals of the one command that is meant by `request`, in a reply.
fn values(request: &str, year: Option<u16>, reply: &Message<'_>) -> serde_json::Value {
    let signals = meadow();
    let request = request.parse().expect("a request");
    let command = signals.answered(&request, year, [*reply].into_iter()).expect("a known command");
    let values = command.read([*reply]).expect("an answer");
    values.into_iter().map(|(signal, value)| (signal.id.clone(), json!(value))).collect()
}

#[test]
fn values_are_exact_and_whole_numbers_stay_whole() {
    let reply = message(0x7E8, &[0x62, 0x10, 0x01, 0x01, 0xE2, 0x40, 0x52, 0xFF, 0xE1]);
    assert_eq!(
        values("7E0.7E8.221001", None, &reply),
        json!({"MEADOW_ODO": 123_456, "MEADOW_OIL_T": 42, "MEADOW_TORQUE": -0.2, "MEADOW_LAMP": 1})
    );
}

#[test]
fn what_the_reply_does_not_hold_is_absent() {
    // FF is 215 °C, the value that means "not available"; then the data end.
    let reply = message(0x7E8, &[0x62, 0x10, 0x01, 0, 0, 1, 0xFF]);
    let absent = json!({"MEADOW_ODO": 1, "MEADOW_OIL_T": null, "MEADOW_TORQUE": null, "MEADOW_LAMP": null});
    assert_eq!(values("221001", None, &reply), absent);
}

#[test]
fn values_are_kept_in_their_range_but_null_is_looked_for_first() {
    let tires = |data: &[u8]| values("750.758.2130|e=2A", None, &message(0x758, data));
    assert_eq!(tires(&[0x61, 0x30, 0x91, 0xFF]), json!({"MEADOW_TP_FL": 2, "MEADOW_TP_FR": 3.8}));
    assert_eq!(tires(&[0x61, 0x30, 29, 28]), json!({"MEADOW_TP_FL": null, "MEADOW_TP_FR": null}));
}

#[test]
fn bytes_may_come_least_significant_first() {
    let reply = message(0x607, &[0x62, 0xD1, 0x11, 0x2B, 0x02]);
    assert_eq!(values("6F1.607.22D111|e=07", None, &reply), json!({"MEADOW_SOC": 55.5}));
}

#[test]
fn states_have_names_and_texts_are_texts() {
    let gear = |data: &[u8]| values("7E1.2185", None, &message(0x7E9, data));
    assert_eq!(gear(b"\x61\x85\x10CL-01\0"), json!({"MEADOW_GEAR": "R", "MEADOW_SERIAL": "CL-01"}));
    assert_eq!(gear(&[0x61, 0x85, 0xF0])["MEADOW_GEAR"], "N");
    assert_eq!(gear(&[0x61, 0x85, 0x70]), json!({"MEADOW_GEAR": null, "MEADOW_SERIAL": null}));
}

#[test]
fn the_range_tells_when_add_was_meant_before_mul() {
    for (byte, trim) in [(0x80, json!(0)), (0x6B, json!(-16.40625)), (0xFF, json!(99.2)), (0, json!(-100))] {
        let data = [0x41, 0x06, byte];
        assert_eq!(
            values("7E0.0106", None, &message(0x7EE, &data)),
            json!({"SHRTFT1": trim}),
            "from any ECU"
        );
    }
}

#[test]
fn outside_the_standard_a_formula_is_what_it_says() {
    let set = r#"{"commands": [{"hdr": "797", "rax": "79A", "cmd": {"22": "115D"}, "freq": 1, "signals": [{"id": "AIR",
        "fmt": {"len": 8, "max": 192.69, "min": -36.81, "mul": 0.9, "add": -40.9, "unit": "fahrenheit"}}]}]}"#;
    let signals = Signals::from_text("set", set).expect("a signal set");
    let value = signals.commands()[0].decode(&[0x5C]).next().and_then(|(_, value)| value);
    assert_eq!(value, Some(Value::Real(41.9)), "not (92 - 40.9) * 0.9");
}

#[test]
fn the_year_chooses_between_commands_of_one_request() {
    let fuel = |request: &str, year| values(request, year, &message(0x7E8, &[0x62, 0x10, 0x02, 100]));
    assert_eq!(fuel("7E0.7E8.221002|f=-2019", None), json!({"MEADOW_FUEL": 50}), "the name tells");
    assert_eq!(fuel("7E0.7E8.221002", Some(2017)), json!({"MEADOW_FUEL": 50}));
    assert_eq!(fuel("7E0.221002", Some(2018)), json!({"MEADOW_FUEL": 20}), "both have 2018: the last loaded");
    assert_eq!(fuel("7E0.221002", Some(2024)), json!({"MEADOW_FUEL": 20}));
    assert_eq!(fuel("221002", None), json!({"MEADOW_FUEL": 20}), "the last loaded");
}

#[test]
fn names_are_signals_or_requests() {
    let signals = meadow();
    let Some(Named::Signal(command, _)) = signals.find("MEADOW_CELL", None) else {
        panic!("MEADOW_CELL is a signal");
    };
    assert_eq!(command.request.to_string(), "FC00.FE007B.22028C|ta=7B,c=17");
    assert_eq!(command.sessions, Sessions { before: Some(3), after: None });
    assert_eq!(command.every, Some(Duration::from_secs(1)));
    assert_eq!(command.request.route().receive, Some(Address(0x17FE_007B)));

    let Some(Named::Signal(command, _)) = signals.find("MEADOW_FUEL", Some(2005)) else {
        panic!("MEADOW_FUEL is a signal");
    };
    assert_eq!(command.request.to_string(), "7E0.7E8.221002|f=-2019");

    let request = "750.758.2130|t=32,e=2A,ta=2A,fc=1";
    let Some(Named::Command(command)) = signals.find(request, None) else {
        panic!("{request} is a command");
    };
    let route = command.request.route();
    assert_eq!(
        (route.extended, route.timeout),
        (Some(0x2A), Some(cloverleaf_core::time::Duration::from_millis(200)))
    );
    assert_eq!(signals.find("7E2.221001", None), None, "another ECU is another command");
    assert_eq!(signals.find("MEADOW", None), None);
}

#[test]
fn an_answer_is_the_service_the_identifier_and_the_right_ecu() {
    let signals = meadow();
    let Some(Named::Command(command)) = signals.find("7E0.7E8.221001", None) else {
        panic!("a command");
    };
    assert!(command.is_answered_by(&message(0x7E8, &[0x62, 0x10, 0x01, 7])));
    for other in
        [&[][..], &[0x62], &[0x62, 0x10], &[0x62, 0x10, 0x02, 7], &[0x7F, 0x22, 0x31], &[0x22, 0x10, 0x01]]
    {
        assert!(!command.is_answered_by(&message(0x7E8, other)), "{other:X?}");
    }
    assert!(!command.is_answered_by(&message(0x7E9, &[0x62, 0x10, 0x01, 7])), "another ECU");
    let refusals = [&[0x7F, 0x22, 0x78][..], &[0x7F, 0x22, 0x31], &[0x59, 0x02]];
    assert!(matches!(
        command.read(refusals.map(|data| message(0x7E8, data))),
        Err(DecodeError::Negative { code, .. }) if code.0 == 0x31
    ));
}

#[test]
fn the_name_of_a_file_may_give_its_years() {
    let folder = std::env::temp_dir().join(format!("cloverleaf-years-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    // The same command in every file; only its length differs.
    let set = |length| {
        format!(
            r#"{{"commands": [{{"hdr": "7E0", "rax": "7E8", "cmd": {{"22": "1234"}},
            "signals": [{{"id": "X", "fmt": {{"len": {length}, "unit": "scalar"}}}}]}}]}}"#
        )
    };
    let names = ["0000-2004", "2005-2018", "2019", "default"];
    for (name, length) in names.iter().zip([8, 16, 24, 32]) {
        std::fs::write(folder.join(format!("{name}.json")), set(length)).expect("a temporary file");
    }
    // Whatever their order.
    for files in [names, ["default", "2019", "0000-2004", "2005-2018"]] {
        let signals =
            Signals::load(files.map(|name| folder.join(format!("{name}.json")))).expect("signal sets");
        for (year, length) in [(2003, 8), (2005, 16), (2018, 16), (2019, 24), (2024, 32)] {
            let (_, signal) = signals.signals("X", Some(year))[0];
            assert_eq!(signal.format.length, length, "{year}");
            let request = "7E0.7E8.221234".parse().expect("a request");
            let reply = message(0x7E8, &[0x62, 0x12, 0x34, 0, 0, 0, 1]);
            let command = signals.answered(&request, Some(year), [reply].into_iter()).expect("a command");
            assert_eq!(command.signals[0].format.length, length, "{year}");
        }
    }
    std::fs::remove_dir_all(&folder).expect("the temporary folder");
}

#[test]
fn numbers_of_64_bits_have_limits_and_factors_may_be_small() {
    let value = |fmt: &str, data: &[u8]| {
        let set = format!(
            r#"{{"commands": [{{"hdr": "7E0", "rax": "1EC60", "cmd": {{"22": "1234"}},
            "signals": [{{"id": "X", "fmt": {fmt}}}]}}]}}"#
        );
        let signals = Signals::from_text("x.json", &set).unwrap_or_else(|error| panic!("{error}"));
        signals.commands()[0].decode(data).next().and_then(|(_, value)| value)
    };
    let full = r#"{"len": 64, "max": 18446744073709551615, "nullmax": 18446744073709551615}"#;
    assert_eq!(value(full, &[0xFF; 8]), None, "all bits set mean: not available");
    assert_eq!(
        value(full, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE]),
        Some(Value::Real(u64::MAX as f64))
    );
    assert_eq!(value(r#"{"len": 8, "max": 1e300}"#, &[7]), Some(Value::Integer(7)), "no value reaches it");
    assert_eq!(value(r#"{"len": 8, "mul": 1e-13}"#, &[2]), Some(Value::Real(2e-13)));
}

#[test]
fn the_address_of_the_answer_decides_when_the_header_is_unknown() {
    let signals = meadow();
    let request = "7DF.22D111".parse().expect("a request");
    let reply = message(0x607, &[0x62, 0xD1, 0x11, 0, 0]);
    let soc = signals.answered(&request, None, [reply].into_iter());
    assert_eq!(soc.map(|command| command.signals.len()), Some(1));
    let unknown = "7E0.22FFFF".parse().expect("a request");
    assert!(signals.answered(&unknown, None, [reply].into_iter()).is_none());
}

#[test]
fn errors_name_file_command_and_key() {
    let signal = |fmt: &str| {
        let signals = format!(
            r#"[{{"id": "A", "fmt": {{"len": 8, "max": 1, "unit": "scalar"}}}}, {{"id": "B", {fmt}}}]"#
        );
        format!(
            r#"{{"commands": [{{"hdr": "7E0", "rax": "7E8", "cmd": {{"22": "1001"}}, "signals": {signals}}}]}}"#
        )
    };
    let command = |keys: &str| {
        let signals = r#""signals": [{"id": "A", "fmt": {"len": 8, "max": 1, "unit": "scalar"}}]"#;
        format!(r#"{{"commands": [{{{keys}, {signals}}}]}}"#)
    };
    for (text, error) in [
        (String::new(), "x.json: not JSON: EOF while parsing a value at line 1 column 0"),
        ("[]".to_owned(), "x.json: the file: must be an object"),
        ("{}".to_owned(), "x.json: commands: missing"),
        (r#"{"commands": {}}"#.to_owned(), "x.json: commands: must be an array"),
        (r#"{"commands": [7]}"#.to_owned(), "x.json: commands[0]: the command: must be an object"),
        (command(r#""cmd": {"22": "1001"}"#), "x.json: commands[0] (221001): hdr: missing"),
        (
            command(r#""hdr": 7, "cmd": {"22": "1001"}"#),
            "x.json: commands[0] (221001): hdr: must be a string",
        ),
        (
            command(r#""hdr": "7EX", "cmd": {"22": "1001"}"#),
            "x.json: commands[0] (7EX.221001): hdr: `7EX` is not an address of 3, 4, 6 or 8 hexadecimal digits",
        ),
        (
            command(r#""hdr": "7E0", "cmd": {"22": "100"}"#),
            "x.json: commands[0] (7E0.22100): cmd: `22100` is not a service and identifier of 1 to 7 hexadecimal bytes",
        ),
        (
            command(r#""hdr": "7E0", "cmd": {"01": "0C", "21": "01"}"#),
            "x.json: commands[0] (7E0.010C): cmd: must be an object of one service and its identifier",
        ),
        (
            command(r#""hdr": "7E0", "cmd": {"01": "0C"}, "eax": "2AF"}"#.trim_end_matches('}')),
            "x.json: commands[0] (7E0.010C): eax: must be two hexadecimal digits",
        ),
        (
            command(r#""hdr": "7E0", "cmd": {"01": "0C"}, "fcm1": 1"#),
            "x.json: commands[0] (7E0.010C): fcm1: must be true or false",
        ),
        (
            command(r#""hdr": "7E0", "cmd": {"01": "0C"}, "freq": 0"#),
            "x.json: commands[0] (7E0.010C): freq: 0.0 is outside 0.001 to 1e9 seconds",
        ),
        (
            command(r#""hdr": "7E0", "cmd": {"01": "0C"}, "filter": {"from": "2020"}"#),
            "x.json: commands[0] (7E0.010C): filter.from: must be a number",
        ),
        (signal(r#""name": "B""#), "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt: missing"),
        (
            signal(r#""fmt": {"max": 1, "unit": "scalar"}"#),
            "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt.len: missing",
        ),
        (
            signal(r#""fmt": {"len": 0, "max": 1, "unit": "scalar"}"#),
            "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt.len: 0.0 is outside 1 to the end of a reply",
        ),
        (
            signal(r#""fmt": {"len": 8, "bix": -1, "max": 1, "unit": "scalar"}"#),
            "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt.bix: -1.0 is outside 0 to the end of a reply",
        ),
        (
            signal(r#""fmt": {"len": 8, "max": 1, "div": 0, "unit": "scalar"}"#),
            "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt.div: 0.0 is outside the numbers but zero",
        ),
        (
            signal(r#""fmt": {"len": 8, "mul": 1e40, "unit": "scalar"}"#),
            "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt.mul: 1e40 is outside what is exact in 128 bits",
        ),
        (
            command(r#""hdr": "7E0", "din": "02", "cmd": {"22": "1001"}"#),
            "x.json: commands[0] (7E0.221001): din: must be a session for reading; 02 is for programming",
        ),
        (
            signal(r#""fmt": {"len": 8, "map": {"on": "ON"}}"#),
            "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt.map.on: `on` is not a whole number",
        ),
        (
            signal(r#""fmt": {"len": 8, "map": {"1": {"description": "on"}}}"#),
            "x.json: commands[0] (7E0.7E8.221001): signals[1].fmt.map.1.value: missing",
        ),
    ] {
        match Signals::from_text("x.json", &text) {
            Err(found) => assert_eq!(found.to_string(), error),
            Ok(_) => panic!("loaded: {text}"),
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Signals::load(["no/such/set.json"]).expect_err("it is not there");
    assert!(error.to_string().starts_with("no/such/set.json: "), "{error}");
}
