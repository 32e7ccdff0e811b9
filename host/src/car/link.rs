//! The task that owns the adapter.
//!
//! One thing at a time is on the wire: what the car supports first, then by turns a query, if one waits, and the
//! watched item that is longest due.

use std::collections::HashMap;
use std::future::ready;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::driver::{self, Clock, Driver};
use cloverleaf_core::elm327::poll::Question;
use cloverleaf_core::elm327::session::{
    Event, Failure, Filter, Link, Refused, Request, Session, Settings, Target,
};
use cloverleaf_core::elm327::wire::Status;
use cloverleaf_core::obd2::{self, Command, Value};
use cloverleaf_core::time;
use embedded_io_adapters::tokio_1::FromTokio;
use jiff::Timestamp;
use serde_json::json;
use tokio::io::BufStream;
use tokio::sync::{broadcast, mpsc, watch};

use super::item::{Item, Supported};
use super::polling::{Polling, Turn};
use super::reading::{Reading, Reply};
use super::{Frame, Job, Options, QueryError, State, Watched};
use crate::clock::TokioClock;
use crate::timeline::{self, Bus, Source};
use crate::transport::{self, Port, Stream};

/// After a failed attempt to reach the adapter: a second, then twice as long each time, at most half a minute.
const BACK_OFF: [u64; 6] = [1, 2, 4, 8, 16, 30];
/// The answers of a car to one request: of up to 16 control units, 4 kB together.
type Elm = Session<16, 4096>;
type Wire = Driver<Elm, FromTokio<BufStream<Stream>>, TokioClock>;

/// Where everything that happens is told.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) state: watch::Sender<State>,
    pub(super) readings: broadcast::Sender<Arc<Reading>>,
    pub(super) timeline: Bus,
}

impl Publisher {
    /// What every part of a conversation has to say about the link.
    fn note(&self, event: &Event<'_, 16, 4096>) {
        match event {
            Event::Link(link) => {
                self.state.send_modify(|state| {
                    state.link = *link;
                    if *link == Link::CarConnected {
                        state.trouble = None;
                    } else {
                        state.supported = None;
                    }
                });
                let text = timeline::Value::Text(link.as_str().into());
                self.timeline.publish(Source::Car, "link", text);
            }
            Event::Trouble(failure) => self.state.send_modify(|state| {
                tracing::debug!(%failure, "the link has trouble");
                state.trouble = Some(failure.to_string());
            }),
            Event::Voltage(millivolts) => {
                self.state.send_modify(|state| state.millivolts = Some(*millivolts));
            }
            Event::Alert(status) => {
                let text = timeline::Value::Text(status.as_str().into());
                self.timeline.publish(Source::Car, "alert", text);
            }
            _ => {}
        }
    }

    fn reading(&self, reading: Reading) {
        reading.publish(&self.timeline);
        // The only error is that nobody listens.
        let _ = self.readings.send(Arc::new(reading));
    }
}

