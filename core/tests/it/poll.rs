//! The scheduler, against a car in virtual time: an ECU that takes 5 ms, frames of 0.25 ms, a serial line, and an
//! adapter that waits 30 ms for more unless it knows how many lines will come.

use std::collections::BTreeMap;

use cloverleaf_core::bus::{Address, Message, Protocol};
use cloverleaf_core::elm327::poll::{GROUP, Item, Key, Next, Outcome, Poller, Question, Tuning};
use cloverleaf_core::elm327::session::{Failure, Physical, Target};
use cloverleaf_core::elm327::wire::Status;
use cloverleaf_core::time::{Duration, Instant};

const ENGINE: Address = Address(0x7E8);
const GEARBOX: Address = Address(0x7E9);

/// What is wrong with the car or its adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quirk {
    None,
    /// Only the first PID of a request is answered.
    FirstOnly,
    /// A request with more than one PID is not answered.
    NoGroups,
    /// The adapter does not know response counts.
    NoCount,
    /// The adapter knows response counts only for one PID.
    NoGroupCount,
    /// PID 05 answers with one byte more inside a group than alone.
    OddLength,
    /// One answer of so many is spoiled on its way.
    Spoils(u32),
}

/// The messages of an answer, and how many lines they took.
type Answered = (Vec<(Address, Vec<u8>)>, u8);

struct Car {
    /// The length of each PID's data.
    pids: BTreeMap<u8, u8>,
    ecus: Vec<Address>,
    quirk: Quirk,
    bits_per_second: f64,
    /// Microseconds, so that fractions of a millisecond add up.
    micros: u64,
    questions: u32,
}

impl Car {
    fn new(pids: &[(u8, u8)]) -> Self {
        Self {
            pids: pids.iter().copied().collect(),
            ecus: vec![ENGINE],
            quirk: Quirk::None,
            bits_per_second: 115_200.0,
            micros: 0,
            questions: 0,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.micros / 1_000)
    }

    /// Takes its time, then answers.
    fn answer(&mut self, question: &Question) -> Result<Answered, Failure> {
        self.questions += 1;
        let request = question.request();
        let (&service, asked) = request.data.split_first().unwrap();
        if self.quirk == Quirk::NoCount && request.lines.is_some() {
            self.take(10_000.0);
            return Err(Failure::Adapter(Status::WrongHexCount));
        }
        if self.quirk == Quirk::NoGroupCount && request.lines.is_some() && asked.len() > 1 {
            self.take(1_400_000.0);
            return Err(Failure::Timeout);
        }
        let mut pids: Vec<u8> = asked.iter().copied().filter(|pid| self.pids.contains_key(pid)).collect();
        match self.quirk {
            Quirk::FirstOnly => pids.truncate(1),
            Quirk::NoGroups if asked.len() > 1 => pids.clear(),
            _ => {}
        }
        if pids.is_empty() {
            self.take(200_000.0);
            return Err(Failure::Adapter(Status::NoData));
        }
        let mut data = vec![service | 0x40];
        for pid in &pids {
            data.push(*pid);
            let odd = self.quirk == Quirk::OddLength && *pid == 0x05 && asked.len() > 1;
            data.extend(std::iter::repeat_n(*pid, usize::from(self.pids[pid]) + usize::from(odd)));
        }
        let frames = if data.len() <= 7 { 1 } else { 1 + (data.len() - 6).div_ceil(7) };
        let who: Vec<Address> = match request.target {
            Target::Functional => self.ecus.clone(),
            Target::Physical(one) => {
                self.ecus.iter().copied().filter(|ecu| one.reply == Some(*ecu)).collect()
            }
        };
        if who.is_empty() {
            self.take(200_000.0);
            return Err(Failure::Adapter(Status::NoData));
        }
        let lines = frames * who.len();
        if let Quirk::Spoils(every) = self.quirk
            && self.questions.is_multiple_of(every)
        {
            self.take(20_000.0);
            return Err(Failure::Garbage);
        }
        // Without headers off, with spaces off: identifier, control bytes, data.
        let characters = request.data.len() * 2 + 2 + who.len() * (frames * 6 + data.len() * 2) + 2;
        let wait = match request.lines.map(usize::from) {
            Some(count) if count <= lines => 0.0,
            Some(_) if self.quirk == Quirk::None => panic!("waits for lines that never come"),
            Some(_) => 200_000.0,
            None => 30_000.0,
        };
        self.take(
            characters as f64 * 10.0 / self.bits_per_second * 1e6
                + 5_000.0
                + 250.0 * (lines + 1) as f64
                + wait,
        );
        if request.lines.is_some_and(|count| usize::from(count) < lines) {
            return Err(Failure::Incomplete);
        }
        Ok((who.into_iter().map(|ecu| (ecu, data.clone())).collect(), lines as u8))
    }

