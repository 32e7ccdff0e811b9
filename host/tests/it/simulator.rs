//! The simulated adapter as its user meets it: bytes and time on a cable.

use std::time::Duration;

use cloverleaf::transport::simulator::{Cable, Fault, Options, Simulator, Timing};
use cloverleaf_core::bus::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

const INSTANT: Options = Options {
    protocol: Protocol::Can11Fast,
    baud: 115_200,
    delay: Duration::ZERO,
    timing: Timing::None,
    warm: Duration::from_secs(120),
    pace: 1.0,
    padding: None,
    stn: false,
};
const REAL: Options = Options { timing: Timing::Real, ..INSTANT };

/// Sends a command and gives the reply up to and with the prompt.
async fn say(cable: &mut Cable, command: &str) -> String {
    cable.write_all(format!("{command}\r").as_bytes()).await.unwrap();
    reply(cable).await
}

async fn reply(cable: &mut Cable) -> String {
    let mut reply = Vec::new();
    while reply.last() != Some(&b'>') {
        let byte =
            timeout(Duration::from_secs(10), cable.read_u8()).await.expect("a prompt").expect("a link");
        reply.push(byte);
    }
    String::from_utf8_lossy(&reply).into_owned()
}

/// A cable with the echo off.
async fn quiet(simulator: &Simulator) -> Cable {
    let mut cable = simulator.plug_in();
    assert_eq!(say(&mut cable, "ATE0").await, "ATE0\rOK\r\r>");
    cable
}

