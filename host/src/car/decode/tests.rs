use serde_json::{Value as Json, json};

use super::*;

const MEADOW: &str = include_str!("../../../tests/signals/meadow.json");

/// The report on a reply, as JSON, without signal sets.
fn plain(command: &str, reply: &str) -> Json {
    report(&Signals::default(), &Question { command, reply, ..Question::default() })
}

/// The same with the signal set of the invented car.
fn meadow(command: &str, reply: &str) -> Json {
    let signals = Signals::from_text("meadow.json", MEADOW).expect("a signal set");
    report(&signals, &Question { command, reply, ..Question::default() })
}

fn report(signals: &Signals, question: &Question<'_>) -> Json {
    serde_json::to_value(Decoder::new(signals).decode(question)).expect("JSON")
}

#[test]
fn a_name_a_request_and_a_request_with_header_ask_the_same() {
    let rpm = json!({"ecu": "7E8", "value": 1500.0, "unit": "rpm", "signals": {"RPM": 1500}, "units": {"RPM": "rpm"}});
    for command in ["RPM", "rpm", "010C", "01 0c", "7E0.010C", "7E0.7E8.010C|f=2018-"] {
        for reply in ["7E8 04 41 0C 17 70", "7E804410C1770\r\r>", "010C1\r7E8 04 41 0C 17 70 00 00 00 \r\r>"]
        {
            assert_eq!(plain(command, reply)["answers"], json!([rpm]), "{command}: {reply}");
        }
    }
    assert_eq!(plain("010C", "7E804410C1770")["command"], "RPM");
    assert_eq!(plain("7E0.010C", "7E804410C1770")["command"], "7E0.010C");
}

#[test]
fn the_lines_tell_the_bus_and_the_headers() {
    for (reply, ecu) in [
        ("18 DA F1 10 04 41 0C 17 70", json!("18DAF110")),
        ("18DAF1EF04410C1770AAAAAA", json!("18DAF1EF")),
        ("7EB 04 41 0C 17 70", json!("7EB")),
        ("48 6B 10 41 0C 17 70 97", json!("10")),
        ("84 F1 10 41 0C 17 70 59", json!("10")),
        ("41 0C 17 70", Json::Null),
        ("SEARCHING...7E8 04 41 0C 17 70", json!("7E8")),
    ] {
        let report = plain("010C", reply);
        assert_eq!(report["answers"][0]["value"], 1500.0, "{reply}: {report}");
        assert_eq!(report["answers"][0]["ecu"], ecu, "{reply}");
    }
}

#[test]
fn long_replies_are_put_together_with_and_without_headers() {
    for reply in [
        "7E8 10 14 49 02 01 31 43 4C \r7E8 21 56 52 4C 45 41 33 54 \r7E8 22 4D 30 30 30 30 34 32 \r\r>",
        "014 \r0: 49 02 01 31 43 4C \r1: 56 52 4C 45 41 33 54 \r2: 4D 30 30 30 30 34 32 \r\r>",
    ] {
        assert_eq!(plain("VIN", reply)["answers"][0]["value"], "1CLVRLEA3TM000042", "{reply}");
    }
}

#[test]
fn every_ecu_answers_for_itself_and_the_last_counts_for_all() {
    let report = plain("010D", "7E8 03 41 0D 1E\r7E9 03 41 0D 1F\r7E8 03 41 0D 1E");
    let speeds: Vec<_> =
        report["answers"].as_array().unwrap().iter().map(|answer| &answer["value"]).collect();
    assert_eq!(speeds, [&json!(30.0), &json!(31.0)]);
    assert_eq!(report["signals"], json!({"VSS": 30}), "7E8 spoke last");
}