    fn take(&mut self, micros: f64) {
        self.micros += micros as u64;
    }
}

fn item(pid: u8, length: u8) -> Item {
    Item { length: Some(length), group: true, ..Item::new(&[0x01, pid]).unwrap() }
}

fn every(millis: u64, item: Item) -> Item {
    Item { period: Duration::from_millis(millis), ..item }
}

/// Polls for so long and counts the answers of each item; every answer must be right.
fn drive(poller: &mut Poller<64>, car: &mut Car, millis: u64) -> BTreeMap<u32, u32> {
    let mut counts = BTreeMap::new();
    let end = car.micros + millis * 1_000;
    let mut count = |key: Key, outcome: Outcome<'_>| {
        if let Outcome::Answer(Message { data, .. }) = outcome
            && let [0x41, pid, data @ ..] = data
        {
            assert!(!data.is_empty() && data.iter().all(|byte| byte == pid), "a wrong value: {data:02X?}");
            let name = format!("{key:?}").trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            *counts.entry(name).or_insert(0) += 1;
        }
    };
    while car.micros < end {
        match poller.next(car.now()) {
            Next::Wait(None) => break,
            Next::Wait(Some(due)) => car.micros = due.as_millis() * 1_000,
            Next::Ask(question) => match car.answer(&question) {
                Ok((messages, lines)) => {
                    let messages = messages.iter().map(|(source, data)| Message { source: *source, data });
                    poller.handle_answer(car.now(), messages, lines, None, &mut count);
                }
                Err(failure) => poller.handle_failure(car.now(), failure, &mut count),
            },
        }
    }
    counts
}

fn poller(car: &Car, items: impl IntoIterator<Item = Item>) -> Poller<64> {
    let mut poller = Poller::new(Tuning::of(Protocol::Can11Fast));
    for item in items {
        poller.watch(car.now(), item).unwrap();
    }
    poller
}

const TWENTY: [(u8, u8); 20] = [
    (0x04, 1),
    (0x05, 1),
    (0x06, 1),
    (0x07, 1),
    (0x0B, 1),
    (0x0C, 2),
    (0x0D, 1),
    (0x0E, 1),
    (0x0F, 1),
    (0x10, 2),
    (0x11, 1),
    (0x1F, 2),
    (0x21, 2),
    (0x2F, 1),
    (0x31, 2),
    (0x33, 1),
    (0x42, 2),
    (0x43, 2),
    (0x46, 1),
    (0x5C, 1),
];

#[test]
fn six_share_a_request_to_the_ecu_that_answers_with_its_response_count() {
    let mut car = Car::new(&TWENTY);
    let mut poller = poller(&car, TWENTY.iter().take(GROUP).map(|(pid, length)| item(*pid, *length)));
    drive(&mut poller, &mut car, 1_000);
    let Next::Ask(question) = poller.next(car.now()) else { panic!("nothing is due") };
    let request = question.request();
    assert_eq!(request.data.len(), 7);
    assert!(matches!(request.target, Target::Physical(one) if one.request == 0x7E0));
    // 41, six PIDs, seven bytes: a first frame and two more.
    assert_eq!(request.lines, Some(3));
}

