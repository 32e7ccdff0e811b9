use cloverleaf_core::phoenix::session::Client;
use cloverleaf_core::phoenix::wire::Version;
use cloverleaf_core::time::Duration;

use crate::laws::{Link, Step, hold};

type Small = Client<2, 2, 32, 256, 128>;

/// A client of channels keeps the laws of machines whatever it hears and is asked for. The input is a byte for the version
/// of the protocol and a series of steps: messages, time, or something the owner asks.
pub fn phoenix_client(data: &[u8]) {
    let [version, rest @ ..] = data else {
        return;
    };
    let version = if version & 1 == 0 { Version::V1 } else { Version::V2 };
    hold(Link::Messages, || Small::new(version), &script(rest), |event| format!("{event:?}"));
}

/// Reads steps: two bytes of what and how long, and what belongs to it.
fn script(mut rest: &[u8]) -> Vec<Step<Small>> {
    let mut script = Vec::new();
    while let [what, length, tail @ ..] = rest
        && script.len() < 64
    {
        let (bytes, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        let owned = bytes.to_vec();
        let topic = if what & 8 == 0 { "room:a" } else { "room:b" };
        // Refusals are as good as answers here.
        script.push(match what & 7 {
            0 | 1 => Step::Input(owned),
            2 => Step::Pass(Duration::from_millis(100 << (length >> 4))),
            3 => Step::Ask(Box::new(move |client: &mut Small, now| {
                let _ = client.join(now, topic, b"{}");
            })),
            4 => Step::Ask(Box::new(move |client: &mut Small, now| {
                let _ = client.leave(now, topic);
            })),
            5 => Step::Ask(Box::new(move |client: &mut Small, now| {
                let _ = client.push(now, topic, "echo", b"{}");
            })),
            6 => Step::Ask(Box::new(|client: &mut Small, now| client.connected(now))),
            _ => Step::Ask(Box::new(|client: &mut Small, now| client.disconnected(now))),
        });
    }
    script
}