/// Puts what is known of the adapter on the timeline as often as that changes, for as long as there is a link.
pub(super) async fn tell_adapter(mut states: watch::Receiver<State>, timeline: Bus) {
    let mut told = serde_json::Value::Null;
    loop {
        let adapter = {
            let state = states.borrow_and_update();
            json!({
                "port": state.port,
                "banner": state.banner,
                "protocol": state.protocol.map(|protocol| protocol.name()),
                "trouble": state.trouble,
            })
        };
        if adapter != told {
            timeline.publish(Source::Car, "adapter", timeline::Value::Json(adapter.clone()));
            told = adapter;
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Why a conversation ended.
#[derive(Debug)]
enum Ended {
    /// Someone closed the connection.
    Closed,
    /// The adapter is gone, or does not talk.
    Lost(String),
}

impl From<driver::Error<std::io::Error>> for Ended {
    fn from(error: driver::Error<std::io::Error>) -> Self {
        Self::Lost(error.to_string())
    }
}

/// The task.
#[derive(Debug)]
pub(super) struct Task {
    options: Options,
    publisher: Arc<Publisher>,
    jobs: mpsc::Receiver<Job>,
    watched: Arc<Watched>,
    open: watch::Receiver<bool>,
    /// How many lines answered each request the last time.
    counts: Counts,
}

/// What to do next.
enum Step {
    Job(Job),
    Look,
}

impl Task {
    pub(super) fn new(
        options: Options,
        publisher: Publisher,
        jobs: mpsc::Receiver<Job>,
        watched: Arc<Watched>,
        open: watch::Receiver<bool>,
    ) -> Self {
        Self { options, publisher: Arc::new(publisher), jobs, watched, open, counts: HashMap::new() }
    }

    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            if !*self.open.borrow_and_update() {
                self.publisher.state.send_replace(State { closed: true, ..State::default() });
                self.publisher.note(&Event::Link(Link::NotConnected));
                if self.refusing(std::future::pending::<()>()).await.is_some() {
                    return;
                }
                continue;
            }
            self.publisher.state.send_modify(|state| state.closed = false);
            let adapter = self.options.adapter.clone();
            let trouble = match self.refusing(transport::open(&adapter)).await {
                None => continue,
                Some(Err(error)) => error.to_string(),
                Some(Ok(port)) => match self.converse(port, &mut failures).await {
                    Ended::Closed => continue,
                    Ended::Lost(trouble) => trouble,
                },
            };
            let wait = Duration::from_secs(BACK_OFF[failures.min(BACK_OFF.len() - 1)]);
            failures += 1;
            tracing::warn!(adapter = %adapter, "{trouble}; trying again in {wait:?}");
            self.publisher.state.send_modify(|state| {
                *state = State { trouble: Some(trouble), ..State::default() };
            });
            self.publisher.note(&Event::Link(Link::NotConnected));
            self.refusing(tokio::time::sleep(wait)).await;
        }
    }

    /// Does something that takes time while no car is connected; queries are refused meanwhile. None if the
    /// connection was closed or opened first.
    async fn refusing<T>(&mut self, doing: impl Future<Output = T>) -> Option<T> {
        let mut doing = std::pin::pin!(doing);
        loop {
            tokio::select! {
                done = &mut doing => return Some(done),
                changed = self.open.changed() => {
                    // The sender lives as long as the handles, and without handles this task ends.
                    let _ = changed;
                    return None;
                }
                Some(job) = self.jobs.recv() => {
                    let trouble = self.publisher.state.borrow().trouble.clone();
                    job.fail(QueryError::NotConnected(trouble)).await;
                }
            }
        }
    }

    /// Talks to an adapter until it is lost or closed.
    async fn converse(&mut self, port: Port, failures: &mut usize) -> Ended {
        let clock = TokioClock::start();
        let settings = Settings { protocol: self.options.protocol, ..Settings::default() };
        let mut wire = Driver::new(Elm::new(settings), FromTokio::new(BufStream::new(port.stream)), clock);
        wire.machine.connect(wire.now());
        self.publisher.state.send_modify(|state| state.port = port.name);
        self.counts.clear();
        let mut conversation =
            Conversation { wire, clock, publisher: self.publisher.clone(), open: self.open.clone() };
        let mut polling = None;
        let mut polled = false;
        loop {
            let supported = self.publisher.state.borrow().supported.clone();
            let Some(supported) = supported else {
                polling = None;
                let result = if conversation.link() == Link::CarConnected {
                    *failures = 0;
                    conversation.discover(&mut self.counts).await
                } else {
                    self.attend(&mut conversation, None).await
                };
                match result {
                    Ok(()) => continue,
                    Err(ended) => return ended,
                }
            };
            let protocol = conversation.wire.machine.protocol();
            let polling = polling.get_or_insert_with(|| Polling::new(protocol));
            let now = conversation.wire.now();
            polling.follow(now, &self.watched, &supported);
            // By turns, so that neither queries nor watched items starve.
            let job = if polled { self.jobs.try_recv().ok() } else { None };
            polled = job.is_none();
            let turn = match job {
                Some(_) => Turn::Wait(None),
                None if conversation.wire.machine.is_ready() => polling.next(now),
                None => Turn::Wait(None),
            };
            let result = match (job, turn) {
                (Some(job), _) => conversation.work(job, &mut self.counts).await,
                (None, Turn::Group(question)) => conversation.poll(&question, polling).await,
                (None, Turn::Other(item)) => conversation.poll_other(item, &mut self.counts).await,
                (None, Turn::Wait(due)) => self.attend(&mut conversation, due).await,
            };
            if let Err(ended) = result {
                return ended;
            }
        }
    }

    /// Waits for whatever comes first, and does a query if that is it.
    async fn attend(
        &mut self,
        conversation: &mut Conversation,
        due: Option<time::Instant>,
    ) -> Result<(), Ended> {
        match conversation.wait(&mut self.jobs, &self.watched, due).await? {
            Step::Job(job) => conversation.work(job, &mut self.counts).await,
            Step::Look => Ok(()),
        }
    }
}

/// One connection to an adapter.
struct Conversation {
    wire: Wire,
    clock: TokioClock,
    publisher: Arc<Publisher>,
    open: watch::Receiver<bool>,
}

/// By request and header.
type Counts = HashMap<(Vec<u8>, Option<u32>), u8>;

impl Conversation {
    fn link(&self) -> Link {
        self.wire.machine.link()
    }

    /// Runs the session until `on_event` has an answer, telling the publisher of everything.
    async fn run<T>(
        &mut self,
        mut on_event: impl FnMut(&Event<'_, 16, 4096>) -> ControlFlow<T>,
    ) -> Result<T, Ended> {
        let publisher = &self.publisher;
        let open = &mut self.open;
        let closed = async {
            // Closed as well when all handles are gone.
            while open.changed().await.is_ok() && *open.borrow_and_update() {}
            Err(Ended::Closed)
        };
        self.wire
            .run_until(closed, |event| {
                publisher.note(&event);
                match event {
                    Event::Trouble(failure @ (Failure::Mute | Failure::NotAnAdapter)) => {
                        Break(Err(Ended::Lost(failure.to_string())))
                    }
                    event => match on_event(&event) {
                        Break(answer) => Break(Ok(answer)),
                        Continue(()) => Continue(()),
                    },
                }
            })
            .await?
    }

    /// Waits for something to do: a query, the moment `due`, a change of what is watched or of the link.
    async fn wait(
        &mut self,
        jobs: &mut mpsc::Receiver<Job>,
        watched: &Watched,
        due: Option<time::Instant>,
    ) -> Result<Step, Ended> {
        let mut clock = self.clock;
        let publisher = &self.publisher;
        let open = &mut self.open;
        let interrupt = async {
            tokio::select! {
                Some(job) = jobs.recv() => Ok(Step::Job(job)),
                () = watched.changed.notified() => Ok(Step::Look),
                () = clock.sleep_until(due), if due.is_some() => Ok(Step::Look),
                changed = open.changed() => match changed.is_ok() && *open.borrow_and_update() {
                    true => Ok(Step::Look),
                    false => Err(Ended::Closed),
                },
            }
        };
        self.wire
            .run_until(interrupt, |event| {
                publisher.note(&event);
                match event {
                    Event::Trouble(failure @ (Failure::Mute | Failure::NotAnAdapter)) => {
                        Break(Err(Ended::Lost(failure.to_string())))
                    }
                    Event::Link(_) => Break(Ok(Step::Look)),
                    _ => Continue(()),
                }
            })
            .await?
    }

    /// Lets the session finish what it is saying, so that it takes a request.
    async fn settle(&mut self) -> Result<(), Ended> {
        let publisher = &self.publisher;
        let silence = self.wire.run_until(ready(()), |event| {
            publisher.note(&event);
            Continue(())
        });
        Ok(silence.await?)
    }

    /// One exchange with the car.
    async fn ask(
        &mut self,
        data: &[u8],
        target: Target,
        counts: &mut Counts,
    ) -> Result<Result<Reply, QueryError>, Ended> {
        self.settle().await?;
        let header = match target {
            Target::Functional => None,
            Target::Physical(one) => Some(one.request),
        };
        let key = (data.to_vec(), header);
        let lines = counts.get(&key).copied();
        let request = Request { target, lines, ..Request::new(data) };
        if let Err(refused) = self.wire.machine.request(self.wire.now(), &request) {
            return Ok(Err(self.refusal(refused)));
        }
        let answer = self
            .run(|event| match event {
                Event::Reply(result) => Break(result.as_ref().map(Reply::of).map_err(|failure| *failure)),
                _ => Continue(()),
            })
            .await?;
        match &answer {
            // A refusal, or an answer in parts, may have another number of lines than a value.
            Ok(reply) if reply.messages().all(|message| message.data.first() != Some(&0x7F)) => {
                counts.insert(key, reply.count);
            }
            _ => {
                counts.remove(&key);
            }
        }
        Ok(answer.map_err(QueryError::Failed))
    }

    fn refusal(&self, refused: Refused) -> QueryError {
        match refused {
            Refused::NotConnected => QueryError::NotConnected(self.publisher.state.borrow().trouble.clone()),
            refused => QueryError::Refused(refused),
        }
    }

    /// A line to the adapter.
    async fn command(&mut self, text: &str) -> Result<Result<Vec<String>, QueryError>, Ended> {
        self.settle().await?;
        if let Err(refused) = self.wire.machine.command(self.wire.now(), text.as_bytes(), None) {
            return Ok(Err(self.refusal(refused)));
        }
        let mut lines = Vec::new();
        let done = self
            .run(|event| match event {
                Event::Text(line) => {
                    lines.push(String::from_utf8_lossy(line).into_owned());
                    Continue(())
                }
                Event::Done(result) => Break(*result),
                _ => Continue(()),
            })
            .await?;
        Ok(match done {
            // What the adapter says of itself is an answer here.
            Err(Failure::Adapter(_)) if !lines.is_empty() => Ok(lines),
            Err(failure) => Err(QueryError::Failed(failure)),
            Ok(()) => Ok(lines),
        })
    }

    async fn work(&mut self, job: Job, counts: &mut Counts) -> Result<(), Ended> {
        match job {
            Job::Request { data, target, answer } => {
                let reply = self.ask(&data, target, counts).await?;
                // Whoever asked may have gone.
                let _ = answer.send(reply);
            }
            Job::Command { text, answer } => {
                let lines = self.command(&text).await?;
                let _ = answer.send(lines);
            }
            Job::Monitor { filter, frames } => self.monitor(filter, frames).await?,
        }
        Ok(())
    }

    /// Asks the scheduler's question and tells everyone what came of it.
    async fn poll(&mut self, question: &Question, polling: &mut Polling) -> Result<(), Ended> {
        self.settle().await?;
        let clock = self.clock;
        let readings = match self.wire.machine.request(self.wire.now(), &question.request()) {
            Ok(()) => {
                self.run(|event| match event {
                    Event::Reply(result) => Break(polling.handle(clock.now(), result)),
                    _ => Continue(()),
                })
                .await?
            }
            // The link has gone meanwhile; the items stay due.
            Err(Refused::NotConnected | Refused::Busy) => Vec::new(),
            Err(_) => polling.handle::<16, 4096>(clock.now(), &Err(Failure::TooLong)),
        };
        for reading in readings {
            self.publisher.reading(reading);
        }
        Ok(())
    }

    /// Asks everyone, or the adapter, for a watched item and tells what came of it.
    async fn poll_other(&mut self, item: Item, counts: &mut Counts) -> Result<(), Ended> {
        let reply = match item.adapter_command() {
            Some(text) => self.command(text).await?.map(Reply::text),
            None => self.ask(&item.request(), item.target(), counts).await?,
        };
        let reply = match reply {
            Err(QueryError::Failed(Failure::Adapter(Status::NoData))) if item.may_be_silent() => {
                Ok(Reply::default())
            }
            reply => reply,
        };
        self.publisher.reading(Reading { item, time: Timestamp::now(), reply });
        Ok(())
    }

    /// Tells the frames on the bus until nobody takes them.
    async fn monitor(
        &mut self,
        filter: Filter,
        frames: mpsc::Sender<Result<Frame, QueryError>>,
    ) -> Result<(), Ended> {
        self.settle().await?;
        if let Err(refused) = self.wire.machine.monitor(self.wire.now(), filter) {
            let _ = frames.try_send(Err(self.refusal(refused)));
            return Ok(());
        }
        let mut lost = 0;
        let publisher = &self.publisher;
        let untaken = async {
            frames.closed().await;
            None
        };
        let heard = self
            .wire
            .run_until(untaken, |event| {
                publisher.note(&event);
                match event {
                    Event::Frame(hex) => {
                        let hex = hex.iter().filter(|byte| byte.is_ascii_graphic());
                        let hex = hex.map(|byte| char::from(*byte)).collect();
                        match frames.try_send(Ok(Frame { time: Timestamp::now(), hex, lost })) {
                            Ok(()) => lost = 0,
                            Err(_) => lost += 1,
                        }
                        Continue(())
                    }
                    Event::Gap => {
                        lost += 1;
                        Continue(())
                    }
                    Event::Done(result) => Break(Some(result)),
                    _ => Continue(()),
                }
            })
            .await?;
        match heard {
            Some(Ok(())) => {}
            // There is room for it, or else nobody reads.
            Some(Err(failure)) => drop(frames.try_send(Err(QueryError::Failed(failure)))),
            None => {
                self.wire.machine.stop(self.wire.now());
                self.run(|event| match event {
                    Event::Done(_) => Break(()),
                    _ => Continue(()),
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Asks every control unit what it supports.
    async fn discover(&mut self, counts: &mut Counts) -> Result<(), Ended> {
        let mut supported = Supported::default();
        let can = self.wire.machine.protocol().is_none_or(|protocol| protocol.is_can());
        let services: &[u8] = if can { &[0x01, 0x09, 0x06] } else { &[0x01, 0x09, 0x05] };
        for &service in services {
            for base in (0x00..=0xE0).step_by(0x20) {
                if base > 0 && !supported.identifiers.contains(&(service, base)) {
                    break;
                }
                let Some(command) = Command::of(service, base) else { break };
                let reply = self.ask(&command.request(), Target::Functional, counts).await?;
                let Ok(reply) = reply else { break };
                for answer in obd2::answers(command, reply.messages()) {
                    if let Ok(Value::Supported(bits)) = answer.value {
                        supported.identifiers.extend(bits.identifiers().map(|id| (service, id)));
                    }
                }
            }
            if self.link() != Link::CarConnected {
                return Ok(());
            }
        }
        let machine = &self.wire.machine;
        self.publisher.state.send_modify(|state| {
            state.protocol = machine.protocol();
            state.banner = machine.adapter().banner.to_string();
            state.supported = Some(Arc::new(supported));
        });
        Ok(())
    }
}

impl Job {
    /// Answers that it cannot be done.
    async fn fail(self, error: QueryError) {
        // Whoever asked may have gone.
        match self {
            Self::Request { answer, .. } => drop(answer.send(Err(error))),
            Self::Command { answer, .. } => drop(answer.send(Err(error))),
            Self::Monitor { frames, .. } => drop(frames.try_send(Err(error))),
        }
    }
}