#[test]
fn the_link_is_kept_full() {
    for (count, baud, bound) in
        [(1, 38_400.0, 78.0), (5, 115_200.0, 330.0), (20, 38_400.0, 180.0), (20, 500_000.0, 720.0)]
    {
        let mut car = Car::new(&TWENTY);
        car.bits_per_second = baud;
        let mut poller = poller(&car, TWENTY.iter().take(count).map(|(pid, length)| item(*pid, *length)));
        drive(&mut poller, &mut car, 3_000);
        let values: u32 = drive(&mut poller, &mut car, 10_000).values().sum();
        let rate = f64::from(values) / 10.0;
        assert!(rate > 0.9 * bound, "{count} at {baud}: {rate} values per second, {bound} are possible");
    }
}

#[test]
fn wished_periods_are_kept_and_nobody_starves() {
    let mut car = Car::new(&TWENTY);
    let fast = (0..4).map(|at| item(TWENTY[at].0, TWENTY[at].1));
    let slow = (4..20).map(|at| every(1_000, item(TWENTY[at].0, TWENTY[at].1)));
    let mut poller = poller(&car, fast.chain(slow));
    drive(&mut poller, &mut car, 2_000);
    let counts = drive(&mut poller, &mut car, 10_000);
    for key in 1..=4 {
        assert!(counts[&key] > 400, "fast: {counts:?}");
    }
    for key in 5..=20 {
        assert!((9..=11).contains(&counts[&key]), "once a second: {counts:?}");
    }
}

#[test]
fn priorities_divide_what_the_link_allows() {
    let mut car = Car::new(&TWENTY);
    let mut poller = Poller::<64>::new(Tuning { group: 1, ..Tuning::of(Protocol::Can11Fast) });
    for (at, priority) in [0, 0, 3, 3].into_iter().enumerate() {
        poller.watch(car.now(), Item { priority, ..item(TWENTY[at].0, 1) }).unwrap();
    }
    drive(&mut poller, &mut car, 1_000);
    let counts = drive(&mut poller, &mut car, 10_000);
    assert!(counts[&3] >= 2 * counts[&1] && counts[&4] >= 2 * counts[&2] && counts[&1] > 100, "{counts:?}");
}

#[test]
fn a_car_that_refuses_groups_is_asked_one_by_one() {
    for quirk in [Quirk::FirstOnly, Quirk::NoGroups] {
        let mut car = Car::new(&TWENTY);
        car.quirk = quirk;
        let mut poller = poller(&car, TWENTY.iter().take(6).map(|(pid, length)| item(*pid, *length)));
        drive(&mut poller, &mut car, 10_000);
        let before = car.questions;
        let counts = drive(&mut poller, &mut car, 10_000);
        assert_eq!(counts.len(), 6, "{quirk:?}");
        let values: u32 = counts.values().sum();
        assert!(values > 900, "{quirk:?}: {counts:?}");
        assert!(car.questions - before <= values + 20, "{quirk:?}: it keeps trying");
    }
}

#[test]
fn one_item_that_spoils_groups_is_left_out_of_them() {
    let mut car = Car::new(&TWENTY);
    car.quirk = Quirk::OddLength;
    let mut poller = poller(&car, TWENTY.iter().take(12).map(|(pid, length)| item(*pid, *length)));
    drive(&mut poller, &mut car, 30_000);
    let before = car.questions;
    let counts = drive(&mut poller, &mut car, 10_000);
    let values: u32 = counts.values().sum();
    assert_eq!(counts.len(), 12);
    assert!(f64::from(values) > 3.0 * f64::from(car.questions - before), "groups are back: {values}");
}

#[test]
fn an_adapter_without_response_counts_is_not_given_any() {
    let mut car = Car::new(&TWENTY);
    car.quirk = Quirk::NoCount;
    let mut poller = poller(&car, TWENTY.iter().take(3).map(|(pid, length)| item(*pid, *length)));
    let counts = drive(&mut poller, &mut car, 10_000);
    assert!(counts.values().all(|count| *count > 100), "{counts:?}");
}

