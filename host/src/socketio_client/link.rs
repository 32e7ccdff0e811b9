//! The task that owns the socket.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::handshake::{self, ConnectError, Connection, Socket};
use super::packet::{self, Malformed, Packet};
use super::{CallError, Disconnect, EmitError, Event, Message, Options, Reply, Shared};

/// Packets written before one flush.
const BATCH: usize = 64;

type Answer = oneshot::Sender<Result<Vec<Value>, CallError>>;

/// What clients ask of the link. `connection` is the one that it was meant for.
#[derive(Debug)]
pub(super) enum Order {
    Send { connection: u64, text: String },
    Call { connection: u64, text: String, id: u64, answer: Answer },
    Close { done: oneshot::Sender<()> },
}

/// A binary event or ack that waits for its attachments.
struct Partial {
    /// The event's arguments with its name first, or the ack's.
    args: Vec<Value>,
    kind: Kind,
    missing: usize,
    attachments: Vec<Bytes>,
}

enum Kind {
    Event { id: Option<u64> },
    Ack { id: u64 },
}

pub(super) struct Link {
    options: Options,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    reply_orders: mpsc::WeakSender<Order>,
    events: mpsc::Sender<Event>,
    /// Calls without their answers; at most `options.queue`.
    calls: HashMap<u64, Answer>,
    partial: Option<Partial>,
    /// The one event that found the queue full; the socket is not read until it is taken.
    waiting: Option<Event>,
}

