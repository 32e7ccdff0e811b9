//! What the local server knows: tokens, measurements, who subscribed to what. Pure: time comes in, frames go out.
//!
//! **Bounds:** [`MEASUREMENTS`] measurements, of which the oldest makes room for a new one; 120 seconds and at most
//! [`CHUNKS`] chunks each, then `MEASUREMENT_CLOSED`; [`TEXT`] bytes for each text about them, else `VALIDATION_ERROR`;
//! [`BODY`] bytes for each request but a chunk, [`SUBSCRIPTIONS`] subscriptions a connection and [`SUBSCRIBERS`] a
//! measurement, then 400; [`ISSUED`] tokens, the oldest forgotten, of [`TOKEN`] bytes;
//! [`DELAYED`] results and replies that the rules delay, of more the next go out at once; one [`Analysis`] for each chunk.
//! Payloads are not kept, but for 30 seconds of samples while a measurement is open.

mod access;
mod accounts;
mod actions;
mod analysis;
mod call;
mod delivery;
mod listing;
mod measurement;
mod pulse;
mod rules;
mod signal;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use cloverleaf_core::dfx::{Action, Id, Response, Status};
use cloverleaf_core::time::Instant;

pub use access::{Access, ISSUED, TOKEN, is_open};
pub use analysis::{Analysed, Analysis};
pub use call::{Asked, BODY, Message};
pub use measurement::{CHUNKS, Chunk, SUBSCRIBERS};
pub use pulse::Pulse;
pub use rules::{BadRules, Effect, Fault, On, Rules};
pub use signal::{MAGIC, Signal};

use super::events::{Encoding, Failure, Outcome, code};
use call::{Answer, Call};
use measurement::Measurement;

/// How many measurements are kept.
pub const MEASUREMENTS: usize = 1000;

/// How long each text of a new measurement may be, in bytes.
pub const TEXT: usize = 128;

/// How many subscriptions one connection may have.
pub const SUBSCRIPTIONS: usize = 4096;

/// How many results and replies may be on their way by the rules' delays.
pub const DELAYED: usize = 65_536;

/// A WebSocket connection, as the handlers number them.
pub type ConnectionId = u64;

/// What happens to the server.
#[derive(Debug)]
pub enum Input<'a> {
    /// A client connected.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// How its bodies are written.
        encoding: Encoding,
        /// The token of its `Authorization` header.
        token: Option<&'a str>,
    },
    /// A client sent a message, text or binary; see [`Message::read`].
    Message {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        message: Message<'a>,
    },
    /// A client is gone.
    Closed {
        /// The connection.
        connection: ConnectionId,
    },
    /// A chunk has been analysed, as [`Output::Analyse`] asked.
    Analysed(Analysed),
    /// Time passed; see [`State::deadline`].
    Tick,
}

/// What the server does.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a binary message.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Send the frame as a text message: a fault.
    SendText {
        /// To whom.
        connection: ConnectionId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Close the connection.
    Close {
        /// Whose.
        connection: ConnectionId,
        /// The WebSocket close code.
        code: u16,
    },
    /// Analyse a chunk and give the state [`Input::Analysed`]; meanwhile it can do other things.
    Analyse(Box<Analysis>),
    /// There is a result: for the timeline.
    Measured(Outcome),
}

/// What a client that has no WebSocket asks for.
#[derive(Debug)]
pub struct Rest<'a> {
    /// The action of the route.
    pub action: Action,
    /// The first `{}` of its path.
    pub argument: Option<&'a str>,
    /// What follows the path, name by name.
    pub query: Vec<(String, String)>,
    /// The token of the `Authorization` header.
    pub token: Option<&'a str>,
    /// The body.
    pub asked: Asked<'a>,
}

#[derive(Debug)]
struct Connection {
    encoding: Encoding,
    token: Option<Arc<str>>,
    /// Which measurement pushes results under which id. The last subscription under an id wins.
    subscriptions: HashMap<Id, String>,
}