#[test]
fn groups_go_without_response_count_where_only_single_requests_may_have_one() {
    let mut car = Car::new(&TWENTY);
    car.quirk = Quirk::NoGroupCount;
    let mut poller = poller(&car, TWENTY.iter().take(6).map(|(pid, length)| item(*pid, *length)));
    drive(&mut poller, &mut car, 5_000);
    let before = car.questions;
    let counts = drive(&mut poller, &mut car, 10_000);
    assert_eq!(counts.values().sum::<u32>(), 6 * (car.questions - before), "all in groups: {counts:?}");
    assert!(counts.values().all(|count| *count > 150), "{counts:?}");
}

/// Values a second of six items, once they are known.
fn rate(car: &mut Car, poller: &mut Poller<64>) -> f64 {
    drive(poller, car, 2_000);
    f64::from(drive(poller, car, 20_000).values().sum::<u32>()) / 20.0
}

#[test]
fn a_spoiled_answer_now_and_then_costs_next_to_nothing() {
    let six = || TWENTY.iter().take(6).map(|(pid, length)| item(*pid, *length));
    let mut car = Car::new(&TWENTY);
    let mut clean = poller(&car, six());
    let clean = rate(&mut car, &mut clean);
    let mut car = Car::new(&TWENTY);
    car.quirk = Quirk::Spoils(500);
    let mut noisy = poller(&car, six());
    for _ in 0..5 {
        let noisy = rate(&mut car, &mut noisy);
        assert!(noisy > 0.95 * clean, "{noisy} of {clean} values a second");
    }
}

#[test]
fn what_was_given_up_in_a_bad_hour_comes_back() {
    let mut car = Car::new(&TWENTY);
    let mut poller = poller(&car, TWENTY.iter().take(6).map(|(pid, length)| item(*pid, *length)));
    let before = rate(&mut car, &mut poller);
    for quirk in [Quirk::NoGroups, Quirk::NoGroupCount, Quirk::NoCount, Quirk::Spoils(2)] {
        car.quirk = quirk;
        drive(&mut poller, &mut car, 20_000);
        car.quirk = Quirk::None;
        drive(&mut poller, &mut car, 120_000);
        let after = rate(&mut car, &mut poller);
        assert!(after > 0.95 * before, "{quirk:?}: {after} of {before} values a second");
    }
}

#[test]
fn after_a_fault_of_the_link_values_are_back_at_once() {
    for failure in [Failure::Garbage, Failure::Timeout, Failure::Adapter(Status::DataError)] {
        let mut car = Car::new(&TWENTY);
        let mut poller = poller(&car, [item(0x0C, 2), item(0x0D, 1)]);
        drive(&mut poller, &mut car, 2_000);
        let end = car.micros + 5_000_000;
        while car.micros < end {
            match poller.next(car.now()) {
                Next::Ask(_) => {
                    car.take(50_000.0);
                    poller.handle_failure(car.now(), failure, |_, _| {});
                }
                Next::Wait(due) => car.micros = due.unwrap().as_millis() * 1_000,
            }
        }
        let counts = drive(&mut poller, &mut car, 300);
        assert_eq!(counts.len(), 2, "{failure:?}");
    }
}

#[test]
fn lines_are_counted_as_the_bus_cuts_messages() {
    let one = Physical { extended: Some(0x12), reply: Some(Address(0x612)), ..Physical::new(0x6F1) };
    for (target, length, lines) in [
        (Physical::new(0x7E0), 7, Some(1)),
        (Physical::new(0x7E0), 8, Some(2)),
        (Physical::new(0x7E0), 13, Some(2)),
        (Physical::new(0x7E0), 14, Some(3)),
        // With an address byte in each frame there is room for one byte less.
        (one, 6, Some(1)),
        (one, 7, Some(2)),
        (one, 11, Some(2)),
        (one, 12, Some(3)),
        // Whoever hears this answers, perhaps several.
        (Physical::new(0x7DF), 12, None),
        (Physical::new(0x18DB_33F1), 12, None),
    ] {
        let mut poller = Poller::<8>::new(Tuning::of(Protocol::Can11Fast));
        let item = Item { target: Target::Physical(target), ..Item::new(&[0x22, 0xF1, 0x90]).unwrap() };
        poller.watch(Instant::ZERO, item).unwrap();
        let Next::Ask(_) = poller.next(Instant::ZERO) else { panic!("nothing is due") };
        let data = [&[0x62, 0xF1, 0x90][..], &vec![0x55; length - 3]].concat();
        let message = Message { source: ENGINE, data: &data };
        poller.handle_answer(Instant::ZERO, [message].into_iter(), 1, None, |_, _| {});
        let Next::Ask(question) = poller.next(Instant::from_millis(100)) else { panic!("nothing is due") };
        assert_eq!(question.request().lines, lines, "{length} bytes, {target:?}");
    }
}

