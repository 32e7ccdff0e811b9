//! Who comes, goes and claims an id, in the relay's state.

use std::time::Duration;

use cloverleaf::services::relay::state::Settings;

use super::script::{pair, play, settings};

#[test]
fn a_monitor_that_goes_fails_what_it_was_given_in_order() {
    pair(
        settings(),
        r#"
        u > command send {"command":"1","id":1}
        u < command ok {"reason":"Command ok","id":1,"times":{"accepted":1000000.0}}
        m < command do {"command":"1","id":1}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"2"}
        m closes
        u < command failed {"reason":"Monitor disconnected","id":1,"times":{"accepted":1000000.0,"dispatched":1000000.0,"finished":1000000.0}}
        u < command failed {"reason":"Monitor disconnected"}
        u > command send {"command":"3"}
        u < command ok {"reason":"Command ok"}
        u < command failed {"reason":"Monitor not connected"}
        n > con {"monitor_id":"$A"}
        n < con ok {"reason":"Connection ok"}
        u > command send {"command":"4"}
        u < command ok {"reason":"Command ok"}
        n < command do {"command":"4"}
        "#,
    );
}

#[test]
fn a_user_that_goes_leaves_its_command_to_the_monitor() {
    pair(
        settings(),
        r#"
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        u closes
        v > query {"monitor_id":"$A"}
        v < query ok {"reason":"Query ok"}
        v > command send {"command":"2"}
        v < command ok {"reason":"Command ok"}
        m < command do {"command":"2"}
        # The first completion is of the command of the user that left.
        m > command done
        m > command done
        v < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn introductions_can_be_repeated_and_changed() {
    pair(
        settings(),
        r#"
        m > con {"monitor_id":"$A"}
        m < con ok {"reason":"Connection ok"}
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        # Another id releases the first, at once and with everything that waited for it.
        m > con {"monitor_id":"$B"}
        u < command failed {"reason":"Monitor disconnected"}
        m < con ok {"reason":"Connection ok"}
        n > con {"monitor_id":"$A"}
        n < con ok {"reason":"Connection ok"}
        u > query {"monitor_id":"$B"}
        u < query ok {"reason":"Query ok"}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"2"}
        # One socket may be both.
        u > con {"monitor_id":"$C"}
        u < con ok {"reason":"Connection ok"}
        u > query {"monitor_id":"$C"}
        u < query ok {"reason":"Query ok"}
        u > command send {"command":"3"}
        u < command ok {"reason":"Command ok"}
        u < command do {"command":"3"}
        u > command done
        u < command finish {"reason":"Command finish"}
        "#,
    );
}

#[test]
fn reports_of_who_is_no_monitor_are_ignored() {
    pair(
        settings(),
        r#"
        u > command done {}
        u > command error {"reason":"x"}
        x > command done
        m > command done
        "#,
    );
}

#[test]
fn strictly_a_taken_id_is_refused_at_once() {
    pair(
        settings(),
        r#"
        n > con {"monitor_id":"$A"}
        n < con failed {"reason":"monitor_id already registered"}
        n closed
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        "#,
    );
}

#[test]
fn a_claim_is_decided_by_what_becomes_of_the_holder() {
    let probing = Settings { probe: Some(Duration::from_secs(1)), ..settings() };
    let claim = r#"
        u > command send {"command":"1"}
        u < command ok {"reason":"Command ok"}
        m < command do {"command":"1"}
        n > con {"monitor_id":"$A"}
        m probed
        # Meanwhile nobody else may claim, and asking twice changes nothing.
        n > con {"monitor_id":"$A"}
        o > con {"monitor_id":"$A"}
        o < con failed {"reason":"monitor_id already registered"}
        o closed
    "#;
    let refused = r#"
        n < con failed {"reason":"monitor_id already registered"}
        n closed
    "#;
    let taken = r#"
        u < command failed {"reason":"Monitor disconnected"}
        n < con ok {"reason":"Connection ok"}
        u > command send {"command":"2"}
        u < command ok {"reason":"Command ok"}
        n < command do {"command":"2"}
    "#;
    pair(probing.clone(), &format!("{claim} m alive {refused}"));
    pair(
        probing.clone(),
        &format!("{claim} m > command send {{}} {refused} m < command failed {{\"reason\":\"Not queried\"}}"),
    );
    pair(probing.clone(), &format!("{claim} at 0.9 \n at 1 \n m closed {taken}"));
    pair(probing.clone(), &format!("{claim} m closes {taken}"));
    pair(
        probing.clone(),
        &format!(
            "{claim} m > con {{\"monitor_id\":\"$B\"}} {refused} \n {}",
            r#"
        u < command failed {"reason":"Monitor disconnected"}
        m < con ok {"reason":"Connection ok"}"#
        ),
    );
    // A claimant that leaves or changes its mind.
    pair(probing.clone(), &format!("{claim} n closes \n m alive \n at 5"));
    pair(
        probing,
        &format!(
            "{claim} n > con {{\"monitor_id\":\"$B\"}} \n n < con ok {{\"reason\":\"Connection ok\"}} \n m closes \n u < command failed {{\"reason\":\"Monitor disconnected\"}}"
        ),
    );
}

#[test]
fn who_cannot_be_heard_keeps_its_id() {
    play(
        Settings { probe: Some(Duration::from_secs(1)), ..settings() },
        r#"
        deaf > con {"monitor_id":"$A"}
        deaf < con ok {"reason":"Connection ok"}
        n > con {"monitor_id":"$A"}
        deaf probed
        at 1
        n < con failed {"reason":"monitor_id already registered"}
        n closed
        "#,
    );
}