/// Something that will be sent later.
#[derive(Debug)]
enum Due {
    /// A result of this epoch of its measurement.
    Outcome {
        epoch: u32,
        outcome: Outcome,
    },
    Output(Output),
    /// The results of this measurement that are held back since this one have been so for long enough.
    Held {
        measurement: String,
        first: String,
    },
}

/// The state of the local server.
#[derive(Debug)]
pub struct State {
    rules: Rules,
    access: Access,
    /// What time it was, in seconds since 1970, when the clock read zero.
    epoch: u64,
    measurements: HashMap<String, Measurement>,
    /// The ids of `measurements`, oldest first.
    ages: VecDeque<String>,
    connections: HashMap<ConnectionId, Connection>,
    due: BTreeMap<(Instant, u64), Due>,
    due_count: u64,
    /// How often each fault has matched.
    matched: Vec<u32>,
    malformed: u64,
}

impl State {
    /// A server without measurements, whose clock read zero `epoch` seconds after 1970 began.
    pub fn new(rules: Rules, access: Access, epoch: u64) -> Self {
        Self {
            matched: vec![0; rules.fault.len()],
            rules,
            access,
            epoch,
            measurements: HashMap::new(),
            ages: VecDeque::new(),
            connections: HashMap::new(),
            due: BTreeMap::new(),
            due_count: 0,
            malformed: 0,
        }
    }