#[test]
fn an_answer_that_becomes_longer_is_read_again() {
    let mut poller = Poller::<8>::new(Tuning::of(Protocol::Can11Fast));
    let mut now = Instant::ZERO;
    let target = Target::Physical(Physical::new(0x7E0));
    poller.watch(now, Item { target, ..Item::new(&[0x22, 0xF1, 0x90]).unwrap() }).unwrap();
    let mut answered = 0;
    for length in [3_usize, 3, 20, 20, 20] {
        let Next::Ask(question) = poller.next(now) else { panic!("nothing is due") };
        let data = [&[0x62, 0xF1, 0x90][..], &vec![0x55; length]].concat();
        let frames = if data.len() > 7 { 1 + (data.len() - 6).div_ceil(7) } else { 1 };
        if question.request().lines.is_some_and(|lines| usize::from(lines) < frames) {
            poller.handle_failure(now, Failure::Incomplete, |_, _| {});
        } else {
            let message = Message { source: ENGINE, data: &data };
            poller.handle_answer(now, [message].into_iter(), frames as u8, None, |_, _| answered += 1);
        }
        now = now + Duration::from_secs(1);
    }
    assert_eq!(answered, 4);
}

#[test]
fn what_the_car_lacks_is_asked_less_and_less_often() {
    let mut car = Car::new(&TWENTY);
    let mut poller = poller(&car, [item(0x0C, 2), item(0x5E, 2), item(0x0D, 1)]);
    drive(&mut poller, &mut car, 5_000);
    let counts = drive(&mut poller, &mut car, 20_000);
    assert!(counts[&1] > 1_500 && counts[&3] > 1_500 && !counts.contains_key(&2), "{counts:?}");
}

#[test]
fn of_several_ecus_the_engine_is_asked_again_and_another_when_it_falls_silent() {
    let mut car = Car::new(&TWENTY);
    car.ecus = vec![GEARBOX, ENGINE];
    let mut poller = poller(&car, [item(0x0C, 2), item(0x0D, 1)]);
    drive(&mut poller, &mut car, 1_000);
    let Next::Ask(question) = poller.next(car.now()) else { panic!("nothing is due") };
    assert!(matches!(question.request().target, Target::Physical(one) if one.reply == Some(ENGINE)));
    car.ecus = vec![GEARBOX];
    drive(&mut poller, &mut car, 5_000);
    let Next::Ask(question) = poller.next(car.now()) else { panic!("nothing is due") };
    assert!(matches!(question.request().target, Target::Physical(one) if one.reply == Some(GEARBOX)));
}

