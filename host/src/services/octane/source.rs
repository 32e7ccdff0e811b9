//! Datagrams of real controllers: each intersection listens on a port of its own, because a TSCBM does not say whose
//! it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::tscbm::{LEN, Message};
use tokio::net::UdpSocket;

use super::handlers::Octane;
use super::state::Input;

/// How often a listener looks whether there is still a road.
const CHECK: Duration = Duration::from_secs(1);

/// Where the controller of an intersection sends its datagrams: `4=0.0.0.0:6054`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The intersection.
    pub intersection: u32,
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
}

/// The text is not `ID=ADDR:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ID=ADDR:PORT expected, such as 4=0.0.0.0:6054")]
pub struct NotAFeed;

impl std::str::FromStr for Feed {
    type Err = NotAFeed;

    fn from_str(text: &str) -> Result<Self, NotAFeed> {
        let (intersection, listen) = text.split_once('=').ok_or(NotAFeed)?;
        let intersection = intersection.parse().map_err(|_| NotAFeed)?;
        Ok(Self { intersection, listen: listen.parse().map_err(|_| NotAFeed)? })
    }
}

/// Listens for the controller of an intersection, which from now on shows nothing but what that says. Answers the
/// address that was bound.
///
/// # Errors
/// When the address cannot be bound, or there is no such intersection.
pub async fn listen(octane: &Arc<Octane>, feed: Feed) -> std::io::Result<SocketAddr> {
    let socket = UdpSocket::bind(feed.listen).await?;
    let address = socket.local_addr()?;
    let known = octane.with(|state| {
        let intersection = state.road.intersections.get_mut(&feed.intersection);
        let intersection = intersection.ok_or_else(|| {
            std::io::Error::other(format!("there is no intersection {}", feed.intersection))
        })?;
        intersection.feed_by_datagrams();
        Ok::<_, std::io::Error>(((), Vec::new()))
    });
    known?;
    let octane = Arc::downgrade(octane);
    tokio::spawn(async move {
        // One byte more than a datagram has, so that a longer one shows.
        let mut buffer = [0; LEN + 1];
        let mut complained = false;
        loop {
            let received = tokio::time::timeout(CHECK, socket.recv_from(&mut buffer)).await;
            let Some(octane) = octane.upgrade() else { break };
            let (length, from) = match received {
                Err(_) => continue,
                Ok(Ok(received)) => received,
                Ok(Err(error)) => {
                    // Such as "connection refused", of a datagram that somebody else sent from this port.
                    tracing::debug!(%error, feed.intersection, "no datagram");
                    continue;
                }
            };
            match Message::parse(&buffer[..length]) {
                Ok(message) => {
                    let message = Box::new(message);
                    octane.handle(Input::Heard { intersection: feed.intersection, message });
                }
                Err(error) if !complained => {
                    complained = true;
                    tracing::warn!(%error, %from, feed.intersection, "a datagram is not a TSCBM; further ones are not logged");
                }
                Err(_) => {}
            }
        }
    });
    Ok(address)
}
