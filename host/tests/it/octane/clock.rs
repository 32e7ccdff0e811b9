//! The clock on the wall is set in mid-run, as GPS and NTP set that of a vehicle's machine.

use std::time::Duration;

use cloverleaf::services::octane::resource::Kind;
use cloverleaf::services::octane::state::{Input, MAX_REPORTED};
use jiff::SignedDuration;

use super::bench::Bench;

/// By how many hours it is set.
const SET: [i64; 3] = [-1, 0, 1];

/// A source: what it is the state of, how it reports, and in which second of silence it is marked.
type Source = (Kind, &'static str, fn(&mut Bench), i64);

#[rustfmt::skip]
const SOURCES: [Source; 3] = [
    (Kind::Beacon,       "B1",       |bench| report(bench, Kind::Beacon, "B1"),  6),
    (Kind::V2x,          "beef0001", |bench| report(bench, Kind::V2x, "beef0001"), 3),
    (Kind::Intersection, "4",        |bench| {
        bench.handle(Input::Heard { intersection: 4, message: Box::default() });
    }, 3),
];

/// A client reports a beacon, or sends for a radio.
fn report(bench: &mut Bench, kind: Kind, id: &str) {
    let (event, data) = match kind {
        Kind::Beacon => ("beacon_message", format!(r#"{{"id":"{id}","state":{{}}}}"#)),
        _ => ("v2x_BSM", format!(r#"{{"id":"0124","payload":{{"id":"{id}"}}}}"#)),
    };
    let lines = bench.event(1, event, &data);
    assert!(lines[0].starts_with("publish "), "{lines:?}");
}

fn set(bench: &mut Bench, hours: i64) {
    bench.now.wall += SignedDuration::from_hours(hours);
}

#[test]
fn a_source_that_speaks_is_never_marked_and_one_that_is_silent_in_time() {
    for (hours, (kind, id, speak, marked_after)) in
        SET.into_iter().flat_map(|hours| SOURCES.map(|source| (hours, source)))
    {
        let mut bench = Bench::new();
        bench.member(1);
        bench.state.road.intersections.get_mut(&4).unwrap().feed_by_datagrams();
        let is_marked_a_second_later = |bench: &mut Bench| {
            bench.pass(1, "");
            bench.state.item(kind, id).unwrap().get("stale").is_some()
        };
        for _ in 0..3 {
            speak(&mut bench);
            set(&mut bench, hours);
            assert!(!is_marked_a_second_later(&mut bench), "{kind:?} speaks, set by {hours} h");
        }
        let marked = (2..20).find(|_| is_marked_a_second_later(&mut bench));
        assert_eq!(marked, Some(marked_after), "{kind:?} is silent, set by {hours} h");
    }
}

#[test]
fn of_too_many_sources_the_one_unheard_for_longest_is_forgotten() {
    for (hours, kind) in SET.into_iter().flat_map(|hours| [Kind::Beacon, Kind::V2x].map(|kind| (hours, kind)))
    {
        let mut bench = Bench::new();
        bench.member(1);
        let id = |count: usize| format!("beef{count:04x}");
        for count in 0..=MAX_REPORTED {
            report(&mut bench, kind, &id(count));
            bench.later(Duration::from_millis(1));
            if count == 0 {
                set(&mut bench, hours);
            }
        }
        let known = [0, 1, MAX_REPORTED].map(|count| bench.state.item(kind, &id(count)).is_some());
        assert_eq!(known, [false, true, true], "{kind:?}, set by {hours} h");
    }
}

#[test]
fn what_is_told_goes_on_at_its_pace_and_has_the_new_time() {
    for (hours, date) in SET.into_iter().zip([
        "2024-05-06T07:00:02.000-04:00",
        "2024-05-06T08:00:02.000-04:00",
        "2024-05-06T09:00:02.000-04:00",
    ]) {
        let mut bench = Bench::new();
        bench.pass(1, "");
        set(&mut bench, hours);
        let said = bench.pass(1, "intersection_update");
        assert_eq!(said.len(), 11, "of each once a second, set by {hours} h");
        for said in said {
            assert_eq!((&said["serviced"], &said["state"]["updated"]), (&date.into(), &date.into()));
        }
    }
}
