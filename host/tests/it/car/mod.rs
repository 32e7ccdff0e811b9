//! The link to the car: what is found, asked and told, and what comes back by itself.

use std::time::Duration;

use cloverleaf::car::signals::Signals;
use cloverleaf::car::{self, Car, Item, QueryError, Reading};
use cloverleaf::timeline::{self, Bus, Source, Value};
use cloverleaf::transport::Adapter;
use cloverleaf::transport::simulator::{Fault, Options, Simulator, Timing};
use cloverleaf_core::bus::Protocol;
use cloverleaf_core::elm327::session::{Filter, Link};
use cloverleaf_core::obd2::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_serial::{SerialPort, SerialStream};

use crate::support::adapter;

mod faults;

const TIMEOUT: Duration = Duration::from_secs(60);

fn real() -> Options {
    Options { warm: Duration::from_secs(600), ..Options::default() }
}

fn connect(adapter: Adapter) -> Car {
    Car::connect(car::Options { adapter, ..car::Options::default() }, Bus::new())
}

async fn connected(simulator: &Simulator) -> Car {
    let car = connect(Adapter::Simulated(simulator.clone()));
    car.wait_connected(TIMEOUT).await.expect("a car");
    car
}

fn item(name: &str) -> Item {
    Item::standard(Command::named(name).expect("a command"))
}

async fn reaches(car: &Car, link: Link) {
    let mut states = car.states();
    let reached = timeout(TIMEOUT, states.wait_for(|state| state.link == link)).await;
    assert!(reached.is_ok(), "{:?} instead of {link:?}", car.state());
}

