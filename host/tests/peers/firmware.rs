//! The firmware in QEMU, its UART a TCP connection to an adapter: ours and ELM327-emulator.

use std::path::Path;

use cloverleaf::transport::simulator::{Options, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::{self, Peer};

/// The firmware in QEMU with its UART 0 at this TCP port. It logs what it does and ends with an exit code.
fn chip(port: u16) -> Peer {
    let built = "../target/thumbv7em-none-eabihf/firmware/cloverleaf-firmware";
    let elf = Path::new(env!("CARGO_MANIFEST_DIR")).join(built);
    assert!(
        elf.exists(),
        "{} is missing: run `CLOVERLEAF_ROUNDS=10 cargo fw`, which builds it",
        elf.display()
    );
    let mut command = Command::new("qemu-run");
    command.args(["--machine", "mps2-an386", "-l", "{s}", "--arg"]);
    command.arg(format!("serial=tcp:127.0.0.1:{port},reconnect=1")).arg(elf);
    Peer::start(command)
}

/// The value of a logged line `NAME of ECU: VALUE`.
fn value<'a>(log: &'a [String], name: &str) -> Vec<&'a str> {
    let of = |line: &'a String| line.strip_prefix(name)?.strip_prefix(" of ")?.split_once(": ");
    log.iter().filter_map(of).map(|(_, value)| value).collect()
}

fn number(value: &str, unit: &str) -> f64 {
    let digits = value.strip_suffix(unit).unwrap_or_else(|| panic!("{value} is not in {unit}"));
    digits.trim().parse().unwrap_or_else(|_| panic!("{value} is no number"))
}

/// Whether the log is that of a car that idles or drives.
fn check(log: &[String]) {
    for line in ["ELM Connected", "OBD Connected", "Car Connected", "adapter: ELM327 v1.5"] {
        assert!(log.iter().any(|logged| logged == line), "{line} is missing: {log:#?}");
    }
    for (name, unit, range) in
        [("RPM", "rpm", 0.0..16_384.0), ("SPEED", "km/h", 0.0..256.0), ("COOLANT_TEMP", "°C", -40.0..216.0)]
    {
        let values = value(log, name);
        assert!(values.len() >= 9, "{name} was read {} times: {log:#?}", values.len());
        for value in values {
            assert!(range.contains(&number(value, unit)), "{name}: {value}");
        }
    }
    let [vin] = value(log, "VIN")[..] else { panic!("one VIN: {log:#?}") };
    assert!(vin.len() == 17 && vin.chars().all(|letter| letter.is_ascii_alphanumeric()), "{vin}");
    assert!(!value(log, "GET_DTC").is_empty(), "trouble codes were read: {log:#?}");
}

#[tokio::test]
async fn firmware_reads_the_simulated_car() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let simulator = Simulator::new(Options::default());
    tokio::spawn(async move { simulator.listen(listener).await });
    let log = chip(port).finish().await;
    check(&log);
}

/// The cable is pulled while the chip polls, and put back when it resets the adapter: another one, with another idea
/// of how to talk.
#[tokio::test]
async fn firmware_finds_the_car_again_when_the_adapter_was_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let simulator = Simulator::new(Options::default());
    tokio::spawn(async move {
        let (mut chip, _) = listener.accept().await.expect("the chip");
        let mut adapter = simulator.plug_in();
        let (mut asked, mut answered) = ([0; 256], [0; 256]);
        // It asks for codes, then polls; with the third shared request or so the cable is cut.
        let mut commands = 0;
        while commands < 27 {
            tokio::select! {
                count = chip.read(&mut asked) => {
                    let bytes = &asked[..count.expect("a chip")];
                    commands += bytes.iter().filter(|byte| **byte == b'\r').count();
                    adapter.write_all(bytes).await.expect("an adapter");
                }
                count = adapter.read(&mut answered) => {
                    chip.write_all(&answered[..count.expect("an adapter")]).await.expect("a chip");
                }
            }
        }
        drop((chip, adapter));
        let (mut chip, _) = listener.accept().await.expect("the chip");
        // Nobody answers until it has given up what was.
        let mut unanswered = Vec::new();
        while !unanswered.ends_with(b"ATZ\r") {
            unanswered.push(chip.read_u8().await.expect("a chip"));
        }
        let mut adapter = simulator.plug_in();
        adapter.write_all(b"ATZ\r").await.expect("an adapter");
        tokio::io::copy_bidirectional(&mut chip, &mut adapter).await
    });
    let log = chip(port).finish().await;
    check_again(&log);
}

/// As [`check`], with everything that is said of a car said twice.
fn check_again(log: &[String]) {
    let gone = log.iter().position(|line| line.contains("the car is gone"));
    let (before, after) = log.split_at(gone.unwrap_or_else(|| panic!("it never noticed: {log:#?}")));
    for (part, times) in [(before, "before"), (after, "after")] {
        assert!(part.iter().any(|line| line == "Car Connected"), "no car {times}: {log:#?}");
        assert_eq!(value(part, "VIN").len(), 1, "one VIN {times}: {log:#?}");
        assert!(!value(part, "RPM").is_empty(), "values {times}: {log:#?}");
    }
}

#[tokio::test]
async fn firmware_reads_elm327_emulator() {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        free.local_addr().expect("an address").port()
    };
    let mut command = support::python("elm327-emulator-4.0.0", "elm");
    command.args(["-s", "car", "-n", &port.to_string(), "-b", "/dev/stdout"]);
    let mut emulator = Peer::start(command);
    emulator.line_with("End of batch commands.").await;
    let log = chip(port).finish().await;
    check(&log);
}
