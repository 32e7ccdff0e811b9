//! What the Socket.IO services share: the server's limits, and one event as it came from a client.
//!
//! A service registers **one** fallback handler per socket and does all its work in the synchronous part:
//!
//! ```ignore
//! socket.on_fallback(move |socket: SocketRef, incoming: Incoming| {
//!     service.handle(&socket, incoming); // lock, handle, emit: in the order the client sent
//!     std::future::ready(())
//! });
//! ```
//!
//! because socketioxide spawns the returned future as a task of its own, and tasks of one client run in any order.

mod attach;
mod connect_query;
mod gate;
mod pulse;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use socketioxide::SocketIo;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessageParts;
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::Socket;
use socketioxide_core::Value;

pub use attach::attach;
pub use gate::{Member, serve};
pub use pulse::Pulse;

/// The largest WebSocket message or polling body a client may send, in bytes.
pub const MAX_MESSAGE: usize = 1_000_000;

/// How many packets may wait for a slow client; a service decides what happens to the next one.
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

/// One event from a client: its name, its arguments as JSON text, and the acknowledgement it may want.
pub struct Incoming {
    /// The event's name; empty when the packet had none.
    pub event: String,
    /// The arguments as they came. Binary attachments stay placeholders. Empty also when the packet was
    /// not the JSON array that Socket.IO demands.
    pub arguments: Vec<Box<RawValue>>,
    /// Answers the acknowledgement, if the client asked for one.
    pub ack: AckSender,
}

impl Incoming {
    /// The first argument as it came; `null` when there is none.
    pub fn raw(&self) -> &RawValue {
        self.arguments.first().map_or(RawValue::NULL, |argument| argument)
    }

    /// The first argument as any JSON; `null` when there is none.
    pub fn value(&self) -> serde_json::Value {
        self.data().unwrap_or(serde_json::Value::Null)
    }

    /// The first argument as a `T`; a missing one counts as `null`.
    ///
    /// # Errors
    /// When it is of another shape.
    pub fn data<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.raw().get())
    }
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

impl FromMessageParts<LocalAdapter> for Incoming {
    type Error = Infallible;

    fn from_message_parts(
        socket: &Arc<Socket>,
        value: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Infallible> {
        let ack = AckSender::from_message_parts(socket, value, ack)?;
        let mut arguments: Vec<Box<RawValue>> = match value {
            Value::Str(text, _) => serde_json::from_str(text).unwrap_or_default(),
            Value::Bytes(_) => Vec::new(),
        };
        let event = if arguments.is_empty() {
            String::new()
        } else {
            serde_json::from_str(arguments.remove(0).get()).unwrap_or_default()
        };
        Ok(Self { event, arguments, ack })
    }
}