#[tokio::test(start_paused = true)]
async fn it_speaks_as_an_elm327_does() {
    let mut cable = Simulator::new(INSTANT).plug_in();
    // (command, reply), in one session; `*` stands for what depends on the drive.
    let transcript = [
        ("ATZ", "ATZ\r\r\rELM327 v1.5\r\r>"),
        ("at e 0", "at e 0\rOK\r\r>"),
        ("0100", "SEARCHING...\r41 00 BE 3F B8 13 \r41 00 80 08 00 11 \r\r>"),
        ("0100", "41 00 BE 3F B8 13 \r41 00 80 08 00 11 \r\r>"),
        ("", "41 00 BE 3F B8 13 \r41 00 80 08 00 11 \r\r>"),
        ("01001", "41 00 BE 3F B8 13 \r\r>"),
        ("ATH1", "OK\r\r>"),
        ("01001", "7E8 06 41 00 BE 3F B8 13 \r\r>"),
        ("ATD1", "OK\r\r>"),
        ("01001", "7E8 7 06 41 00 BE 3F B8 13 \r\r>"),
        ("ATD0", "OK\r\r>"),
        ("ATS0", "OK\r\r>"),
        ("01001", "7E8064100BE3FB813\r\r>"),
        ("0902", "7E8101449020131434C\r7E82156524C45413354\r7E8224D303030303432\r\r>"),
        ("ATH0", "OK\r\r>"),
        ("0902", "014\r0:49020131434C\r1:56524C45413354\r2:4D303030303432\r\r>"),
        ("ATL1", "OK\r\n\r\n>"),
        ("03", "43010133\r\n4300\r\n\r\n>"),
        ("ATL0", "OK\r\r>"),
        ("ATSH7E1", "OK\r\r>"),
        ("03", "4300\r\r>"),
        ("22ABCD", "7F2231\r\r>"),
        ("ATSH7E5", "OK\r\r>"),
        ("03", "NO DATA\r\r>"),
        ("ATSH7DF", "OK\r\r>"),
        ("ATCRA7E9", "OK\r\r>"),
        ("03", "4300\r\r>"),
        ("ATDP", "AUTO, ISO 15765-4 (CAN 11/500)\r\r>"),
        ("ATDPN", "A6\r\r>"),
        ("01FF", "NO DATA\r\r>"),
        ("ATXYZ", "?\r\r>"),
        ("STI", "?\r\r>"),
        ("010", "NO DATA\r\r>"),
        ("01GG", "?\r\r>"),
        ("0102030405060708", "?\r\r>"),
        ("ATTP7", "OK\r\r>"),
        ("03", "CAN ERROR\r\r>"),
    ];
    for (command, expected) in transcript {
        assert_eq!(say(&mut cable, command).await, expected, "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_speaks_as_an_stn_does() {
    let mut cable = quiet(&Simulator::new(Options { stn: true, ..INSTANT })).await;
    let transcript = [
        ("ATI", "ELM327 v1.4b\r\r>"),
        ("STI", "STN2120 v5.10.3\r\r>"),
        ("STIX", "STN2120 v5.10.3 [2024.02.01]\r\r>"),
        ("STDI", "STN2120 r1.0.0\r\r>"),
        ("STMFR", "Generic\r\r>"),
        ("STSN", "212000000042\r\r>"),
        ("STPR", "0\r\r>"),
        ("STPBRR", "?\r\r>"),
        ("STP 33", "OK\r\r>"),
        ("STP 99", "?\r\r>"),
        ("STPR", "33\r\r>"),
        ("STPRS", "ISO 15765-4 (CAN 11/500)\r\r>"),
        ("STPBR 500000", "OK\r\r>"),
        ("STPBRR", "500000\r\r>"),
        ("STPTO 50", "OK\r\r>"),
        ("STPTO 65536", "?\r\r>"),
        ("STPX h:7E0, d:0103, r:1, t:50", "41 03 02 00 \r\r>"),
        ("STPX d:03", "43 01 01 33 \r43 00 \r\r>"),
        ("STPX h:7E0, d:0103, x:A2", "NO DATA\r\r>"),
        ("STPX h:7E0", "?\r\r>"),
        ("STPX h:7E0, d:010", "?\r\r>"),
        ("STPX h:7E0, z:1, d:03", "?\r\r>"),
        ("STPX h:7E0, l:5000", "OUT OF MEMORY\r\r>"),
        ("ATS0", "OK\r\r>"),
        ("ATH1", "OK\r\r>"),
        ("STPX h:7E0, d:0902", "7E8101449020131434C\r7E82156524C45413354\r7E8224D303030303432\r\r>"),
        ("STPX h:7E0, d:0902, r:2", "7E8101449020131434C\r7E82156524C45413354\r\r>"),
        ("STCSEGR 1", "OK\r\r>"),
        ("STPX h:7E0, d:0902, r:1", "7E849020131434C56524C454133544D303030303432\r\r>"),
        ("STPX h:7E0, d:0103, r:1", "7E80441030200\r\r>"),
        ("ATH0", "OK\r\r>"),
        ("ATSH7E0", "OK\r\r>"),
        ("09021", "49020131434C56524C454133544D303030303432\r\r>"),
        ("STCSEGR 0", "OK\r\r>"),
        // A pair ends the rule by which it gives leave.
        ("STCFCPA 714, 77E", "OK\r\r>"),
        ("0902", "014\r0:49020131434C\r\r>"),
        ("STCFCPA 7E0, 7E8", "OK\r\r>"),
        ("09023", "014\r0:49020131434C\r1:56524C45413354\r2:4D303030303432\r\r>"),
        ("STCFCPA 7E0", "?\r\r>"),
        ("STCFCPC", "OK\r\r>"),
        ("09023", "014\r0:49020131434C\r1:56524C45413354\r2:4D303030303432\r\r>"),
        // Nothing passes once the filters are cleared, until they are automatic again.
        ("STFAC", "OK\r\r>"),
        ("01031", "NO DATA\r\r>"),
        ("STFFCA 7E8,7FF", "OK\r\r>"),
        ("01031", "41030200\r\r>"),
        ("STFBA 7E8,7FF", "OK\r\r>"),
        ("01031", "NO DATA\r\r>"),
        ("STFBA 7E8,7F", "?\r\r>"),
        ("ATAR", "OK\r\r>"),
        ("01031", "41030200\r\r>"),
        ("STXYZ", "?\r\r>"),
    ];
    for (command, expected) in transcript {
        assert_eq!(say(&mut cable, command).await, expected, "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_stn_takes_long_messages_apart_and_shows_what_its_filters_pass() {
    let mut cable = quiet(&Simulator::new(Options { stn: true, ..REAL })).await;
    for command in ["ATSP6", "ATS0", "ATH1"] {
        say(&mut cable, command).await;
    }
    cable.write_all(b"STPX h:7E0, l:2\r").await.unwrap();
    assert_eq!(reply(&mut cable).await, "DATA>");
    assert_eq!(say(&mut cable, "0103").await, "7E80441030200\r\r>");
    say(&mut cable, "STFAC").await;
    assert_eq!(say(&mut cable, "STFPA 1F1,7FF").await, "OK\r\r>");
    let shown = say(&mut cable, "STM 3").await;
    let lines: Vec<&str> = shown.trim_end_matches(">").split_whitespace().collect();
    assert!(lines.len() == 3 && lines.iter().all(|line| line.starts_with("1F1")), "{shown:?}");
    assert_eq!(say(&mut cable, "STMA 2").await.matches("\r").count(), 3);
}

/// The cars differ in their bus; each prints its answers in its own way.
#[tokio::test(start_paused = true)]
async fn every_bus_has_its_frames() {
    for (protocol, command, expected) in [
        (Protocol::J1850Pwm, "0103", "SEARCHING...\r41 6B 10 41 03 02 00 C2 \r\r>"),
        (Protocol::J1850Vpw, "0103", "SEARCHING...\r48 6B 10 41 03 02 00 4D \r\r>"),
        (Protocol::Iso9141, "0103", "SEARCHING...\r48 6B 10 41 03 02 00 09 \r\r>"),
        (Protocol::KwpFast, "0103", "SEARCHING...\r84 F1 10 41 03 02 00 CB \r\r>"),
        (
            Protocol::KwpFast,
            "03",
            "SEARCHING...\r87 F1 10 43 01 33 00 00 00 00 FF \r87 F1 18 43 00 00 00 00 00 00 D3 \r\r>",
        ),
        (Protocol::Can29Fast, "0103", "SEARCHING...\r18 DA F1 10 04 41 03 02 00 \r\r>"),
        (Protocol::Can11Slow, "0103", "SEARCHING...\r7E8 04 41 03 02 00 \r\r>"),
    ] {
        let simulator = Simulator::new(Options { protocol, ..INSTANT });
        let mut cable = quiet(&simulator).await;
        say(&mut cable, "ATH1").await;
        assert_eq!(say(&mut cable, command).await, expected, "{protocol:?} {command}");
        let number = format!("A{}\r\r>", protocol.id());
        assert_eq!(say(&mut cable, "ATDPN").await, number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_chosen_protocol_that_is_not_the_cars_fails_as_such() {
    for (protocol, expected) in
        [('3', "BUS INIT: ...ERROR\r\r>"), ('7', "CAN ERROR\r\r>"), ('1', "NO DATA\r\r>")]
    {
        let mut cable = quiet(&Simulator::new(INSTANT)).await;
        say(&mut cable, &format!("ATSP{protocol}")).await;
        assert_eq!(say(&mut cable, "0100").await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_count_digit_and_timing_save_the_waiting() {
    let mut cable = quiet(&Simulator::new(Options { baud: 500_000, ..REAL })).await;
    say(&mut cable, "010C").await;
    let mut took = async |command: &str| {
        let begun = Instant::now();
        say(&mut cable, command).await;
        begun.elapsed()
    };
    let [ms7, ms30, ms50, ms200] = [7, 30, 50, 200].map(Duration::from_millis);
    let adaptive = took("010C").await;
    assert!((ms30..ms50).contains(&adaptive), "{adaptive:?}");
    let counted = took("010C1").await;
    assert!(counted <= ms7, "{counted:?}");
    took("ATAT0").await;
    let patient = took("010C").await;
    assert!(patient >= ms200, "{patient:?}");
    took("ATST0A").await;
    let short = took("010C").await;
    assert!((ms30..ms50 + ms7).contains(&short), "{short:?}");
    let nobody = took("01FF").await;
    assert!((ms30 + ms7..ms50).contains(&nobody), "NO DATA after the time-out: {nobody:?}");
}

#[tokio::test(start_paused = true)]
async fn every_byte_costs_its_time_on_the_wire() {
    // 010C1 CR is 6 bytes, `7E8 04 41 0C xx xx ` CR CR > is 22 bytes: 28 bytes of 10 bits; the car takes 6 ms.
    for (baud, least, most) in [(38_400, 12.5, 15.0), (115_200, 7.5, 10.0), (9_600, 34.0, 37.5)] {
        let mut cable = quiet(&Simulator::new(Options { baud, ..REAL })).await;
        say(&mut cable, "ATH1").await;
        say(&mut cable, "010C1").await;
        let begun = Instant::now();
        for _ in 0..20 {
            say(&mut cable, "010C1").await;
        }
        let each = begun.elapsed().as_secs_f64() * 1_000.0 / 20.0;
        assert!((least..most).contains(&each), "{baud} baud: {each} ms each");
    }
}

#[tokio::test(start_paused = true)]
async fn any_byte_interrupts_a_request_and_the_monitor() {
    let mut cable = quiet(&Simulator::new(REAL)).await;
    say(&mut cable, "0100").await;
    cable.write_all(b"01FF\r").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    cable.write_all(b" ").await.unwrap();
    assert_eq!(reply(&mut cable).await, "STOPPED\r\r>");

    say(&mut cable, "ATH1").await;
    cable.write_all(b"ATMA\r").await.unwrap();
    let mut heard = [0; 120];
    cable.read_exact(&mut heard).await.unwrap();
    assert!(heard.starts_with(b"0C9 84 "), "{}", heard.escape_ascii());
    cable.write_all(b"\r").await.unwrap();
    let rest = reply(&mut cable).await;
    assert!(rest.ends_with("STOPPED\r\r>"), "{rest:?}");
    assert!(say(&mut cable, "ATRV").await.contains('V'), "it listens again");
}

#[tokio::test(start_paused = true)]
async fn a_bus_faster_than_the_serial_port_fills_the_buffer() {
    let mut cable = quiet(&Simulator::new(Options { baud: 9_600, ..REAL })).await;
    say(&mut cable, "ATH1").await;
    assert!(say(&mut cable, "ATMA").await.ends_with("BUFFER FULL\r\r>"));
}

#[tokio::test(start_paused = true)]
async fn what_is_injected_happens_until_it_is_mended() {
    let simulator = Simulator::new(Options { warm: Duration::ZERO, ..INSTANT });
    let mut cable = quiet(&simulator).await;
    say(&mut cable, "0100").await;
    for (fault, expected) in [
        (Fault::NoData, "NO DATA\r\r>"),
        (Fault::CanError, "CAN ERROR\r\r>"),
        (Fault::DataError, "41 0D 00 <DATA ERROR\r\r>"),
        (Fault::Slow(Duration::from_secs(1)), "NO DATA\r\r>"),
    ] {
        simulator.inject(fault);
        tokio::task::yield_now().await;
        say(&mut cable, "ATSH7E0").await;
        assert_eq!(say(&mut cable, "010D").await, expected, "{fault:?}");
    }
    simulator.inject(Fault::None);
    tokio::task::yield_now().await;
    assert_eq!(say(&mut cable, "010D").await, "41 0D 00 \r\r>");

    simulator.brown_out();
    assert_eq!(reply(&mut cable).await, "LV RESET\r\r>");
    assert_eq!(say(&mut cable, "0").await, "0\r?\r\r>", "the echo is on again");

    simulator.inject(Fault::Unplug);
    tokio::task::yield_now().await;
    cable.write_all(b"0100\r").await.unwrap();
    let mut rest = String::new();
    cable.read_to_string(&mut rest).await.expect("ends, without error");
    assert!(!rest.contains('>'), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn an_overlong_command_is_refused_and_forgotten() {
    let mut cable = quiet(&Simulator::new(INSTANT)).await;
    let million = "0".repeat(1_000_000);
    assert_eq!(say(&mut cable, &million).await, "?\r\r>");
    assert_eq!(say(&mut cable, "ATE0").await, "OK\r\r>");
}

#[tokio::test(start_paused = true)]
async fn with_the_ignition_off_the_search_finds_nobody() {
    let simulator = Simulator::new(INSTANT);
    simulator.ignition(false);
    let mut cable = quiet(&simulator).await;
    assert_eq!(say(&mut cable, "0100").await, "SEARCHING...\rUNABLE TO CONNECT\r\r>");
    assert_eq!(say(&mut cable, "ATRV").await, "12.4V\r\r>");
}

#[tokio::test(start_paused = true)]
async fn the_drive_goes_on_between_requests() {
    let mut cable = quiet(&Simulator::new(Options { warm: Duration::ZERO, ..INSTANT })).await;
    say(&mut cable, "0100").await;
    let standing = say(&mut cable, "010D1").await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let driving = say(&mut cable, "010D1").await;
    assert_eq!(standing, "41 0D 00 \r\r>");
    assert_eq!(driving, "41 0D 32 \r\r>", "50 km/h");
}

#[tokio::test(start_paused = true)]
async fn the_serial_rate_changes_when_both_ends_follow() {
    let mut cable = quiet(&Simulator::new(REAL)).await;
    cable.write_all(b"ATBRD08\r").await.unwrap();
    let mut answer = [0; 3];
    cable.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"OK\r");
    cable.set_baud(500_000);
    let mut banner = [0; 12];
    cable.read_exact(&mut banner).await.unwrap();
    assert_eq!(&banner, b"ELM327 v1.5\r");
    assert_eq!(say(&mut cable, "").await, "OK\r\r>");
    assert!(say(&mut cable, "ATI").await.contains("ELM327"));
}

#[tokio::test(start_paused = true)]
async fn the_serial_rate_comes_back_when_nobody_follows() {
    let mut cable = quiet(&Simulator::new(REAL)).await;
    let answer = say(&mut cable, "ATBRD08").await;
    assert!(answer.starts_with("OK\r") && !answer.contains("ELM327"), "{answer:?}");
    assert!(say(&mut cable, "ATI").await.contains("ELM327"));
}
