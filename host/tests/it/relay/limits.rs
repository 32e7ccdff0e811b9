//! Time, numbers and keys, in the relay's state.

use std::time::Duration;

use cloverleaf::services::relay::state::{Access, Settings};

use super::script::{pair, play, settings};

#[test]
fn a_command_without_report_times_out_and_its_late_report_is_not_the_next_ones() {
    let timed = Settings { timeout: Some(Duration::from_secs(10)), ..settings() };
    let late = r#"
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        at 9.9
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"2"}
        at 10
        u < command failed {"reason":"Command timed out"}
    "#;
    // The monitor was slow.
    pair(
        timed.clone(),
        &format!(
            "{late} {}",
            r#"
        m > command error {"reason":"late"}
        m > command done
        u < command finish {"reason":"Command finish"}
    "#
        ),
    );
    // The monitor has forgotten the first, and does not put the others out of step for ever.
    pair(
        timed,
        &format!(
            "{late} {}",
            r#"
        at 19.9
        u < command failed {"reason":"Command timed out"}
        at 29.9
        u > command send {"command":"3"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"3"}
        m > command done
        u < command finish {"reason":"Command finish"}
    "#
        ),
    );
}

/// It takes 11 seconds for each command, one after the other, where 5 are allowed.
#[test]
fn a_monitor_that_takes_more_than_twice_the_timeout_must_echo_ids() {
    let timed = Settings { timeout: Some(Duration::from_secs(5)), ..settings() };
    let late = r#"
        u > command send {"command":"1","id":1}
        u < command ok {"reason":"Command ok","id":1,"times":{"accepted":1000000.0}}
        m < command do {"command":"1","id":1}
        at 5
        u < command failed {"reason":"Command timed out","id":1,"times":{"accepted":1000000.0,"dispatched":1000000.0,"finished":1005000.0}}
        at 10
        u > command send {"command":"2","id":2}
        u < command ok {"reason":"Command ok","id":2,"times":{"accepted":1010000.0}}
        m < command do {"command":"2","id":2}
        at 11
    "#;
    // Its report of the first.
    pair(
        timed.clone(),
        &format!(
            "{late} {}",
            r#"
        m > command done {"output":"of 1"}
        u < command finish {"reason":"Command finish","id":2,"output":"of 1","times":{"accepted":1010000.0,"dispatched":1010000.0,"finished":1011000.0}}
    "#
        ),
    );
    pair(
        timed,
        &format!(
            "{late} {}",
            r#"
        m > command done {"id":1,"output":"of 1"}
        at 14
        m > command done {"id":2,"output":"of 2"}
        u < command finish {"reason":"Command finish","id":2,"output":"of 2","times":{"accepted":1010000.0,"dispatched":1010000.0,"finished":1014000.0}}
    "#
        ),
    );
}

#[test]
fn a_window_holds_back_what_a_serial_monitor_has_no_room_for() {
    let serial = Settings { window: 1, timeout: Some(Duration::from_secs(10)), ..settings() };
    pair(
        serial,
        r#"
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        at 5
        u > command send {"command":"3"}
        u < command ok {"reason":"Command ok"}
        m > command done
        u < command finish {"reason":"Command finish"}
        m < command do {"command":"2"}
        at 10
        u < command failed {"reason":"Command timed out"}
        m > command done
        m < command do {"command":"3"}
        m > command done
        u < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn a_part_of_the_program_is_never_given_what_has_timed_out() {
    play(
        Settings { timeout: Some(Duration::from_secs(1)), ..settings() },
        r#"
        car attaches $A
        car < con ok {"reason":"Connection ok"}
        u > query {"monitor_id":"$A"}
        u < query ok {"reason":"Query ok"}
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        car < command do {"command":"1"}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        at 1
        u < command failed {"reason":"Command timed out"}
        u < command failed {"reason":"Command timed out"}
        # However long it takes, it will report.
        at 10
        v > command send {"command":"3"}
        v < command ok {"reason":"Command ok"}
        car > command done {"output":"of 1"}
        car < command do {"command":"3"}
        car > command done {"output":"of 3"}
        v < command finish {"reason":"Command finish","output":"of 3"}
        "#,
    );
}

#[test]
fn unfinished_commands_and_commands_a_second_are_limited() {
    pair(
        Settings { max_pending: 1, ..settings() },
        r#"
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        u > command send {"command":"2"}
        u < command failed {"reason":"Too many pending commands"}
        # One user that sends too much does not shut out others.
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        v > command send {"command":"3"}
        v < command ok {"reason":"Command ok"}
        m < command do {"command":"3"}
        w > query {"monitor_id":"$A"}
        w < query ok {"reason":"Query ok"}
        w > command send {"command":"4"}
        w < command ok {"reason":"Command ok"}
        m < command do {"command":"4"}
        x > query {"monitor_id":"$A"}
        x < query ok {"reason":"Query ok"}
        x > command send {"command":"5"}
        x < command ok {"reason":"Command ok"}
        m < command do {"command":"5"}
        # For a monitor there are four times as many as of a user.
        y > query {"monitor_id":"$A"}
        y < query ok {"reason":"Query ok"}
        y > command send {"command":"6"}
        y < command failed {"reason":"Too many pending commands"}
        m > command done
        u < command finish {"reason":"Command finish"}
        y > command send {"command":"7"}
        y < command ok {"reason":"Command ok"}
        m < command do {"command":"7"}
        "#,
    );
    play(
        Settings { rate: 2, ..settings() },
        r#"
        u > query {"monitor_id":"$A"}
        u < query ok {"reason":"Query ok"}
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        u > command send {"command":"3"}
        u < command failed {"reason":"Too many commands per second"}
        at 0.5
        u > command send {"command":"4"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        u > command send {"command":"5"}
        u < command failed {"reason":"Too many commands per second"}
        "#,
    );
}

#[test]
fn the_bytes_of_unfinished_commands_are_limited_too() {
    let long = "x".repeat(1_200_000);
    pair(
        Settings { max_command: 2_000_000, ..settings() },
        &r#"
        u > command send {"command":"1 LONG"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1 LONG"}
        u > command send {"command":"2 LONG"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"2 LONG"}
        u > command send {"command":"3"}
        u < command failed {"reason":"Too many pending commands"}
        # The monitor has enough to read; another user's command waits for it.
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        v > command send {"command":"4"}
        v < command ok {"reason":"Command ok"}
        m > command done
        u < command finish {"reason":"Command finish"}
        m < command do {"command":"4"}
        "#
        .replace("LONG", &long),
    );
}

#[test]
fn keys_are_asked_of_each_role() {
    let access = Access::new(&["user".parse().unwrap()], &["monitor".parse().unwrap()], false);
    play(
        Settings { access, hex_ids: true, ..settings() },
        r#"
        m opens monitor
        m > con {"monitor_id":"$A"}
        m < con ok {"reason":"Connection ok"}
        u > query {"monitor_id":"$A","token":"user"}
        u < query ok {"reason":"Query ok"}
        n > con {"monitor_id":"$B"}
        n < con failed {"reason":"Invalid token"}
        n closed
        v opens monitor
        v > query {"monitor_id":"$A"}
        v < query failed {"reason":"Invalid token"}
        v closed
        w > query {"monitor_id":"$z"}
        w < query failed {"reason":"Invalid monitor_id"}
        w closed
        "#,
    );
    play(
        Settings { access: Access::new(&[], &[], false), ..settings() },
        r#"
        u > query {"monitor_id":"$A"}
        u < query failed {"reason":"Relay closed: the server has no keys"}
        u closed
        "#,
    );
}