#[test]
fn answers_in_another_order_and_with_gaps_are_told_apart() {
    // With headers, which say how long a message is.
    let mut poller = Poller::<8>::new(Tuning { bare: false, ..Tuning::of(Protocol::Can11Fast) });
    let now = Instant::ZERO;
    let keys =
        [(0x0C, 2), (0x0D, 1), (0x05, 1)].map(|(pid, length)| poller.watch(now, item(pid, length)).unwrap());
    for _ in keys {
        let Next::Ask(question) = poller.next(now) else { panic!("nothing is due") };
        let pid = question.request().data[1];
        let data = [0x41, pid, 1, 2];
        let data = if pid == 0x0C { &data[..] } else { &data[..3] };
        poller.handle_answer(now, [Message { source: ENGINE, data }].into_iter(), 1, None, |_, _| {});
    }
    let now = Instant::from_millis(100);
    let Next::Ask(question) = poller.next(now) else { panic!("nothing is due") };
    assert_eq!(question.request().data.len(), 4);
    let data = [0x41, 0x05, 0x7B, 0x0C, 0x1A, 0xF8];
    let mut outcomes = Vec::new();
    poller.handle_answer(
        now,
        [Message { source: ENGINE, data: &data }].into_iter(),
        1,
        None,
        |key, outcome| {
            let Outcome::Answer(message) = outcome else { panic!("{outcome:?}") };
            outcomes.push((key, message.data.to_vec()));
        },
    );
    assert_eq!(outcomes, [(keys[2], vec![0x41, 0x05, 0x7B]), (keys[0], vec![0x41, 0x0C, 0x1A, 0xF8])]);
    // The one that is missing is asked alone, in its turn.
    let asked: Vec<Vec<u8>> = (0..2)
        .map(|_| match poller.next(now) {
            Next::Ask(question) => question.request().data.to_vec(),
            Next::Wait(_) => panic!("nothing is due"),
        })
        .collect();
    assert!(asked.contains(&vec![0x01, 0x0D]), "{asked:02X?}");
}

#[test]
fn an_answer_that_makes_no_sense_is_no_value() {
    for data in [
        &[0x41, 0x0C, 1, 2, 0x0D][..],
        &[0x41, 0x99, 1],
        &[0x42, 0x0C, 1, 2],
        &[],
        &[0x7F, 0x01, 0x12],
        // Without headers nothing says how long it should be: cut off, and with a hole where 2, 0D was.
        &[0x41, 0x0C, 1, 2],
        &[0x41, 0x0C, 1, 3],
    ] {
        let mut poller = Poller::<8>::new(Tuning::of(Protocol::Can11Fast));
        let now = Instant::ZERO;
        for (pid, length) in [(0x0C, 2), (0x0D, 1)] {
            poller.watch(now, item(pid, length)).unwrap();
        }
        for pid in [0x0C, 0x0D] {
            let Next::Ask(question) = poller.next(now) else { panic!("nothing is due") };
            assert_eq!(question.request().data[1], pid);
            let answer = [0x41, pid, 1, 2];
            let answer = if pid == 0x0C { &answer[..] } else { &answer[..3] };
            poller.handle_answer(
                now,
                [Message { source: ENGINE, data: answer }].into_iter(),
                1,
                None,
                |_, _| {},
            );
        }
        let Next::Ask(_) = poller.next(now) else { panic!("nothing is due") };
        poller.handle_answer(now, [Message { source: ENGINE, data }].into_iter(), 1, None, |_, outcome| {
            panic!("{data:02X?} became {outcome:?}");
        });
    }
}

#[test]
fn nothing_is_asked_before_it_is_due() {
    let mut poller = Poller::<8>::new(Tuning::of(Protocol::Can11Fast));
    assert_eq!(poller.next(Instant::ZERO), Next::Wait(None));
    let key = poller.watch(Instant::ZERO, every(500, item(0x0C, 2))).unwrap();
    assert!(matches!(poller.next(Instant::ZERO), Next::Ask(_)));
    assert_eq!(poller.next(Instant::from_millis(10)), Next::Wait(Some(Instant::from_millis(500))));
    poller.unwatch(key);
    assert!(poller.is_empty());
    assert_eq!(poller.next(Instant::from_millis(10)), Next::Wait(None));
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let mut poller = Poller::<2>::new(Tuning::of(Protocol::Can11Fast));
    poller.watch(Instant::ZERO, item(0x0C, 2)).unwrap();
    poller.watch(Instant::ZERO, item(0x0D, 1)).unwrap();
    assert!(poller.watch(Instant::ZERO, item(0x05, 1)).is_err());
    assert_eq!(poller.len(), 2);
}
