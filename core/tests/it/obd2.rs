//! Answers become values: one row per command and case, bytes in hex.

use cloverleaf_core::{
    bus::{Address, Message},
    obd2::{self, Command, DecodeError, Nrc, Quantity, Scaling, Unit, Value, j1939},
};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The answer to a command as people read it, or the error.
fn shown(name: &str, hex: &str) -> String {
    let data = bytes(hex);
    let message = Message { source: Address(0x7E8), data: &data };
    match obd2::decode(Command::named(name).unwrap(), message) {
        Ok(value) => value.to_string(),
        Err(error) => format!("! {error}"),
    }
}

fn check(rows: &[(&str, &str, &str)]) {
    for &(name, hex, expected) in rows {
        assert_eq!(shown(name, hex), expected, "{name} {hex}");
    }
}

#[test]
#[rustfmt::skip]
fn current_data_decodes_by_the_formula_of_its_pid() {
    // SAE J1979-DA, service 01.
    check(&[
        ("PIDS_A",                  "41 00 BE 3F A8 13", "01 03 04 05 06 07 0B 0C 0D 0E 0F 10 11 13 15 1C 1F 20"),
        ("STATUS",                  "41 01 83 07 FF 00", "MIL on, 3 codes, spark"),
        ("STATUS",                  "41 01 00 08 00 00", "MIL off, 0 codes, compression"),
        ("FREEZE_DTC",              "41 02 01 33",       "P0133"),
        ("FREEZE_DTC",              "41 02 00 00",       "none"),
        ("FUEL_STATUS",             "41 03 02 00",       "Closed loop, using oxygen sensor feedback to determine fuel mix"),
        ("ENGINE_LOAD",             "41 04 80",          "50.196078 %"),
        ("COOLANT_TEMP",            "41 05 7B",          "83 °C"),
        ("SHORT_FUEL_TRIM_1",       "41 06 7F",          "-0.78125 %"),
        ("FUEL_PRESSURE",           "41 0A FF",          "765 kPa"),
        ("INTAKE_PRESSURE",         "41 0B 65",          "101 kPa"),
        ("RPM",                     "41 0C 17 70",       "1500 rpm"),
        ("SPEED",                   "41 0D 3C",          "60 km/h"),
        ("TIMING_ADVANCE",          "41 0E 00",          "-64 °"),
        ("MAF",                     "41 10 01 F4",       "5 g/s"),
        ("AIR_STATUS",              "41 12 02",          "Downstream of catalytic converter"),
        ("O2_SENSORS",              "41 13 33",          "B1S1 B1S2 B2S1 B2S2"),
        ("O2_B1S1",                 "41 14 5A FF",       "0.45 V"),
        ("OBD_COMPLIANCE",          "41 1C 06",          "EOBD (Europe)"),
        ("OBD_COMPLIANCE",          "41 1C FA",          "FA"),
        ("O2_SENSORS_ALT",          "41 1D 05",          "B1S1 B2S1"),
        ("AUX_INPUT_STATUS",        "41 1E 01",          "yes"),
        ("RUN_TIME",                "41 1F 01 00",       "256 s"),
        ("DISTANCE_W_MIL",          "41 21 00 0A",       "10 km"),
        ("FUEL_RAIL_PRESSURE_VAC",  "41 22 FF FF",       "5177.265 kPa"),
        ("O2_S1_WR_VOLTAGE",        "41 24 80 00 FF FF", "8 V"),
        ("EVAP_VAPOR_PRESSURE",     "41 32 FF 80",       "-32 Pa"),
        ("EVAP_VAPOR_PRESSURE",     "41 32 00 80",       "32 Pa"),
        ("O2_S1_WR_CURRENT",        "41 34 80 00 80 01", "0.003906 mA"),
        ("CATALYST_TEMP_B1S1",      "41 3C 11 94",       "410 °C"),
        ("CONTROL_MODULE_VOLTAGE",  "41 42 36 B0",       "14 V"),
        ("ABSOLUTE_LOAD",           "41 43 00 FF",       "100 %"),
        ("COMMANDED_EQUIV_RATIO",   "41 44 FF FF",       "2"),
        ("RUN_TIME_MIL",            "41 4D 00 05",       "5 min"),
        ("MAX_VALUES",              "41 4F 02 05 80 FF", "MAX_EQ_RAT=2 MAX_O2_VOLT=5 V MAX_O2_CURR=128 mA MAX_MAP=2550 kPa"),
        ("MAX_MAF",                 "41 50 FF 00 00 00", "2550 g/s"),
        ("FUEL_TYPE",               "41 51 04",          "Diesel"),
        ("EVAP_VAPOR_PRESSURE_ABS", "41 53 00 C8",       "1 kPa"),
        ("EVAP_VAPOR_PRESSURE_ALT", "41 54 FF FF",       "-1 Pa"),
        ("SHORT_O2_TRIM_B1",        "41 55 80",          "0 %"),
        ("FUEL_INJECT_TIMING",      "41 5D 69 80",       "1 °"),
        ("FUEL_RATE",               "41 5E 00 14",       "1 L/h"),
        ("EMISSION_REQ",            "41 5F 0F",          "Heavy Duty Vehicles (EURO V) B2"),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_other_services_decode() {
    check(&[
        // Service 02: a frame number follows the PID (SAE J1979, 7.2).
        ("DTC_RPM",         "42 0C 00 17 70",             "1500 rpm"),
        ("DTC_FREEZE_DTC",  "42 02 00 0A 80",             "P0A80"),
        // Services 03, 07, 0A: counted on CAN (7.3), three at a time elsewhere (6.3).
        ("GET_DTC",         "43 02 01 04 01 33",          "P0104 P0133"),
        ("GET_DTC",         "43 00",                      "none"),
        ("GET_DTC",         "43 01 33 00 00 00 00",       "P0133"),
        ("GET_DTC",         "43 01 04 01 33",             "P0104 P0133"),
        ("GET_CURRENT_DTC", "47 01 C1 00",                "U0100"),
        ("GET_PERMANENT_DTC", "4A 01 92 34",              "B1234"),
        ("CLEAR_DTC",       "44",                         "done"),
        // Service 05 (6.5).
        ("O2_TEST_RTL_THRESHOLD", "45 01 01 5A",          "0.45 V"),
        ("O2_TEST_PERIOD",  "45 0A 01 19",                "1000 ms"),
        // Service 06: nine bytes each on CAN (7.6.3).
        ("MIDS_A",          "46 00 C0 00 00 01",          "01 02 20"),
        ("MONITOR_O2_B1S1", "46 01 01 0A 0E 10 00 00 FF FF 01 81 85 FF FF 80 00 00 00", "01.01 passed 01.81 passed"),
        ("MONITOR_O2_B1S1", "46 01 81 85 00 01 FF FF 00 00", "01.81 failed"),
        // Service 09 (7.9.3); older buses fill the first line with NULs and number lines instead of counting.
        ("PIDS_9A",         "49 00 55 40 00 00",          "02 04 06 08 0A"),
        ("VIN_MESSAGE_COUNT", "49 01 05",                 "5"),
        ("VIN",             "49 02 01 31 47 43 45 4B 31 39 54 33 34 45 31 32 33 34 35 36", "1GCEK19T34E123456"),
        ("VIN",             "49 02 00 00 00 57 50 30 5A 5A 5A 39 39 5A 54 53 33 39 32 31 32 34", "WP0ZZZ99ZTS392124"),
        ("CALIBRATION_ID",  "49 04 02 33 37 38 30 35 2D 52 42 42 2D 4A 37 36 30 00 00 41 42 43 00 00 00 00 00 00 00 00 00 00 00 00 00",
                            "37805-RBB-J760, ABC"),
        ("CVN",             "49 06 01 12 34 56 78",       "12345678"),
        ("CVN",             "49 06 12 34 56 78 9A BC DE F0", "12345678, 9ABCDEF0"),
        ("PERFORMANCE_SPARK", "49 08 02 00 10 00 20",     "OBDCOND=16 IGNCNTR=32"),
        ("ECU_NAME",        "49 0A 01 45 43 4D 00 2D 45 6E 67 69 6E 65 43 6F 6E 74 72 6F 6C 00 00", "ECM-EngineControl"),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_does_not_answer_the_command_is_an_error() {
    check(&[
        ("RPM",          "7F 01 12",          "! service 01 declined: sub-function not supported or invalid format (12)"),
        ("RPM",          "7F 01 0C 00 00 00 11", "! service 01 declined: service not supported (11)"),
        ("RPM",          "7F 03 12",          "! an answer of service 7F where 41 was due"),
        ("VIN",          "7F 09 78",          "! service 09 declined: response pending (78)"),
        ("COOLANT_TEMP", "41 0C 17 70",       "! an answer about 0C where 05 was asked"),
        ("RPM",          "42 0C 17 70",       "! an answer of service 42 where 41 was due"),
        ("RPM",          "41 0C 17",          "! 1 data bytes where 2 are needed"),
        ("RPM",          "41 0C",             "! 0 data bytes where 2 are needed"),
        ("RPM",          "41",                "! 0 data bytes where 1 are needed"),
        ("RPM",          "",                  "! empty message"),
        ("VIN",          "49 02 01 57 50 30", "! 4 data bytes where 17 are needed"),
        ("VIN",          "49 02 01 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11", "! the bytes are not text"),
        ("GET_DTC",      "47 01 01 33",       "! an answer of service 47 where 43 was due"),
        ("ELM_VOLTAGE",  "41 0C 17 70",       "! the command is not asked there"),
    ]);
    let pending = Message { source: Address(0x7E8), data: &[0x7F, 0x09, 0x78] };
    let error = obd2::decode(Command::named("VIN").unwrap(), pending).unwrap_err();
    assert_eq!(error, DecodeError::Negative { service: 9, code: Nrc::PENDING });
    assert!(error.is_pending());
}

#[test]
fn the_adapter_answers_its_own_commands() {
    let voltage = Command::named("ELM_VOLTAGE").unwrap();
    for (line, expected) in [("12.3V", "12.3 V"), ("14V", "14 V"), ("0.0V", "0 V"), (" 13.82v\r", "13.82 V")]
    {
        assert_eq!(obd2::decode_adapter(voltage, line.as_bytes()).unwrap().to_string(), expected);
    }
    assert_eq!(obd2::decode_adapter(voltage, b"?"), Err(DecodeError::Text));
    let version = Command::named("ELM_VERSION").unwrap();
    let value = obd2::decode_adapter(version, b"ELM327 v1.5").unwrap();
    assert_eq!(value.to_string(), "ELM327 v1.5");
}

#[test]
fn one_answer_per_ecu_and_a_rule_for_one_of_all() {
    let rpm = Command::named("RPM").unwrap();
    let message = |source, data| Message { source: Address(source), data };
    let reply = [
        message(0x7E9, &[0x41, 0x0C, 0x00, 0x04]),
        message(0x7E8, &[0x7F, 0x01, 0x78]),
        message(0x7EA, &[0x7F, 0x01, 0x12]),
        message(0x7E8, &[0x41, 0x0C, 0x17, 0x70]),
        message(0x7E8, &[0x59, 0x02, 0xFF]),
    ];
    let answers: Vec<_> = obd2::answers(rpm, reply.into_iter())
        .map(|answer| match answer.value {
            Ok(value) => format!("{} {value}", answer.source),
            Err(_) => format!("{} -", answer.source),
        })
        .collect();
    assert_eq!(answers, ["7E9 1 rpm", "7E8 1500 rpm", "7EA -"]);
    assert_eq!(obd2::answer(rpm, reply.into_iter()).unwrap().source, Address(0x7E8));
    assert_eq!(obd2::answer(rpm, reply.into_iter().take(3)).unwrap().source, Address(0x7E9));
    let declined = obd2::answer(rpm, reply.into_iter().skip(2).take(1)).unwrap();
    assert!(matches!(declined.value, Err(DecodeError::Negative { .. })));
}

#[test]
fn a_reply_about_several_pids_is_taken_apart() {
    let data = bytes("41 0C 14 46 0D 37 04 FF 05 5F");
    let mut split = obd2::Split::new(1, Message { source: Address(0x7E8), data: &data }).unwrap();
    let values: Vec<_> =
        split.by_ref().map(|part| format!("{} {}", part.command.name, part.value.unwrap())).collect();
    assert_eq!(values, ["RPM 1297.5 rpm", "SPEED 55 km/h", "ENGINE_LOAD 100 %", "COOLANT_TEMP 55 °C"]);
    assert!(split.rest().is_empty());
}

#[test]
fn quantities_are_exact_and_print_without_floats() {
    let show = |raw, scaling| Quantity::new(raw, scaling).to_string();
    assert_eq!(show(-1, Scaling::Uas9D), "-0.5");
    assert_eq!(show(1, Scaling::OxygenWideVolt), "0.000122");
    assert_eq!(show(65535, Scaling::Uas0A), "7995.27");
    assert_eq!(format!("{:.1}", Quantity::new(999_999, Scaling::Uas04)), "1000.0");
    assert_eq!(format!("{:.0}", Quantity::new(-1, Scaling::Uas9D)), "-1");
    assert_eq!(Quantity::new(u32::MAX.into(), Scaling::Uas12).raw(), 4_294_967_295);
    assert_eq!(Quantity::new(0x8001, Scaling::Uas0B).to_f64(), 32.769);
    assert_eq!(Quantity::new(i64::MAX, Scaling::Uas11).unit(), Unit::Millisecond);
    assert_eq!(size_of::<Quantity>(), 8);
    assert!(matches!(Scaling::Uas8A.quantity(&[0xFF, 0xFF]), quantity if quantity.raw() == -1));
}

#[test]
fn readiness_lists_every_test_of_the_engine() {
    let data = bytes("41 01 83 07 65 04");
    let message = Message { source: Address(0x7E8), data: &data };
    let Ok(Value::Status(status)) = obd2::decode(Command::named("STATUS").unwrap(), message) else {
        panic!("no status");
    };
    let open: Vec<_> = status.tests().filter(|test| !test.complete).map(|test| test.name).collect();
    assert_eq!(open, ["EVAPORATIVE_SYSTEM_MONITORING"]);
    assert_eq!(status.tests().filter(|test| test.available).count(), 7);
    assert!(!status.is_ready());
}

#[test]
fn uds_reads_match_their_identifier() {
    assert_eq!(obd2::uds::read_data(0xF190), [0x22, 0xF1, 0x90]);
    assert_eq!(obd2::uds::read_codes(0x08), [0x19, 0x02, 0x08]);
    assert_eq!(obd2::uds::count_codes(0xFF), [0x19, 0x01, 0xFF]);
    assert_eq!(obd2::uds::data(0xF190, &[0x62, 0xF1, 0x90, 1, 2]), Ok(&[1, 2][..]));
    assert!(matches!(
        obd2::uds::data(0xF190, &[0x62, 0xF1, 0x91, 1]),
        Err(DecodeError::Identifier { at: 1, expected: 0x90, found: 0x91 })
    ));
    let codes = bytes("59 02 FF 0A 80 1C 09 C1 00 00 08");
    let shown: Vec<_> = obd2::uds::codes(&codes).unwrap().map(|code| code.to_string()).collect();
    assert_eq!(shown, ["P0A80-1C", "U0100"]);
    assert_eq!(obd2::uds::code_count(&[0x59, 0x01, 0xFF, 0x01, 0x00, 0x02]), Ok(2));
}

#[test]
#[rustfmt::skip]
fn trouble_codes_print_in_upper_case_and_describe_their_place() {
    for (code, expected) in [
        ("P0000", "Powertrain, SAE: fuel and air metering, auxiliary emission controls"),
        ("P0113", "Powertrain, SAE: intake air temperature sensor, high"),
        ("P0119", "Powertrain, SAE: coolant temperature sensor, intermittent"),
        ("P0133", "Powertrain, SAE: oxygen sensor, bank 1, sensor 1, slow"),
        ("P0171", "Powertrain, SAE: fuel trim, bank 1, too lean"),
        ("P0300", "Powertrain, SAE: misfire"),
        ("P0312", "Powertrain, SAE: misfire, cylinder 12"),
        ("P0322", "Powertrain, SAE: engine speed input of the ignition, no signal"),
        ("P0323", "Powertrain, SAE: engine speed input of the ignition, intermittent"),
        ("P0352", "Powertrain, SAE: ignition coil B"),
        ("P0503", "Powertrain, SAE: vehicle speed sensor, erratic or high"),
        ("P0523", "Powertrain, SAE: oil pressure sensor, high"),
        ("P0524", "Powertrain, SAE: oil pressure too low"),
        ("P0534", "Powertrain, SAE: refrigerant lost"),
        ("P0561", "Powertrain, SAE: system voltage, unstable"),
        ("P0572", "Powertrain, SAE: brake switch A"),
        ("P0703", "Powertrain, SAE: brake switch B"),
        ("P0717", "Powertrain, SAE: turbine speed sensor, no signal"),
        ("P0718", "Powertrain, SAE: turbine speed sensor, intermittent"),
        ("P0719", "Powertrain, SAE: brake switch B, low"),
        ("P0722", "Powertrain, SAE: output speed sensor, no signal"),
        ("P0724", "Powertrain, SAE: brake switch B, high"),
        ("P0A09", "Powertrain, SAE: hybrid: DC/DC converter"),
        ("P0A7D", "Powertrain, SAE: hybrid battery, charge low"),
        ("P0A7E", "Powertrain, SAE: hybrid battery too hot"),
        ("P0A90", "Powertrain, SAE: hybrid: performance of motor or generator"),
        ("P0A94", "Powertrain, SAE: hybrid: DC/DC converter"),
        ("P0AB5", "Powertrain, SAE: hybrid propulsion"),
        ("P0420", "Powertrain, SAE: catalyst, bank 1"),
        ("P0A80", "Powertrain, SAE: hybrid battery worn out"),
        ("P1234", "Powertrain, manufacturer"),
        ("P2463", "Powertrain, SAE: particulate filter"),
        ("P3123", "Powertrain, manufacturer"),
        ("C0035", "Chassis, SAE"),
        ("B1234", "Body, manufacturer"),
        ("U0100", "Network, SAE: no communication with the engine control"),
        ("U3FFF", "Network, SAE"),
    ] {
        let parsed = obd2::Dtc::parse(&code.to_lowercase()).unwrap();
        assert_eq!(parsed.to_string(), code);
        assert_eq!(parsed.describe().to_string(), expected, "{code}");
    }
    for bad in ["", "P", "P012", "P01234", "X0123", "P4123", "P01G3", "P+123"] {
        assert_eq!(obd2::Dtc::parse(bad), None, "{bad}");
    }
}

#[test]
fn an_answer_may_repeat_more_than_was_asked() {
    let frozen = bytes("42 0C 00 17 70");
    for request in ["02 0C", "02 0C 00"] {
        assert_eq!(obd2::reply::payload(&bytes(request), &frozen), Ok(&frozen[3..]), "{request}");
    }
    let cut = Err(DecodeError::Short { needed: 2, found: 1 });
    assert_eq!(obd2::reply::payload(&bytes("02 0C"), &frozen[..2]), cut);
}

#[test]
fn a_monitor_without_a_name_still_has_results() {
    let command = Command::of_request(&[0x06, 0xE1]).unwrap();
    let data = bytes("46 E1 80 0A 00 64 00 00 00 C8");
    let value = obd2::decode(command, Message { source: Address(0x7E8), data: &data });
    let Ok(Value::Tests(tests)) = value else { panic!("{value:?}") };
    let tests: Vec<_> = tests.iter().map(|test| (test.mid, test.tid, test.passed())).collect();
    assert_eq!((command.name, tests), ("MONITOR", vec![(0xE1, 0x80, true)]));
}

#[test]
fn broadcasts_of_lorries_are_read() {
    let shown = |id, hex| {
        let data = bytes(hex);
        let message = Message { source: Address(id), data: &data };
        let parameters = j1939::parameters(message).map(|(row, value)| {
            format!("{} {}", row.spn, value.map_or("-".into(), |value| format!("{value:#}")))
        });
        parameters.collect::<Vec<_>>().join(", ")
    };
    // SAE J1939-71: EEC1, ET1, CCVS, VEP1.
    assert_eq!(shown(0x0CF0_0400, "00 7D 96 80 25 00 FF FF"), "512 0 %, 513 25 %, 190 1200 rpm");
    assert_eq!(shown(0x18FE_EE00, "7B FF 00 2A FF FF FF FF"), "110 83 °C, 174 -, 175 63 °C");
    assert_eq!(shown(0x18FE_F100, "FF 00 50 FF FF FF FF FF"), "84 80 km/h");
    assert_eq!(shown(0x18FE_F100, "FF FF FF FF FF FF FF FF"), "84 -");
    assert_eq!(shown(0x18FE_F100, "FF 00"), "84 -");
    assert_eq!(shown(0x18FE_F700, "FF FF FF FF 18 01 FF FF"), "168 14 V, 158 -");
    assert_eq!(shown(0x18EA_FF00, "00 EE 00"), "");
}

#[test]
fn active_codes_of_lorries_are_read() {
    let data = bytes("04 FF 6E 00 03 01 6F 00 E1 02");
    let message = Message { source: Address(0x1CFE_CA00), data: &data };
    assert_eq!(j1939::Pgn::of(message.source), j1939::Pgn::ACTIVE_CODES);
    let (lamps, faults) = j1939::faults(message).unwrap();
    assert!(lamps.warning() && !lamps.malfunction() && !lamps.stop() && !lamps.protect());
    let faults: Vec<_> = faults.map(|fault| format!("{fault} x{}", fault.count)).collect();
    assert_eq!(faults, ["SPN 110 FMI 3 x1", "SPN 458863 FMI 1 x2"]);
    let none = Message { source: Address(0x18FE_CA00), data: &bytes("00 FF 00 00 00 00 FF FF") };
    assert_eq!(j1939::faults(none).unwrap().1.count(), 0);
    let other = Message { source: Address(0x18FE_EE00), data: &data };
    assert!(j1939::faults(other).is_none());
    let text = Message { source: Address(0x18FE_EC00), data: b"WP0ZZZ99ZTS392124*" };
    assert_eq!(j1939::identification(text).unwrap().as_str(), Some("WP0ZZZ99ZTS392124"));
}

#[test]
fn the_table_of_lorries_is_in_order() {
    assert!(j1939::PARAMETERS.is_sorted_by_key(|row| (row.group, row.at)));
    assert!(j1939::PARAMETERS.iter().all(|row| matches!(row.width, 1 | 2 | 4)));
}