impl Link {
    pub(super) fn new(
        options: Options,
        shared: Arc<Shared>,
        orders: mpsc::Receiver<Order>,
        reply_orders: mpsc::WeakSender<Order>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            options,
            shared,
            orders,
            reply_orders,
            events,
            calls: HashMap::new(),
            partial: None,
            waiting: None,
        }
    }

    /// Serve connection after connection until one of the two sides has had enough.
    pub(super) async fn run(mut self, mut connection: Connection) {
        let mut attempt = 0;
        loop {
            let began = Instant::now();
            let (reason, closed) = self.serve(connection).await;
            self.shared.epoch.fetch_add(1, Ordering::AcqRel);
            self.partial = None;
            for (_, answer) in self.calls.drain() {
                let _ = answer.send(Err(CallError::Disconnected));
            }
            let backoff = match reason {
                Disconnect::Client => None,
                Disconnect::Server if !self.options.return_after_close => None,
                _ => self.options.reconnect,
            };
            let retrying = backoff.is_some();
            if let Some(done) = closed {
                let _ = done.send(());
            }
            if self.deliver_late(Event::Disconnected { reason, retrying }).await.is_break() {
                return;
            }
            let Some(backoff) = backoff else { return };
            if began.elapsed() >= backoff.max {
                attempt = 0;
            }
            connection = loop {
                let Some(delay) = backoff.delay(attempt) else {
                    return self.end(Disconnect::GaveUp(format!("{attempt} attempts"))).await;
                };
                attempt += 1;
                if self.refuse_orders_until(sleep(delay)).await.is_break() {
                    return;
                }
                let mut tried = None;
                let options = self.options.clone();
                let trying = async { tried = Some(handshake::connect(&options).await) };
                if self.refuse_orders_until(trying).await.is_break() {
                    return;
                }
                let Some(tried) = tried else { return };
                match tried {
                    Ok(connection) => break connection,
                    Err(ConnectError::Refused { message, .. }) => {
                        return self.end(Disconnect::Refused(message)).await;
                    }
                    Err(error) => tracing::debug!(%error, attempt, "not back yet"),
                }
            };
            let ControlFlow::Continue(room) = self.room().await else { return };
            // What was queued for the old connection is refused by its number. Whoever sees the event
            // must be able to send.
            self.shared.epoch.fetch_add(1, Ordering::AcqRel);
            if let Some(room) = room {
                room.send(Event::Connected { sid: connection.sid.clone() });
            }
        }
    }

    async fn end(&mut self, reason: Disconnect) {
        let _ = self.deliver_late(Event::Disconnected { reason, retrying: false }).await;
    }

    /// Deliver between two connections. `Break` when the client leaves.
    async fn deliver_late(&mut self, event: Event) -> ControlFlow<()> {
        if let Some(room) = self.room().await? {
            room.send(event);
        }
        ControlFlow::Continue(())
    }

    /// Wait between two connections for room for an event, behind the one that waits already. `None`
    /// when nobody receives. `Break` when the client leaves.
    async fn room(&mut self) -> ControlFlow<(), Option<mpsc::OwnedPermit<Event>>> {
        let events = self.events.clone();
        let waiting = self.waiting.take();
        let mut room = None;
        let wait = async {
            if let Some(waiting) = waiting {
                let _ = events.send(waiting).await;
            }
            room = events.reserve_owned().await.ok();
        };
        self.refuse_orders_until(wait).await?;
        ControlFlow::Continue(room)
    }

    /// Between two connections: refuse orders until `end`. `Break` when the client leaves.
    async fn refuse_orders_until(&mut self, end: impl Future<Output = ()>) -> ControlFlow<()> {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => return ControlFlow::Continue(()),
                order = self.orders.recv() => match order {
                    None | Some(Order::Close { .. }) => return ControlFlow::Break(()),
                    Some(Order::Send { .. }) => {}
                    Some(Order::Call { answer, .. }) => {
                        let _ = answer.send(Err(EmitError::NotConnected.into()));
                    }
                },
            }
        }
    }

    /// Serve one connection to its end: why it ended, and who waits to be told that it is closed.
    async fn serve(&mut self, connection: Connection) -> (Disconnect, Option<oneshot::Sender<()>>) {
        let Connection { mut socket, silence, .. } = connection;
        let mut deadline = Instant::now() + silence;
        let events = self.events.clone();
        let reason = loop {
            tokio::select! {
                frame = socket.next(), if self.waiting.is_none() => {
                    deadline = Instant::now() + silence;
                    let pong = match self.receive(frame) {
                        Ok(pong) => pong,
                        Err(reason) => break reason,
                    };
                    if let Some(pong) = pong
                        && let Err(reason) = write(&mut socket, deadline, pong).await
                    {
                        break reason;
                    }
                }
                room = events.reserve(), if self.waiting.is_some() => {
                    // Without a receiver events are discarded.
                    if let (Some(event), Ok(room)) = (self.waiting.take(), room) {
                        room.send(event);
                    }
                }
                order = self.orders.recv() => match self.obey(&mut socket, deadline, order).await {
                    Ok(None) => {}
                    Ok(Some(done)) => return (Disconnect::Client, done),
                    Err(reason) => break reason,
                },
                () = sleep_until(deadline) => {
                    break if self.waiting.is_some() { Disconnect::Stalled } else { Disconnect::Silent };
                }
            }
        };
        tracing::debug!(%reason, "disconnected");
        let _ = tokio::time::timeout(Duration::from_secs(1), socket.close(None)).await;
        (reason, None)
    }

    /// Carry out an order and those right behind it. `Some` when it was the last.
    async fn obey(
        &mut self,
        socket: &mut Socket,
        deadline: Instant,
        first: Option<Order>,
    ) -> Result<Option<Option<oneshot::Sender<()>>>, Disconnect> {
        let current = self.shared.connection();
        let mut next = first;
        for left in (0..BATCH).rev() {
            match next {
                Some(Order::Send { connection, text }) => {
                    if Some(connection) == current {
                        feed(socket, deadline, text).await?;
                    }
                }
                Some(Order::Call { connection, text, id, answer }) => {
                    if Some(connection) != current {
                        let _ = answer.send(Err(CallError::Disconnected));
                    } else if self.has_room_for_call() {
                        self.calls.insert(id, answer);
                        feed(socket, deadline, text).await?;
                    } else {
                        let _ = answer.send(Err(CallError::TooMany));
                    }
                }
                Some(Order::Close { done }) => {
                    self.leave(socket).await;
                    return Ok(Some(Some(done)));
                }
                None => {
                    self.leave(socket).await;
                    return Ok(Some(None));
                }
            }
            if left == 0 {
                break;
            }
            match self.orders.try_recv() {
                Ok(order) => next = Some(order),
                Err(_) => break,
            }
        }
        flush(socket, deadline).await.map(|()| None)
    }

    fn has_room_for_call(&mut self) -> bool {
        if self.calls.len() >= self.options.queue {
            // Callers that gave up leave their entries behind until the room is needed.
            self.calls.retain(|_, answer| !answer.is_closed());
        }
        self.calls.len() < self.options.queue
    }

    async fn leave(&mut self, socket: &mut Socket) {
        let goodbye = async {
            socket.send(Frame::text(packet::emit_disconnect(&self.shared.namespace))).await?;
            socket.close(None).await
        };
        // A server that does not take the goodbye in time notices the closed link.
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
    }

    /// Take one frame; what must be written in return, or why the connection is over.
    fn receive(
        &mut self,
        frame: Option<Result<Frame, tungstenite::Error>>,
    ) -> Result<Option<String>, Disconnect> {
        let text = match frame {
            Some(Ok(Frame::Text(text))) => text,
            Some(Ok(Frame::Binary(bytes))) => {
                self.attach(bytes)?;
                return Ok(None);
            }
            Some(Ok(Frame::Close(_))) | None => {
                return Err(Disconnect::Link("closed by the server".to_owned()));
            }
            Some(Ok(_)) => return Ok(None),
            Some(Err(error)) => return Err(Disconnect::Link(error.to_string())),
        };
        let ours = self.shared.clone();
        match packet::parse(&text)? {
            Packet::Ping(data) => return Ok(Some(format!("3{data}"))),
            Packet::Close => return Err(Disconnect::Link("closed by the server".to_owned())),
            Packet::Event { namespace, id, args, attachments } if namespace == ours.namespace => {
                self.begin(Partial {
                    args,
                    kind: Kind::Event { id },
                    missing: attachments,
                    attachments: vec![],
                })?;
            }
            Packet::Ack { namespace, id, args, attachments } if namespace == ours.namespace => {
                self.begin(Partial {
                    args,
                    kind: Kind::Ack { id },
                    missing: attachments,
                    attachments: vec![],
                })?;
            }
            Packet::Disconnect { namespace } if namespace == ours.namespace => {
                return Err(Disconnect::Server);
            }
            Packet::Refused { namespace, data } if namespace == ours.namespace => {
                return Err(Disconnect::Refused(data.to_string()));
            }
            // Namespaces that this side never joined, and what says nothing.
            _ => {}
        }
        Ok(None)
    }

    fn begin(&mut self, partial: Partial) -> Result<(), Malformed> {
        if self.partial.is_some() {
            return Err(Malformed::Attachments);
        }
        if partial.missing == 0 {
            self.complete(partial);
        } else {
            self.partial = Some(partial);
        }
        Ok(())
    }

    fn attach(&mut self, bytes: Bytes) -> Result<(), Malformed> {
        let mut partial = self.partial.take().ok_or(Malformed::Attachments)?;
        partial.attachments.push(bytes);
        partial.missing -= 1;
        self.begin(partial)
    }

    fn complete(&mut self, partial: Partial) {
        let Partial { mut args, kind, attachments, .. } = partial;
        let id = match kind {
            Kind::Event { id } => id,
            Kind::Ack { id } => {
                if let Some(answer) = self.calls.remove(&id) {
                    let _ = answer.send(Ok(args));
                }
                return;
            }
        };
        let Value::String(event) = args.remove(0) else { return };
        let connection = self.shared.connection().unwrap_or_default();
        let reply = id.map(|id| Reply {
            id,
            connection,
            orders: self.reply_orders.clone(),
            shared: self.shared.clone(),
        });
        let message = Event::Message(Message { event, args, attachments, reply, connection });
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(message) {
            self.waiting = Some(event);
        }
    }
}

async fn feed(socket: &mut Socket, deadline: Instant, text: String) -> Result<(), Disconnect> {
    bounded(deadline, socket.feed(Frame::text(text))).await
}

async fn flush(socket: &mut Socket, deadline: Instant) -> Result<(), Disconnect> {
    bounded(deadline, socket.flush()).await
}

async fn write(socket: &mut Socket, deadline: Instant, text: String) -> Result<(), Disconnect> {
    bounded(deadline, socket.send(Frame::text(text))).await
}

/// A server that does not read is as dead as one that does not write.
async fn bounded(
    deadline: Instant,
    write: impl Future<Output = Result<(), tungstenite::Error>>,
) -> Result<(), Disconnect> {
    match tokio::time::timeout_at(deadline, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Disconnect::Link(error.to_string())),
        Err(_) => Err(Disconnect::Silent),
    }
}