    /// Carries out one input and says what is to be done about it, in order.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Opened { connection, encoding, token } => {
                // Whoever presents a longer one is told so when asking for anything.
                let token = token.map(|token| if token.len() > TOKEN { "" } else { token }.into());
                let client = Connection { encoding, token, subscriptions: HashMap::new() };
                self.connections.insert(connection, client);
            }
            Input::Message { connection, message } => self.message(now, connection, message, &mut outputs),
            Input::Closed { connection } => {
                if let Some(gone) = self.connections.remove(&connection) {
                    for (id, measurement) in gone.subscriptions {
                        if let Some(measurement) = self.measurements.get_mut(&measurement) {
                            measurement.subscribers.retain(|subscriber| *subscriber != (connection, id));
                        }
                    }
                }
            }
            Input::Analysed(analysed) => self.analysed(now, analysed),
            Input::Tick => {}
        }
        self.deliver_due(now, &mut outputs);
        outputs
    }

    /// Whether a request with this token may be made at all: what a chunk is refused for before its body is looked at.
    ///
    /// # Errors
    /// What to answer, with status 401.
    pub fn check(&self, now: Instant, action: Action, token: Option<&str>) -> Result<(), Failure> {
        if is_open(action) { Ok(()) } else { self.access.check(now, token) }
    }

    /// The same for a client of a WebSocket.
    pub fn admits(&self, now: Instant, connection: ConnectionId, action: Action) -> bool {
        let client = self.connections.get(&connection);
        client.is_some_and(|client| self.check(now, action, client.token.as_deref()).is_ok())
    }

    /// When [`Input::Tick`] is wanted next.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Messages that were no frames, and so had no id under which to complain.
    pub fn malformed_count(&self) -> u64 {
        self.malformed
    }

    /// One request of a client that has no WebSocket. Gives the status, the JSON, and what else is to be done.
    pub fn rest(&mut self, now: Instant, asked: Rest<'_>) -> (Status, Vec<u8>, Vec<Output>) {
        let Rest { action, argument, query, token, asked } = asked;
        let encoding = Encoding::Json;
        let chunk = self.next_chunk(argument, &asked);
        let Answer { status, body, analysis, .. } = match self.fault(On::Reply, Some(action), chunk) {
            Some(Fault { effect: Effect::Error, status, code, .. }) => Answer::fault(encoding, status, &code),
            _ => self.perform(now, Call { action, argument, query, token, encoding, asked, from: None }),
        };
        let mut outputs: Vec<_> =
            analysis.into_iter().map(|analysis| Output::Analyse(Box::new(analysis))).collect();
        self.deliver_due(now, &mut outputs);
        (status, body, outputs)
    }

    /// The result of one chunk, if it is ready: what polling clients ask for.
    pub fn intermediate(
        &self,
        now: Instant,
        token: Option<&str>,
        measurement: &str,
        chunk: u32,
    ) -> (Status, Vec<u8>) {
        let encoding = Encoding::Json;
        let answer = match (self.access.check(now, token), self.measurements.get(measurement)) {
            (Err(failure), _) => Answer::refusal(encoding, (Status::UNAUTHORIZED, failure)),
            (Ok(()), None) => Answer::refusal(encoding, call::not_found()),
            (Ok(()), Some(found)) => match found.outcome(chunk) {
                Some(outcome) => Answer::new(encoding, outcome),
                None => Answer::empty(encoding),
            },
        };
        (answer.status, answer.body)
    }

    fn message(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: Message<'_>,
        outputs: &mut Vec<Output>,
    ) {
        let Some(client) = self.connections.get(&connection) else { return };
        let (encoding, token) = (client.encoding, client.token.clone());
        let (id, answer, fault) = match message {
            Message::Request { action, id, asked } => {
                let chunk = self.next_chunk(None, &asked);
                let fault = self.fault(On::Reply, Some(action), chunk);
                let answer = match &fault {
                    Some(Fault { effect: Effect::Error, status, code, .. }) => {
                        Answer::fault(encoding, *status, code)
                    }
                    _ => {
                        let (from, token) = (Some((connection, id)), token.as_deref());
                        let (argument, query) = (None, Vec::new());
                        self.perform(now, Call { action, argument, query, token, encoding, asked, from })
                    }
                };
                (id, answer, fault)
            }
            Message::BadAction(digits, id) => {
                let refusal = call::invalid_route(&digits.escape_ascii().to_string());
                (id, Answer::refusal(encoding, refusal), None)
            }
            Message::Malformed => {
                self.malformed += 1;
                return;
            }
        };
        let frame = frame(id, answer.status, &answer.body);
        self.send(now, connection, frame, fault.as_ref(), outputs);
        if let Some(mut analysis) = answer.analysis {
            if self.rules.results_first {
                analysis.withheld = std::mem::take(outputs);
            }
            outputs.push(Output::Analyse(Box::new(analysis)));
        }
        if let Some((id, measurement)) = answer.subscribed {
            self.deliver_missed(now, (connection, id), &measurement, outputs);
        }
    }

    /// Which chunk a request would add, if it is about one: what faults ask for.
    fn next_chunk(&self, argument: Option<&str>, asked: &Asked<'_>) -> Option<u32> {
        let Asked::Data(chunk) = asked else { return None };
        let id = argument.or_else(|| Some(&chunk.as_ref().as_ref().ok()?.data.params.id))?;
        self.measurements.get(id).map(|measurement| measurement.next)
    }

    /// What time it is, in seconds since 1970.
    fn seconds(&self, now: Instant) -> u32 {
        u32::try_from(self.epoch + now.as_millis() / 1000).unwrap_or(u32::MAX)
    }

    /// The first fault that befalls this message. All that match count it.
    fn fault(&mut self, on: On, action: Option<Action>, chunk: Option<u32>) -> Option<Fault> {
        let mut befalls = None;
        for (fault, matched) in self.rules.fault.iter().zip(&mut self.matched) {
            let same_action = fault.action.is_none() || fault.action == action;
            let same_chunk = fault.chunk.is_none() || fault.chunk == chunk;
            if fault.on == on && same_action && same_chunk {
                *matched = matched.saturating_add(1);
                if *matched > fault.after && (fault.times == 0 || *matched - fault.after <= fault.times) {
                    befalls = befalls.or_else(|| Some(fault.clone()));
                }
            }
        }
        befalls
    }
}

fn frame(id: Id, status: Status, body: &[u8]) -> Vec<u8> {
    let header = Response { id, status, body }.header();
    [&header, body].concat()
}

fn failure(code: &str, message: impl Into<String>) -> Failure {
    Failure { code: code.to_owned(), message: message.into(), ..Failure::default() }
}
