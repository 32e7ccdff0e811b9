//! What the Socket.IO services share: the server's limits, the way in and out of a namespace, and one event as it came
//! from a client.
//!
//! ```text
//!  attach         the server in front of a router
//!  gate           from a socket to a member of a service
//!  incoming       an event of a client
//!  send_queue     the way back, on which nothing is lost; what finds no room in the send_window waits
//!  connection     what is known of one: its liveness and its send_window
//!  connect_query  what clients of Socket.IO 2 put into CONNECT
//! ```

mod attach;
mod connect_query;
mod connection;
mod gate;
mod incoming;
mod liveness;
mod send_queue;
mod send_window;

use std::time::Duration;

use axum::extract::Query;
use socketioxide::SocketIo;
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::Socket;

pub use attach::attach;
pub use connection::Connection;
pub use gate::{Member, serve};
pub use incoming::Incoming;
pub use liveness::Liveness;
pub use send_queue::{MAX_WAITING, Message, Overflow, SendQueue, send_when_drained};
pub use send_window::SendWindow;

/// The largest WebSocket message or polling body a client may send, in bytes.
pub const MAX_MESSAGE: usize = 1_000_000;

/// How many packets fit into a client's queue. A [`SendWindow`] sees to it that there are fewer.
pub const MAX_QUEUE: usize = 4096;

/// The argument list `[]`: for events without data, and for acknowledgements, which clients with callbacks of no
/// arguments need to be empty.
pub const NOTHING: [(); 0] = [];

/// The Socket.IO server, and the layer that puts it into a router. Engine.IO 3 and 4 are both spoken.
pub fn server() -> (SocketIoLayer, SocketIo) {
    let parser = socketioxide::ParserConfig::common()
        .max_incoming_binary_buf_size(MAX_MESSAGE)
        .max_incoming_binaries(8)
        .packet_completion_timeout(Duration::from_secs(10));
    SocketIo::builder()
        .with_parser(parser)
        .max_payload(MAX_MESSAGE as u64)
        .ws_max_message_size(MAX_MESSAGE)
        .ws_max_frame_size(MAX_MESSAGE)
        .max_buffer_size(MAX_QUEUE)
        .connect_timeout(Duration::from_secs(45))
        .build_layer()
}

/// What a client presents to be let in: `token` in the connection's auth payload, or else in its query string, where
/// clients of the older protocol, which have no auth payload, can put it.
pub fn token(socket: &Socket, auth: &serde_json::Value) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Presented {
        token: Option<String>,
    }
    let token = auth.get("token").and_then(serde_json::Value::as_str).map(str::to_owned);
    token.or_else(|| Query::<Presented>::try_from_uri(&socket.req_parts().uri).ok()?.0.token)
}
