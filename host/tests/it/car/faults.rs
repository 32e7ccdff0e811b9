//! Everything that can be wrong with what an adapter says: an error in time, never a value, and it passes.

use super::*;

/// What can be wrong with adapter or cable for good.
const OUTAGES: [Fault; 3] = [Fault::Mute, Fault::Garbage, Fault::Unplug];

/// What can be wrong with the answers of a car.
const SPOILED: [Fault; 8] = [
    Fault::NoData,
    Fault::CanError,
    Fault::DataError,
    Fault::Truncated,
    Fault::Corrupted,
    Fault::BufferFull,
    Fault::Stopped,
    Fault::Slow(Duration::from_secs(3)),
];

/// Whether the adapter hears no control unit at all, and says so.
fn leaves_nobody(fault: Fault) -> bool {
    matches!(fault, Fault::NoData | Fault::Slow(_))
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_an_error_within_two_seconds_and_never_a_value() {
    let cars = [
        real(),
        // What fills frames up must not pass for the end of a line that was cut off.
        Options { padding: Some(0xAA), ..real() },
        Options { protocol: Protocol::KwpFast, ..real() },
        Options { stn: true, ..real() },
    ];
    for options in cars {
        for fault in OUTAGES.into_iter().chain(SPOILED) {
            for name in ["RPM", "VIN", "GET_DTC"] {
                let simulator = Simulator::new(options.clone());
                let car = connected(&simulator).await;
                car.query(&item(name)).await.expect("healthy at first");
                simulator.inject(fault);
                let begun = Instant::now();
                let answer = car.query(&item(name)).await;
                let took = begun.elapsed();
                let value = answer.and_then(|reading| reading.to_timeline());
                let silent = name == "GET_DTC" && leaves_nobody(fault);
                assert!(value.is_err() || silent, "{:?} {fault:?} {name} gave {value:?}", options.protocol);
                assert!(took <= Duration::from_secs(2), "{fault:?} {name} took {took:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_car_that_falls_asleep() {
    for protocol in [Protocol::Can11Fast, Protocol::KwpFast, Protocol::J1850Pwm] {
        let simulator = Simulator::new(Options { protocol, ..real() });
        let car = connected(&simulator).await;
        simulator.ignition(false);
        for _ in 0..20 {
            let begun = Instant::now();
            let value = car.query(&item("RPM")).await.and_then(|reading| reading.to_timeline());
            assert!(value.is_err(), "{protocol:?}: {value:?}");
            assert!(begun.elapsed() <= Duration::from_secs(2), "{protocol:?} took {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        simulator.ignition(true);
        let begun = Instant::now();
        reaches(&car, Link::CarConnected).await;
        assert!(
            begun.elapsed() < Duration::from_secs(9),
            "{protocol:?} was found after {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_without_one_of_its_answers_is_none() {
    let simulator = Simulator::new(real());
    let car = connected(&simulator).await;
    let codes = car.query(&item("GET_DTC")).await.unwrap();
    // The engine's answer is damaged, that of the gearbox is not.
    simulator.inject(Fault::Spoiled { every: 1 });
    for name in ["GET_DTC", "CALIBRATION_ID", "PIDS_A"] {
        let reading = car.query(&item(name)).await;
        assert!(reading.is_err(), "{name}: {reading:?}");
    }
    simulator.inject(Fault::None);
    for _ in 0..3 {
        let again = car.query(&item("GET_DTC")).await.unwrap();
        assert_eq!(again.codes(), codes.codes());
    }
}

#[tokio::test]
async fn a_watched_text_is_not_another_units() {
    let adapter = adapter(|request| {
        let answer = match request {
            request if request.starts_with("0100") => "7E806410040000000",
            request if request.starts_with("0900") => "7E806490040000000",
            // The engine's VIN lacks its second frame, that of the gearbox is whole.
            request if request.starts_with("0902") => {
                "7E81014490201575030\r7E91014490201575030\r7E82253333932313234\r\
                 7E9215A5A5A39395A54\r7E92253333932313234"
            }
            _ => "NO DATA",
        };
        Some(answer.to_owned())
    });
    let car = connect(adapter.parse().expect("an adapter"));
    car.wait_connected(TIMEOUT).await.expect("a car");
    let mut readings = car.readings();
    car.query(&item("VIN")).await.expect_err("the engine's is damaged");
    let watcher = car.watcher();
    watcher.watch([(item("VIN"), Duration::ZERO)]);
    for _ in 0..3 {
        let reading = timeout(TIMEOUT, readings.recv()).await.expect("a reading").expect("a link");
        assert!(reading.to_timeline().is_err(), "{reading:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spoiled_answer_hides_nothing_that_the_car_supports() {
    let clean = connected(&Simulator::new(real())).await.state().supported;
    for every in [2, 3, 5] {
        let simulator = Simulator::new(real());
        simulator.inject(Fault::Spoiled { every });
        let car = connected(&simulator).await;
        assert_eq!(car.state().supported, clean, "every {every}.");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spoiled_answer_now_and_then_costs_next_to_nothing() {
    let simulator = Simulator::new(real());
    let car = connected(&simulator).await;
    let clean = a_hundred_values(&car).await;
    simulator.inject(Fault::Spoiled { every: 500 });
    let watcher = car.watcher();
    watcher.watch([(item("RPM"), Duration::ZERO)]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(watcher);
    let noisy = a_hundred_values(&car).await;
    assert!(noisy < clean * 21 / 20, "{noisy:?}, not {clean:?}");
}

#[tokio::test(start_paused = true)]
async fn what_everyone_answers_does_not_keep_others_waiting() {
    let car = connected(&Simulator::new(real())).await;
    let supported = car.state().supported.unwrap();
    let mut all: Vec<Item> = supported.commands().map(Item::standard).collect();
    all.retain(|item| item.name().starts_with("MONITOR_") || item.name() == "RPM");
    assert!(all.len() > 8, "{}", all.len());
    let watcher = car.watcher();
    watcher.watch(all.into_iter().map(|item| (item, Duration::ZERO)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut readings = car.readings();
    let mut counts = std::collections::HashMap::new();
    let end = Instant::now() + Duration::from_secs(5);
    while let Ok(reading) = tokio::time::timeout_at(end, readings.recv()).await {
        *counts.entry(reading.unwrap().item.name().to_owned()).or_insert(0) += 1;
    }
    let least = counts.iter().min_by_key(|(_, count)| **count).unwrap();
    assert!(counts["RPM"] > 50 && *least.1 >= 4, "{counts:?}");
}

const ELEVEN: [&str; 11] = [
    "RPM",
    "SPEED",
    "ENGINE_LOAD",
    "THROTTLE_POS",
    "MAF",
    "COOLANT_TEMP",
    "INTAKE_PRESSURE",
    "TIMING_ADVANCE",
    "INTAKE_TEMP",
    "FUEL_LEVEL",
    "BAROMETRIC_PRESSURE",
];

#[tokio::test(start_paused = true)]
async fn values_are_back_at_once_after_a_fault_of_the_line() {
    for (fault, stn) in SPOILED.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
        let simulator = Simulator::new(Options { stn, ..real() });
        let car = connected(&simulator).await;
        let before = a_hundred_values(&car).await;
        let watcher = car.watcher();
        // More than a group.
        watcher.watch(ELEVEN.map(|name| (item(name), Duration::ZERO)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        simulator.inject(fault);
        tokio::time::sleep(Duration::from_secs(4)).await;
        simulator.inject(Fault::None);
        let mut readings = car.readings();
        let begun = Instant::now();
        value(&mut readings).await;
        assert!(begun.elapsed() <= Duration::from_secs(2), "{fault:?}: a value after {:?}", begun.elapsed());
        drop(watcher);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let after = a_hundred_values(&car).await;
        assert!(after < before * 10 / 9, "{fault:?}: {after:?} instead of {before:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn polling_resumes_by_itself_after_every_fault() {
    let faults = OUTAGES.into_iter().chain(SPOILED);
    for (fault, stn) in faults.flat_map(|fault| [(fault, false), (fault, true)]) {
        let simulator = Simulator::new(Options { stn, ..real() });
        let car = connected(&simulator).await;
        let watcher = car.watcher();
        watcher.watch([(item("RPM"), Duration::ZERO), (item("SPEED"), Duration::ZERO)]);
        let mut readings = car.readings();
        value(&mut readings).await;
        simulator.inject(fault);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut readings = car.readings();
        tokio::time::sleep(Duration::from_secs(18)).await;
        while let Ok(reading) = readings.try_recv() {
            assert!(reading.to_timeline().is_err(), "{fault:?}: {reading:?}");
        }
        simulator.inject(Fault::None);
        reaches(&car, Link::CarConnected).await;
        let mut readings = car.readings();
        let Value::Quantity { .. } = value(&mut readings).await else { panic!("{fault:?}") };
    }
}