#[test]
fn refusals_are_errors_of_one_answer_and_pending_is_none() {
    let refused = plain("010C", "7E8 03 7F 01 12");
    let error = json!({"nrc": 18, "text": "sub-function not supported or invalid format"});
    assert_eq!(refused["answers"], json!([{"ecu": "7E8", "error": error}]));
    let patient = plain("010C", "7E8 03 7F 01 78\r7E8 04 41 0C 17 70");
    assert_eq!(patient["answers"][0]["value"], 1500.0);
    assert_eq!(patient["answers"][0].get("error"), None);
    let mixed = plain("010C", "7E9 03 7F 01 11\r7E8 04 41 0C 17 70");
    assert_eq!(
        (&mixed["answers"][0]["error"]["nrc"], &mixed["answers"][1]["value"]),
        (&json!(17), &json!(1500.0))
    );
}

#[test]
fn strays_echoes_and_lost_messages_do_not_disturb() {
    let reply = "> 7B0.7B8.2121|f=2007-\r7E8 06 41 00 BE 3F A8 13\r7E8 21 00 00 00 00\r7E8 04 41 0C 17 70";
    assert_eq!(plain("010C", reply)["answers"].as_array().map(Vec::len), Some(1));
    let stray = plain("010C", "7E8 03 41 05 7B");
    assert_eq!(stray["error"], "no message answers the command; 7E8 sent 41057B");
    let lost = plain("0902", "7E8 10 14 49 02 01 31 43 4C\r7E8 22 4D 30 30 30 30 34 32");
    assert_eq!(lost["losses"], json!([{"ecu": "7E8", "reason": "part 2 arrived where part 1 was due"}]));
    let damaged = plain("010C", "7E8 04 41 0C 17 70 <DATA ERROR");
    assert_eq!((&damaged["status"], &damaged["answers"]), (&json!(["DATA ERROR"]), &json!([])));
}

#[test]
fn status_lines_are_no_errors_and_nothing_at_all_is() {
    let report = plain("010C", "SEARCHING...\rUNABLE TO CONNECT\r\r>");
    assert_eq!(
        report,
        json!({"command": "RPM", "status": ["SEARCHING...", "UNABLE TO CONNECT"], "answers": []})
    );
    assert_eq!(plain("010C", "")["error"], "the reply holds no data");
    assert_eq!(plain("010C", "bonjour")["error"], "the reply holds no data");
    assert_eq!(plain("010C", "7E8")["error"], "no line is a frame: the frame is cut short");
    let unknown = plain("FOO", "7E8 04 41 0C 17 70");
    assert_eq!(
        unknown["error"],
        "`FOO` is no command: `FOO` is not a service and identifier of 1 to 7 hexadecimal bytes"
    );
}

#[test]
fn values_that_the_car_has_not_got_are_named() {
    let answer = &plain("0166", "7E8 07 41 66 01 00 61 12 34")["answers"][0];
    assert_eq!(answer["value"]["MAFA"], json!({"value": 3.03125, "unit": "g/s"}));
    assert_eq!(answer["value"].get("MAFB"), None);
    assert_eq!(answer["unavailable"], json!(["MAFB"]));
    assert_eq!(answer["signals"], json!({"MAFA": 3.03125, "MAFA_SUP": 1, "MAFB": 145.625, "MAFB_SUP": 0}));
}

