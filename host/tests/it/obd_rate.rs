//! How many values a second the link to the car brings, in virtual time: what the program's own way of asking costs,
//! and nothing of the machine it runs on.

use std::time::Duration;

use cloverleaf::car::{self, Car, Item};
use cloverleaf::timeline::Bus;
use cloverleaf::transport::Adapter;
use cloverleaf::transport::simulator::{Options, Simulator};
use cloverleaf_core::obd2::Command;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

/// Some signals of the simulated car, and how many bytes each has.
const SIGNALS: [(&str, u32); 20] = [
    ("RPM", 2),
    ("SPEED", 1),
    ("ENGINE_LOAD", 1),
    ("THROTTLE_POS", 1),
    ("MAF", 2),
    ("COOLANT_TEMP", 1),
    ("INTAKE_PRESSURE", 1),
    ("TIMING_ADVANCE", 1),
    ("INTAKE_TEMP", 1),
    ("SHORT_FUEL_TRIM_1", 1),
    ("LONG_FUEL_TRIM_1", 1),
    ("RUN_TIME", 2),
    ("FUEL_LEVEL", 1),
    ("BAROMETRIC_PRESSURE", 1),
    ("CONTROL_MODULE_VOLTAGE", 2),
    ("ABSOLUTE_LOAD", 2),
    ("RELATIVE_THROTTLE_POS", 1),
    ("AMBIANT_AIR_TEMP", 1),
    ("ACCELERATOR_POS_D", 1),
    ("OIL_TEMP", 1),
];

/// Values a second of the best that an adapter can do: six signals share a request, the adapter knows how many answers
/// come, prints neither headers nor blanks, and an unchanged request is a lone carriage return. Ten bits a byte, 5 ms of
/// thinking, 0.25 ms a CAN frame, the delay there and back. An ELM327 prints each frame as it comes; an STN (`STCSEGR`)
/// prints them joined after the last.
fn bound(stn: bool, signals: &[(&str, u32)], baud: u32, delay: Duration) -> f64 {
    let count = signals.len() as f64;
    let group = count.min(6.0);
    let lengths: u32 = signals.iter().map(|(_, length)| length).sum();
    // Of a group: the service byte, and each number with its data.
    let data = 1.0 + group + f64::from(lengths) * group / count;
    // Service, PIDs, count, carriage return.
    let request = if count <= 6.0 { 1.0 } else { 2.0 + 2.0 * group + 2.0 };
    let frames = if data <= 7.0 { 1.0 } else { 1.0 + ((data - 6.0) / 7.0).ceil() };
    // The length has a line of its own, each frame its number, a colon and a carriage return.
    let around = if frames <= 1.0 || stn { 1.0 } else { 4.0 + 3.0 * frames };
    let bytes = request + around + 2.0 * data + 2.0;
    let flow = if frames > 1.0 { 0.000_25 } else { 0.0 };
    let awaited = if stn { frames } else { 1.0 };
    let bus = 0.000_25 + 0.005 + 0.000_25 * awaited + flow;
    group / (bytes * 10.0 / f64::from(baud) + bus + delay.as_secs_f64())
}

/// Every adapter, rate, delay and number of signals that is measured, here and by `benches/obd_rate.py`.
fn cases() -> impl Iterator<Item = (bool, u32, Duration, &'static [(&'static str, u32)])> {
    let bauds = [38_400, 115_200, 500_000];
    let delays = [0, 2, 20].map(Duration::from_millis);
    let counts = [1, 5, 10, 20];
    [false, true].into_iter().flat_map(move |stn| {
        bauds.into_iter().flat_map(move |baud| {
            delays.into_iter().flat_map(move |delay| {
                counts.into_iter().map(move |count| (stn, baud, delay, &SIGNALS[..count]))
            })
        })
    })
}

/// The bounds stand in a file for `benches/obd_rate.py`, which measures against the real clock. After a change, run this
/// once with `REWRITE_BOUNDS=1`.
#[test]
fn the_bounds_on_record_are_these() {
    let mut table = "adapter,baud,delay_ms,values,bound\n".to_owned();
    for (stn, baud, delay, signals) in cases() {
        let adapter = if stn { "stn" } else { "elm327" };
        let best = bound(stn, signals, baud, delay);
        table += &format!("{adapter},{baud},{},{},{best:.1}\n", delay.as_millis(), signals.len());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/obd_bounds.csv");
    if std::env::var_os("REWRITE_BOUNDS").is_some() {
        std::fs::write(path, &table).expect("a writable table");
    }
    assert_eq!(std::fs::read_to_string(path).expect("a table"), table);
}

async fn rate(stn: bool, signals: &[(&str, u32)], baud: u32, delay: Duration) -> f64 {
    const SECONDS: u64 = 4;
    let warm = Duration::from_secs(300);
    let simulator = Simulator::new(Options { stn, baud, delay: delay / 2, warm, ..Options::default() });
    let adapter = Adapter::Simulated(simulator);
    let car = Car::connect(car::Options { adapter, ..car::Options::default() }, Bus::new());
    car.wait_connected(Duration::from_secs(60)).await.expect("a car");
    let watcher = car.watcher();
    watcher.watch(
        signals
            .iter()
            .map(|(name, _)| (Item::standard(Command::named(name).expect("a command")), Duration::ZERO)),
    );
    // Lengths and groups are learned first.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut readings = car.readings();
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let mut values = 0;
    loop {
        match timeout_at(end, readings.recv()).await {
            Ok(Ok(reading)) => values += u64::from(reading.to_timeline().is_ok()),
            Ok(Err(RecvError::Lagged(lost))) => panic!("{lost} readings were not counted"),
            Ok(Err(RecvError::Closed)) => panic!("the link ended"),
            Err(_) => return values as f64 / SECONDS as f64,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn polling_comes_within_a_tenth_of_what_the_link_can_carry() {
    let mut short = Vec::new();
    for (stn, baud, delay, signals) in cases() {
        let best = bound(stn, signals, baud, delay);
        let reached = rate(stn, signals, baud, delay).await;
        let adapter = if stn { "STN" } else { "ELM327" };
        let count = signals.len();
        let line = format!(
            "{adapter:6} {baud:6} baud {delay:>4?} {count:2} values: {reached:6.1} of {best:6.1} a second"
        );
        println!("{line} ({:.0} %)", 100.0 * reached / best);
        if !(0.9..1.02).contains(&(reached / best)) {
            short.push(line);
        }
    }
    assert!(short.is_empty(), "{short:#?}");
}
