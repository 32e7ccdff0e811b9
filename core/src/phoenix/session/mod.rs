//! The rules of joining and leaving: what a [server](route) does with a message, and a [`Client`].

mod channels;
mod client;

pub use channels::reconnect_after;
pub use client::{Client, Event, Full, Ref};

use super::wire::{Message, Token};

/// The topic of the heartbeat.
pub const PHOENIX: &str = "phoenix";

/// What a server does with a message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Route {
    /// Answer `ok`; the reply's `join_ref` is null.
    Heartbeat,
    /// Answer the error `unmatched topic`; the reply's `join_ref` is null.
    Unmatched,
    /// Join the topic, if there is such a topic ([`Route::Unmatched`] else), after ending the channel that exists.
    Join,
    /// Answer `ok`, then end the channel with `phx_close`.
    Leave,
    /// Answer `ok`: whoever is not in a channel has left it.
    LeaveNothing,
    /// Give the event to the channel.
    Deliver,
    /// Drop it: it was meant for a channel that has ended.
    Stale,
}

/// Decides what a server does with `message`, where `joined` is the `join_ref` of the channel that this
/// connection has on the message's topic, if it has one.
///
/// ```
/// use cloverleaf_core::phoenix::session::{Route, route};
/// use cloverleaf_core::phoenix::wire::{Token, Version, parse_text};
/// let shout = parse_text(Version::V2, br#"["1","5","room:lobby","shout",{}]"#)?;
/// assert_eq!(route(&shout, None), Route::Unmatched);
/// assert_eq!(route(&shout, Some(Token::text("1"))), Route::Deliver);
/// assert_eq!(route(&shout, Some(Token::text("4"))), Route::Stale);
/// # Ok::<(), cloverleaf_core::phoenix::wire::ParseError>(())
/// ```
pub fn route(message: &Message<'_>, joined: Option<Token<'_>>) -> Route {
    if message.topic.is(PHOENIX) && message.event.is("heartbeat") {
        return Route::Heartbeat;
    }
    if message.event.is("phx_join") {
        return Route::Join;
    }
    let leave = message.event.is("phx_leave");
    match joined {
        None if leave => Route::LeaveNothing,
        None => Route::Unmatched,
        Some(join_ref) if !message.join_ref.is_null() && !message.join_ref.same(join_ref) => Route::Stale,
        Some(_) if leave => Route::Leave,
        Some(_) => Route::Deliver,
    }
}