/// The next reading with a value.
async fn value(readings: &mut tokio::sync::broadcast::Receiver<std::sync::Arc<Reading>>) -> Value {
    loop {
        let reading = timeout(TIMEOUT, readings.recv()).await.expect("a reading").expect("a link");
        if let Ok(value) = reading.to_timeline() {
            return value;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_connects_within_a_second_beyond_the_adapters_own_delays() {
    // 500 ms for the reset, 350 ms for the search.
    let begun = Instant::now();
    let car = connected(&Simulator::new(real())).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(850 + 1_000), "{took:?}");
    let state = car.state();
    assert_eq!((state.link, state.port.as_str()), (Link::CarConnected, "sim"));
    assert_eq!(state.protocol, Some(Protocol::Can11Fast));
    assert_eq!(state.banner, "ELM327 v1.5");
    assert!(car.supports(&item("RPM")) && car.supports(&item("MONITOR_CATALYST_B1")));
    assert!(!car.supports(&item("HYBRID_BATTERY_REMAINING")));
}

#[tokio::test(start_paused = true)]
async fn every_bus_gives_the_same_car() {
    for protocol in Protocol::ALL {
        if protocol == Protocol::J1939 {
            continue;
        }
        let car = connected(&Simulator::new(Options { protocol, ..real() })).await;
        assert_eq!(car.state().protocol, Some(protocol));
        let text = async |name: &str| {
            let reading =
                car.query(&item(name)).await.unwrap_or_else(|error| panic!("{protocol:?} {name}: {error}"));
            serde_json::to_value(reading.to_timeline().unwrap()).unwrap()
        };
        assert_eq!(text("VIN").await, "1CLVRLEA3TM000042", "{protocol:?}");
        assert_eq!(text("GET_DTC").await[0]["code"], "P0133", "{protocol:?}");
        assert_eq!(text("CALIBRATION_ID").await, "CLV-ENG-2.0-0042", "{protocol:?}");
        assert!(text("RPM").await["value"].as_f64().unwrap() > 600.0, "{protocol:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_watched_is_published_round_after_round() {
    let simulator = Simulator::new(real());
    let bus = Bus::new();
    let mut timeline = bus.subscribe();
    let options = car::Options { adapter: Adapter::Simulated(simulator), ..car::Options::default() };
    let car = Car::connect(options, bus);
    car.wait_connected(TIMEOUT).await.unwrap();
    let watcher = car.watcher();
    watcher.watch(["RPM", "SPEED", "VIN", "ELM_VOLTAGE"].map(|name| (item(name), Duration::ZERO)));
    let mut counts = std::collections::HashMap::new();
    while counts.len() < 4 || counts["RPM"] < 20 {
        let entry = timeout(TIMEOUT, timeline.next()).await.expect("values").expect("open").expect("in time");
        assert_eq!(entry.source, Source::Car);
        if Command::named(&entry.topic).is_some() {
            *counts.entry(entry.topic.clone()).or_insert(0) += 1;
        }
    }
    drop(watcher);
    let mut readings = car.readings();
    let more = timeout(Duration::from_secs(30), async {
        // What was under way may still come.
        for _ in 0..8 {
            readings.recv().await.unwrap();
        }
    });
    assert!(more.await.is_err(), "still polling although nobody watches");
}

#[tokio::test(start_paused = true)]
async fn what_is_queried_is_a_reading_like_others() {
    let car = connected(&Simulator::new(real())).await;
    let mut readings = car.readings();
    let asked = car.query(&item("RPM")).await.expect("an answer");
    let heard = readings.try_recv().expect("a reading");
    assert_eq!((&heard.item, heard.time), (&asked.item, asked.time));
}

#[tokio::test]
async fn the_cores_example_finds_the_car() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let simulator = Simulator::new(Options { timing: Timing::None, ..real() });
    let serving = tokio::spawn(async move { simulator.listen(listener).await });
    let speed = crate::core_example::engine_speed(&address).await.expect("an engine speed");
    assert!((600.0..6_000.0).contains(&speed), "{speed}");
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_lorry_says_is_on_the_timeline() {
    let protocol = Some(Protocol::J1939);
    let adapter = Adapter::Simulated(Simulator::new(real())).with_protocol(protocol);
    let bus = Bus::new();
    let mut timeline = bus.subscribe();
    let car = Car::connect(car::Options { adapter, protocol, ..car::Options::default() }, bus);
    car.wait_connected(TIMEOUT).await.expect("a bus");
    let mut heard = std::collections::HashMap::<String, u32>::new();
    let told = async |timeline: &mut timeline::Subscriber| loop {
        let entry = timeline.next().await.expect("open").expect("in time");
        if entry.topic.starts_with("SPN") || entry.topic == "DM1" {
            break entry;
        }
    };
    timeout(TIMEOUT, told(&mut timeline)).await.expect("a value");
    let end = Instant::now() + Duration::from_secs(10);
    while let Ok(entry) = tokio::time::timeout_at(end, told(&mut timeline)).await {
        *heard.entry(entry.topic.clone()).or_default() += 1;
    }
    // Engine speed changes all the time and is told ten times a second at most.
    assert!((50..=101).contains(&heard["SPN190"]), "{heard:?}");
    // The adapter is still there for others.
    assert!(car.command("ATRV").await.expect("an answer")[0].contains('V'));
    timeout(TIMEOUT, told(&mut timeline)).await.expect("it listens again");
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let car = connected(&Simulator::new(real())).await;
    let mut readings = car.readings();
    let watcher = car.watcher();
    watcher.watch([(item("RPM"), Duration::from_millis(200))]);
    value(&mut readings).await;
    let begun = Instant::now();
    for _ in 0..50 {
        value(&mut readings).await;
    }
    let took = begun.elapsed().as_secs_f64();
    assert!((9.5..10.5).contains(&took), "50 values at 5 Hz took {took} s");
}

/// How long a hundred values of six signals take, once lengths and groups are known.
async fn a_hundred_values(car: &Car) -> Duration {
    let watcher = car.watcher();
    let six = ["RPM", "SPEED", "ENGINE_LOAD", "THROTTLE_POS", "MAF", "COOLANT_TEMP"];
    watcher.watch(six.map(|name| (item(name), Duration::ZERO)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut readings = car.readings();
    let begun = Instant::now();
    for _ in 0..100 {
        value(&mut readings).await;
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_adapter_is_changed_to_a_faster_serial_rate_where_cable_and_chip_allow() {
    let rate = async |adapter_baud, fault| {
        let simulator = Simulator::new(Options { baud: 38_400, ..real() });
        simulator.inject(fault);
        let adapter = Adapter::Simulated(simulator.clone());
        let car = Car::connect(car::Options { adapter, adapter_baud, ..car::Options::default() }, Bus::new());
        car.wait_connected(TIMEOUT).await.expect("a car");
        (a_hundred_values(&car).await, car, simulator)
    };
    let (slow, ..) = rate(None, Fault::None).await;
    let (fast, car, simulator) = rate(Some(500_000), Fault::None).await;
    assert!(fast < slow * 3 / 4, "{fast:?}, not much less than {slow:?}");
    // Not that fast: it stays as it was.
    for (wanted, fault) in
        [(500_000, Fault::SlowCable(115_200)), (3_000_000, Fault::None), (38_400, Fault::None)]
    {
        let (same, ..) = rate(Some(wanted), fault).await;
        assert!(same.abs_diff(slow) < slow / 20, "{wanted} {fault:?}: {same:?}, not {slow:?}");
    }
    // The chip restarts at its own rate; the link finds it there, and changes it again.
    simulator.brown_out();
    reaches(&car, Link::NotConnected).await;
    car.wait_connected(TIMEOUT).await.expect("a car again");
    assert!(a_hundred_values(&car).await < slow * 3 / 4);
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_loses_power_is_set_up_again() {
    let simulator = Simulator::new(real());
    let car = connected(&simulator).await;
    let watcher = car.watcher();
    watcher.watch([(item("RPM"), Duration::ZERO)]);
    let mut readings = car.readings();
    for _ in 0..5 {
        value(&mut readings).await;
        simulator.brown_out();
        reaches(&car, Link::ElmConnected).await;
        reaches(&car, Link::CarConnected).await;
        readings = car.readings();
    }
    value(&mut readings).await;
}

#[tokio::test(start_paused = true)]
async fn the_state_follows_the_ignition() {
    let simulator = Simulator::new(real());
    simulator.ignition(false);
    let car = connect(Adapter::Simulated(simulator.clone()));
    reaches(&car, Link::ObdConnected).await;
    let error = car.query(&item("RPM")).await.unwrap_err();
    assert!(matches!(error, QueryError::NotConnected(_)), "{error:?}");
    simulator.ignition(true);
    reaches(&car, Link::CarConnected).await;
    simulator.ignition(false);
    // Nobody asks; the link finds out by itself.
    reaches(&car, Link::ObdConnected).await;
}

#[tokio::test(start_paused = true)]
async fn more_queries_than_can_wait_are_refused_and_the_others_answered() {
    let car = connected(&Simulator::new(real())).await;
    let rpm = item("RPM");
    let answers = futures_util::future::join_all((0..200).map(|_| car.query(&rpm))).await;
    let busy = answers.iter().filter(|answer| matches!(answer, Err(QueryError::Busy))).count();
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((answered + busy, answered >= 64), (200, true), "{answered} answered, {busy} refused");
}

#[tokio::test(start_paused = true)]
async fn monitoring_tells_frames_until_nobody_takes_them() {
    let car = connected(&Simulator::new(real())).await;
    let mut frames = car.monitor(Filter::Pass { pattern: 0x0C9, mask: 0x7FF }).unwrap();
    for _ in 0..100 {
        let frame = timeout(TIMEOUT, frames.recv()).await.unwrap().unwrap().unwrap();
        assert!(frame.hex.starts_with("0C9"), "{frame:?}");
        assert_eq!(frame.lost, 0);
    }
    drop(frames);
    car.query(&item("RPM")).await.expect("questions are answered again");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_also_while_someone_monitors() {
    let car = connected(&Simulator::new(real())).await;
    let mut frames = car.monitor(Filter::All).unwrap();
    timeout(TIMEOUT, frames.recv()).await.unwrap().unwrap().unwrap();
    car.close();
    reaches(&car, Link::NotConnected).await;
    let rest = async { while frames.recv().await.is_some() {} };
    timeout(TIMEOUT, rest).await.expect("an end of the frames");
    car.open();
    car.wait_connected(TIMEOUT).await.expect("open again");
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_stays_closed_until_it_is_opened() {
    let car = connected(&Simulator::new(real())).await;
    car.close();
    reaches(&car, Link::NotConnected).await;
    assert!(car.state().closed && car.state().port.is_empty());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(car.state().link, Link::NotConnected);
    car.query(&item("RPM")).await.unwrap_err();
    car.open();
    car.wait_connected(TIMEOUT).await.expect("open again");
}

#[tokio::test]
async fn an_adapter_that_sleeps_is_woken_by_the_next_connection() {
    let simulator = Simulator::new(Options { timing: Timing::None, ..real() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // One adapter for every connection, as at the end of a cable.
    let mut adapter = simulator.plug_in();
    let serving = tokio::spawn(async move {
        let (mut sent, mut said) = ([0; 256], [0; 256]);
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            loop {
                tokio::select! {
                    count = stream.read(&mut sent) => match count {
                        Ok(count @ 1..) => adapter.write_all(&sent[..count]).await.expect("an adapter"),
                        _ => break,
                    },
                    count = adapter.read(&mut said) => {
                        let count = count.expect("an adapter");
                        // Whoever hung up does not hear it.
                        let _ = stream.write_all(&said[..count]).await;
                    }
                }
            }
        }
    });
    let car = connect(format!("tcp://{address}").parse().unwrap());
    car.wait_connected(TIMEOUT).await.expect("a car");
    car.sleep().await.expect("asleep");
    let mut states = car.states();
    timeout(TIMEOUT, states.wait_for(|state| state.closed)).await.expect("closed").expect("a link");
    car.open();
    car.wait_connected(TIMEOUT).await.expect("awake");
    car.query(&item("RPM")).await.expect("an answer");
    serving.abort();
}

#[tokio::test]
async fn a_network_adapter_is_found_lost_and_found_again() {
    let simulator = Simulator::new(Options { timing: Timing::None, ..real() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let simulator = simulator.clone();
        async move { simulator.listen(listener).await }
    });
    let car = connect(format!("tcp://{address}").parse().unwrap());
    car.wait_connected(TIMEOUT).await.unwrap();
    assert_eq!(car.state().port, format!("tcp://{address}"));
    simulator.inject(Fault::Unplug);
    reaches(&car, Link::NotConnected).await;
    simulator.inject(Fault::None);
    car.wait_connected(TIMEOUT).await.unwrap();
    serving.abort();
}

#[tokio::test]
async fn a_serial_adapter_is_a_path() {
    let (ours, theirs) = SerialStream::pair().expect("a pseudo-terminal");
    let path = theirs.name().expect("a path");
    // Someone keeps the other end open, without a lock, so that the terminal lives until the link comes.
    let _open = std::fs::File::open(&path).unwrap();
    drop(theirs);
    let simulator = Simulator::new(Options { timing: Timing::None, ..real() });
    let serving = tokio::spawn(async move { simulator.attach(ours).await });
    let car = connect(path.parse().unwrap());
    car.wait_connected(TIMEOUT).await.unwrap();
    assert_eq!(car.state().port, path);
    let reading = car.query(&item("VIN")).await.unwrap();
    assert_eq!(reading.to_timeline().unwrap(), Value::Text("1CLVRLEA3TM000042".into()));

    // A second program is told that the port is taken.
    let second = connect(path.parse().unwrap());
    let mut states = second.states();
    let trouble = timeout(TIMEOUT, states.wait_for(|state| state.trouble.is_some())).await.unwrap().unwrap();
    let expected = format!("{path}: the port is in use by another program");
    assert_eq!(trouble.trouble.as_deref(), Some(expected.as_str()));
    drop(trouble);
    serving.abort();
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (adapter, trouble) in [
        (
            "/dev/ttyUSB99".to_owned(),
            "/dev/ttyUSB99: no such serial port; `cloverleaf obd ports` lists those that exist".to_owned(),
        ),
        (file!().replace("host/", ""), format!("{}: not a serial port", file!().replace("host/", ""))),
        (format!("tcp://{unused}"), format!("tcp://{unused}: nothing listens there (connection refused)")),
    ] {
        let car = connect(adapter.parse().unwrap());
        let mut states = car.states();
        let state =
            timeout(TIMEOUT, states.wait_for(|state| state.trouble.is_some())).await.unwrap().unwrap();
        assert_eq!(state.trouble.as_ref(), Some(&trouble));
    }
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_is_none_is_said_to_be_none() {
    for (fault, expected) in [
        (Fault::Mute, "nothing answers: is an adapter connected, and is the serial rate right?"),
        (Fault::Garbage, "what answers is no ELM327, or the serial rate is wrong"),
    ] {
        let simulator = Simulator::new(real());
        simulator.inject(fault);
        let car = connect(Adapter::Simulated(simulator));
        let mut states = car.states();
        let begun = Instant::now();
        let state =
            timeout(TIMEOUT, states.wait_for(|state| state.trouble.is_some())).await.unwrap().unwrap();
        assert_eq!(state.trouble.as_deref(), Some(expected));
        assert!(begun.elapsed() < Duration::from_secs(6), "{fault:?} took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_signal_is_asked_for_in_the_session_that_it_needs() {
    // An ECU that tells its secret in session 03 only, and an order of requests.
    let (asked, requests) = std::sync::mpsc::channel();
    let mut session = 0x01;
    let adapter = adapter(move |request| {
        let _ = asked.send(request.to_owned());
        let answer = match request {
            "1003" => {
                session = 0x03;
                "7E8065003003201F4"
            }
            "1001" => {
                session = 0x01;
                "7E8065001003201F4"
            }
            "221234" if session == 0x03 => "7E8046212342A",
            "221234" => "7E8037F227F",
            request if request.starts_with("0100") => "7E806410080100000",
            _ => "NO DATA",
        };
        Some(answer.to_owned())
    });
    let set = r#"{"commands": [{"hdr": "7E0", "rax": "7E8", "cmd": {"22": "1234"}, "din": "03", "dout": "01",
        "signals": [{"id": "SECRET", "fmt": {"len": 8, "unit": "celsius"}}]}]}"#;
    let signals = &*Box::leak(Box::new(Signals::from_text("set.json", set).expect("a signal set")));
    let adapter: Adapter = adapter.parse().expect("an adapter");
    let options = car::Options { adapter, signals: Some(signals), ..car::Options::default() };
    let car = Car::connect(options, Bus::new());
    car.wait_connected(TIMEOUT).await.expect("a car");
    let secret = car.find("SECRET").expect("the signal");
    let expected = Value::Quantity { value: 42.0, unit: "°C" };
    assert_eq!(car.query(&secret).await.expect("an answer").to_timeline(), Ok(expected.clone()));

    let mut readings = car.readings();
    let watcher = car.watcher();
    watcher.watch([(secret.clone(), Duration::ZERO)]);
    assert_eq!(value(&mut readings).await, expected, "when it is watched, too");
    let asked: Vec<String> = requests.try_iter().filter(|request| !request.starts_with('0')).collect();
    assert!(asked.len() >= 6, "{asked:?}");
    let refused = car.request(&[0x22, 0x12, 0x34], secret.target()).await.expect("an answer");
    assert_eq!(refused.messages().next().expect("a refusal").data, [0x7F, 0x22, 0x7F], "it was left again");
    let turns = asked.chunks_exact(3);
    assert!(turns.clone().all(|turn| turn == ["1003", "221234", "1001"]), "{asked:?}");
}

#[tokio::test]
async fn signals_of_one_command_are_asked_for_once() {
    // One of them needs a session, the other does not.
    for session in ["", r#", "din": "03""#] {
        let (asked, requests) = std::sync::mpsc::channel();
        let adapter = adapter(move |request| {
            let _ = asked.send(request.to_owned());
            let answer = match request {
                "1003" => "7E8065003003201F4",
                request if request.starts_with("221001") => "7E8056210010A14",
                request if request.starts_with("0100") => "7E806410080100000",
                _ => "NO DATA",
            };
            Some(answer.to_owned())
        });
        let set = format!(
            r#"{{"commands": [{{"hdr": "7E0", "rax": "7E8", "cmd": {{"22": "1001"}}{session}, "signals": [
                {{"id": "LEFT", "fmt": {{"len": 8, "unit": "celsius"}}}},
                {{"id": "RIGHT", "fmt": {{"bix": 8, "len": 8, "unit": "celsius"}}}}]}}]}}"#
        );
        let signals = &*Box::leak(Box::new(Signals::from_text("set.json", &set).expect("a signal set")));
        let adapter: Adapter = adapter.parse().expect("an adapter");
        let options = car::Options { adapter, signals: Some(signals), ..car::Options::default() };
        let car = Car::connect(options, Bus::new());
        car.wait_connected(TIMEOUT).await.expect("a car");
        let mut readings = car.readings();
        let watcher = car.watcher();
        let signal = |name: &str| car.find(name).expect("the signal");
        watcher.watch(["LEFT", "RIGHT"].map(|name| (signal(name), Duration::ZERO)));
        let mut heard = std::collections::HashMap::<String, Vec<_>>::new();
        for _ in 0..6 {
            let reading = timeout(TIMEOUT, readings.recv()).await.expect("a reading").expect("a link");
            let value = reading.to_timeline().expect("a value");
            heard.entry(reading.item.name().to_owned()).or_default().push((reading.time, value));
        }
        let quantity = |value| Value::Quantity { value, unit: "°C" };
        let (left, right) = (&heard["LEFT"], &heard["RIGHT"]);
        assert_eq!((left.len(), right.len()), (3, 3), "{heard:?}");
        for ((at, left), (same, right)) in left.iter().zip(right) {
            assert_eq!((at, left, right), (same, &quantity(10.0), &quantity(20.0)));
        }
        let asked = requests.try_iter().filter(|request| request.starts_with("221001")).count();
        assert!((3..=4).contains(&asked), "asked {asked} times for 3 answers");

        // One goes, the other stays.
        watcher.watch([(signal("RIGHT"), Duration::ZERO)]);
        let mut alone = 0;
        while alone < 4 {
            let reading = timeout(TIMEOUT, readings.recv()).await.expect("a reading").expect("a link");
            alone = if reading.item == signal("RIGHT") { alone + 1 } else { 0 };
        }
    }
}