#[test]
fn one_request_for_several_pids_has_an_answer_for_each() {
    let report = plain("010C0D05", "7E8 08 41 0C 17 70 0D 1E 05 7B\r7E9 03 41 0D 1F");
    let shown: Vec<_> = report["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| format!("{} {} {}", answer["ecu"], answer["command"], answer["value"]))
        .collect();
    assert_eq!(
        shown,
        [
            r#""7E8" "RPM" 1500.0"#,
            r#""7E8" "SPEED" 30.0"#,
            r#""7E8" "COOLANT_TEMP" 83.0"#,
            r#""7E9" "SPEED" 31.0"#,
        ]
    );
}

#[test]
fn what_no_table_knows_is_shown_as_it_is() {
    let report = plain("22F190", "7E8 10 08 62 F1 90 31 43 4C\r7E8 21 56 52 00");
    assert_eq!(report["answers"], json!([{"ecu": "7E8", "data": "31434C5652", "text": "1CLVR"}]));
    assert_eq!(plain("ATRV", "12.3V\r\r>")["answers"][0]["value"], 12.3);
    assert_eq!(plain("ELM_VERSION", "ATI\rELM327 v1.5")["answers"][0]["value"], "ELM327 v1.5");
}

// Signal sets.

#[test]
fn signals_answer_to_the_request_and_to_their_own_name() {
    let reply = "7E8 10 09 62 10 01 01 E2 40\r7E8 21 52 FF E1 00 00 00 00";
    let all = meadow("7E0.7E8.221001", reply);
    let signals = json!({"MEADOW_ODO": 123_456, "MEADOW_OIL_T": 42, "MEADOW_TORQUE": -0.2, "MEADOW_LAMP": 1});
    assert_eq!(all["answers"][0]["signals"], signals);
    assert_eq!(all["signals"], signals);
    assert_eq!(
        all["answers"][0]["units"],
        json!({"MEADOW_ODO": "km", "MEADOW_OIL_T": "°C", "MEADOW_TORQUE": "N·m"})
    );
    let one = &meadow("MEADOW_OIL_T", reply)["answers"][0];
    assert_eq!(
        (&one["value"], &one["unit"], &one["signals"]),
        (&json!(42), &json!("°C"), &json!({"MEADOW_OIL_T": 42}))
    );
}

#[test]
fn other_ecus_than_the_one_that_was_asked_are_not_heard() {
    let report = meadow("7E0.7E8.221002|f=-2019", "7EA 04 62 10 02 10\r7E8 04 62 10 02 64");
    assert_eq!(report["answers"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["signals"], json!({"MEADOW_FUEL": 50}));
}

#[test]
fn extended_addressing_has_an_address_before_the_frame() {
    // Toyota's way: request 750, ECU 2A; the answer repeats the address.
    let tires = meadow("750.758.2130|e=2A,ta=2A,fc=1", "7582A0461309100AA\r");
    assert_eq!(tires["signals"], json!({"MEADOW_TP_FL": 2}));
    assert_eq!(tires["answers"][0]["unavailable"], json!(["MEADOW_TP_FR"]));
    // BMW's way: request 6F1, ECU 07; the answer is addressed to F1. The request need not say so.
    for command in ["6F1.607.22D111|e=07,ta=F1,fc=1", "6F1.607.22D111", "6F1.22D111", "22D111", "MEADOW_SOC"]
    {
        let report = meadow(command, "607F10562D1112B02\r");
        assert_eq!(report["signals"], json!({"MEADOW_SOC": 55.5}), "{command}: {report}");
        let long = meadow(command, "607 F1 10 08 62 D1 11 2B 02\r607 F1 21 00 00 00 FF FF FF");
        assert_eq!(long["signals"], json!({"MEADOW_SOC": 55.5}), "{command}: {long}");
    }
}

#[test]
fn any_29_bit_identifier_can_answer() {
    for command in ["FC00.FE007B.22028C|ta=7B,c=17", "FC00.22028C", "MEADOW_CELL"] {
        let report = meadow(command, "17FE007B 06 62 02 8C 00 0F A0 55\r");
        assert_eq!(report["signals"], json!({"MEADOW_CELL": 4000}), "{command}: {report}");
    }
}

#[test]
fn service_01_of_a_set_is_answered_by_any_ecu_on_any_bus() {
    for (command, reply) in [
        ("7E0.0106", "7EE 03 41 06 80"),
        ("7E0.0106", "18DAF11E 03 41 06 80"),
        ("DB33.0106", "18DAF1EF 04 41 06 80 FF"),
        ("DB33.0106", "7E8 03 41 06 80"),
        ("0106", "7E9 03 41 06 80"),
    ] {
        let report = meadow(command, reply);
        assert_eq!(report["signals"], json!({"SHRTFT1": 0}), "{command} {reply}: {report}");
        assert_eq!(report["answers"][0]["value"], 0.0);
    }
}

#[test]
fn old_names_of_a_command_still_find_it() {
    // With a receive address that the set does not have, or without one, or with other years.
    for command in ["7E1.7E9.2185", "7E1.2185|f=2010-", "2185"] {
        assert_eq!(meadow(command, "7E9 03 61 85 10")["signals"], json!({"MEADOW_GEAR": "R"}), "{command}");
    }
    let unknown = meadow("7E1.22FFFF", "7E9 04 62 FF FF 07");
    assert_eq!(unknown["answers"][0]["data"], "07");
}

#[test]
fn of_repeated_messages_the_last_counts_and_what_it_lacks_stays() {
    let report =
        meadow("7E0.7E8.221001", "7E8 10 09 62 10 01 00 00 64\r7E8 21 52 FF E1\r7E8 06 62 10 01 00 00 65");
    let signals = json!({"MEADOW_ODO": 101, "MEADOW_OIL_T": 42, "MEADOW_TORQUE": -0.2, "MEADOW_LAMP": 1});
    assert_eq!(report["signals"], signals);
}

#[test]
fn no_reply_whatsoever_is_too_much() {
    let signals = Signals::from_text("meadow.json", MEADOW).expect("a signal set");
    let mut decoder = Decoder::new(&signals);
    let endless: String =
        (0..3000).map(|id| format!("{:03X} 10 FF 62 10 01 00 00 00\r", id % 0x800)).collect();
    let mut replies = vec![endless, "7E8".repeat(100_000), ">\r\n\0".repeat(1000), "é".repeat(99)];
    // Every single frame of any length and first byte.
    replies.extend((0..=0xFF_u8).map(|first| format!("7E8 {first:02X} 62 10 01")));
    for reply in &replies {
        for command in
            ["221001", "750.758.2130|e=2A", "010C", "0902", "ATRV", "7E0.0C|", "|", "....", "MEADOW_ODO"]
        {
            let report = decoder.decode(&Question { command, reply, ..Question::default() });
            // Every ECU that spoke, and at most one more answer of each than PIDs asked.
            assert!(report.answers.len() <= MESSAGES, "{command}: {}", report.answers.len());
            assert!(report.refused.len() <= MESSAGES);
        }
    }
}

#[test]
fn a_frozen_value_is_the_same_with_and_without_a_frame_number() {
    for command in ["020C", "020C00"] {
        let report = plain(command, "7E8 05 42 0C 00 17 70");
        assert_eq!(report["answers"][0]["value"], 1500.0, "{command}");
        assert_eq!(report["signals"], json!({"RPM": 1500}), "{command}");
    }
}

#[test]
fn what_a_refusal_leaves_of_a_long_answer_is_read() {
    // The usual case: 78, then a long answer of which a part is lost.
    let lost = "7E8 10 09 62 10 01 00 00 64\r7E8 22 6E 12 34 00";
    for refusal in ["7E8 03 7F 22 78", "7E8 03 7F 22 31"] {
        let report = meadow("7E0.7E8.221001", &format!("{refusal}\r{lost}"));
        assert_eq!(report["signals"], json!({"MEADOW_ODO": 100}), "{refusal}");
        assert_eq!(report["answers"].as_array().map(Vec::len), Some(1), "{report}");
        assert_eq!(report["answers"][0].get("error"), None, "{report}");
    }
    // Another ECU's refusal stays beside it.
    let report = meadow("7E0.0106", "7EA 03 7F 01 12\r7E8 10 09 41 06 80 00 00 64\r7E8 22 6E 12 34 00");
    assert_eq!(
        (&report["answers"][0]["error"]["nrc"], &report["answers"][1]["value"]),
        (&json!(18), &json!(0))
    );
}

#[test]
fn of_two_ecus_on_an_older_bus_the_last_to_speak_counts() {
    let (first, second) = ("48 6B 10 41 0D 1E 2F", "48 6B 18 41 0D 1F 38");
    for (reply, speed) in [
        (format!("{first}\r{second}"), 31),
        (format!("{second}\r{first}"), 30),
        (format!("{first}\r{second}\r{first}"), 30),
        ("000007E8 03 41 0D 1E\r000007E9 03 41 0D 1F\r000007E8 03 41 0D 1E".to_owned(), 30),
    ] {
        let report = plain("010D", &reply);
        assert_eq!(report["answers"].as_array().map(Vec::len), Some(2), "{reply}: {report}");
        assert_eq!(report["signals"], json!({"VSS": speed}), "{reply}: {report}");
    }
}

#[test]
fn older_buses_answer_services_in_lines() {
    // Three codes a line, lines of two ECUs mixed; SAE J1979, 6.3 and 6.9.
    let codes = plain(
        "03",
        "48 6B 10 43 01 33 02 44 03 55 D8\r48 6B 18 43 04 20 00 00 00 00 32\r48 6B 10 43 04 66 00 00 00 00 70",
    );
    let codes = codes["answers"].as_array().expect("answers").iter();
    let codes: Vec<_> = codes
        .map(|answer| {
            let codes = answer["value"].as_array().expect("codes").iter();
            codes.map(|code| code["code"].as_str().expect("a code")).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(codes, ["P0133 P0244 P0355 P0466", "P0420"]);
    // Counters come in pairs.
    let counters = plain("0908", "87 F1 10 49 08 01 00 03 00 07 E4\r87 F1 10 49 08 02 00 04 00 05 E4");
    let values = &counters["answers"][0]["value"];
    assert_eq!(
        (&values["OBDCOND"]["value"], &values["CATCOND1"]["value"]),
        (&json!(3.0), &json!(5.0)),
        "{counters}"
    );
}

#[test]
fn several_pids_are_answered_as_each_alone() {
    let report = meadow("01060D95", "7E8 07 41 06 80 0D 1E 95 01");
    let answers = report["answers"].as_array().expect("answers");
    assert_eq!(report["signals"], json!({"SHRTFT1": 0, "VSS": 30}), "{report}");
    assert_eq!((&answers[0]["command"], &answers[0]["value"]), (&json!("SHORT_FUEL_TRIM_1"), &json!(0)));
    // The length of PID 95 is not public, so what follows cannot be told apart.
    let text = answers[2]["error"]["text"].as_str().expect("an error");
    assert!(text.starts_with("9501 is not told apart"), "{text}");
    let refused = plain("010C0D", "7E8 03 7F 01 12");
    assert_eq!(refused["answers"][0]["error"]["nrc"], 18);
}

#[test]
fn a_line_that_is_no_frame_is_told_beside_the_others() {
    let report = plain("03", "48 6B 10 43 01 33 00 00 00 00 3A\r48 6B 18 43 04 20 00 00 00 00 00");
    assert_eq!(report["answers"].as_array().map(Vec::len), Some(1));
    let refused =
        json!([{"line": "48 6B 18 43 04 20 00 00 00 00 00", "reason": "check byte 00 where B6 was due"}]);
    assert_eq!(report["refused"], refused, "{report}");
}

#[test]
fn monitors_of_the_maker_and_codes_of_uds_are_read() {
    let monitor = plain("06E1", "7E8 10 0A 46 E1 80 0A 00 64\r7E8 21 00 00 00 C8");
    assert_eq!(
        (&monitor["command"], &monitor["answers"][0]["value"][0]["mid"]),
        (&json!("06E1"), &json!("E1"))
    );
    let codes = plain("1902FF", "7E8 07 59 02 FF 0A 80 1C 09");
    let answer = &codes["answers"][0];
    assert_eq!((&answer["value"][0]["code"], &answer["data"]), (&json!("P0A80-1C"), &json!("FF0A801C09")));
    assert_eq!(plain("22F18C", "7E8 07 62 F1 8C 41 42 43 44")["answers"][0]["text"], "ABCD");
}

#[test]
fn a_name_of_the_tables_is_that_everywhere_and_a_signal_is_of_the_command_that_is_answered() {
    let set = r#"{"commands": [
        {"hdr": "7E0", "rax": "7E8", "cmd": {"22": "0001"}, "signals": [
            {"id": "RPM", "fmt": {"len": 8, "unit": "rpm"}}, {"id": "TWICE", "fmt": {"bix": 8, "len": 8, "unit": "rpm"}}]},
        {"hdr": "7E0", "rax": "7E8", "cmd": {"22": "0002"}, "signals": [{"id": "TWICE", "fmt": {"len": 8, "unit": "rpm"}}]}
    ]}"#;
    let signals = Signals::from_text("set.json", set).expect("a signal set");
    for (command, reply, value) in [
        ("RPM", "7E8 04 41 0C 17 70", json!(1500.0)),
        ("TWICE", "7E8 05 62 00 01 07 08", json!(8)),
        ("TWICE", "7E8 04 62 00 02 09", json!(9)),
    ] {
        let report = report(&signals, &Question { command, reply, ..Question::default() });
        assert_eq!(report["answers"][0]["value"], value, "{command} {reply}: {report}");
    }
}

#[test]
fn an_oxygen_sensor_that_is_not_used_for_trim_has_none() {
    let answer = &plain("0114", "7E8 04 41 14 5A FF")["answers"][0];
    assert_eq!((&answer["signals"], &answer["unavailable"]), (&json!({"O2S11": 0.45}), &json!(["SHRTFT11"])));
}

#[test]
fn the_last_to_speak_is_the_last_to_answer() {
    let reply = "18DAF11003410434\r18DAF11803410435\r18DAF1100641A60005CA62";
    assert_eq!(plain("0104", reply)["signals"]["LOAD_PCT"], json!(f64::from(0x35) * 100.0 / 255.0));
    let long = "7E8 10 09 62 10 01 00 00 64\r7E8 21 6E 12 34 00\r7E8 03 59 02 FF";
    assert_eq!(meadow("7E0.7E8.221001", long)["signals"]["MEADOW_ODO"], 100);
}

#[test]
fn identifiers_that_look_like_something_else_are_tried_as_can() {
    for (command, reply, ecu) in [
        ("222A0B", "17FE007B04622A0B8F", "17FE007B"),
        ("6F1.618.22DA2E|e=18", "6187F10562DA2E0101", "618"),
        ("6F1.618.22DA2E|e=18", "618 7 F1 05 62 DA 2E 01 01 ", "618"),
    ] {
        let report = plain(command, reply);
        assert_eq!(report["answers"][0]["ecu"], ecu, "{reply}: {report}");
        assert_eq!(report.get("error"), None, "{reply}");
    }
}

#[test]
fn signals_before_a_gap_are_read_and_the_loss_is_told() {
    let report = meadow("7E0.7E8.221001", "7E8 10 09 62 10 01 00 00 64\r7E8 22 6E 12 34 00");
    assert_eq!(report["signals"], json!({"MEADOW_ODO": 100}));
    assert_eq!(report["answers"][0]["unavailable"], json!(["MEADOW_OIL_T", "MEADOW_TORQUE", "MEADOW_LAMP"]));
    assert_eq!(report["losses"], json!([{"ecu": "7E8", "reason": "part 2 arrived where part 1 was due"}]));
    // Texts and lists of the standard are whole or not there.
    let vin = plain("0902", "7E8 10 14 49 02 01 31 43 4C\r7E8 22 4D 30 30 30 30 34 32");
    assert_eq!(vin["answers"], json!([]));
}

#[test]
fn trouble_codes_have_the_words_of_a_table() {
    let table = Descriptions::parse(std::path::Path::new("own.csv"), "P0133,Sensor tired").expect("a table");
    let signals = Signals::default();
    let question = Question { command: "03", reply: "7E8 06 43 02 01 33 03 01", ..Question::default() };
    let report = Decoder::new(&signals).described(&table).decode(&question);
    assert_eq!(
        report.answers[0].value,
        Some(json!([
            {"code": "P0133", "description": "Sensor tired"},
            {"code": "P0301", "description": "Powertrain, SAE: misfire, cylinder 1"},
        ]))
    );
}
