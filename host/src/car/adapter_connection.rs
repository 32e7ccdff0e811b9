//! One connection to an adapter: what is said and asked on it, each exchange a method.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;

use cloverleaf_core::bus::Protocol;
use cloverleaf_core::driver::{self, Clock, Driver};
use cloverleaf_core::elm327::poll::Question;
use cloverleaf_core::elm327::session::{
    Answer, Event, Failure, Filter, Link, Refused, Request, Session, Settings, Target,
};
use cloverleaf_core::obd2::{self, Command, Value};
use cloverleaf_core::time;
use embedded_io_adapters::tokio_1::FromTokio;
use jiff::Timestamp;
use tokio::io::BufStream;
use tokio::sync::{mpsc, watch};

use super::item::{Item, Supported};
use super::link::Publisher;
use super::polling::Polling;
use super::reading::{Reading, Reply};
use super::signals::Sessions;
use super::{Frame, Job, QueryError, Watched};
use crate::clock::TokioClock;
use crate::transport::{Port, Stream};

/// The answers of a car to one request: of up to 16 control units, 4 kB together.
type Elm = Session<16, 4096>;
type ElmDriver = Driver<Elm, FromTokio<BufStream<Stream>>, TokioClock>;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Someone closed the connection.
    Closed,
    /// The adapter is gone, or does not talk.
    Lost(String),
    /// What answers is no adapter, or talks at another rate.
    NotAnAdapter(String),
}

impl From<driver::Error<std::io::Error>> for Ended {
    fn from(error: driver::Error<std::io::Error>) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Why the connection is over, if it is: these failures are not got over at this rate, on this port.
fn fatal(failure: Failure) -> Option<Ended> {
    match failure {
        Failure::Mute => Some(Ended::Lost(failure.to_string())),
        Failure::NotAnAdapter => Some(Ended::NotAnAdapter(failure.to_string())),
        _ => None,
    }
}

/// What to do next.
pub(super) enum Step {
    Job(Job),
    Look,
}

/// One connection to an adapter.
pub(super) struct AdapterConnection {
    driver: ElmDriver,
    clock: TokioClock,
    publisher: Arc<Publisher>,
    open: watch::Receiver<bool>,
}

impl AdapterConnection {
    pub(super) fn new(
        port: Port,
        protocol: Option<Protocol>,
        publisher: Arc<Publisher>,
        open: watch::Receiver<bool>,
    ) -> Self {
        let clock = TokioClock::start();
        let settings = Settings { protocol, repeat: true, ..Settings::default() };
        let mut driver = Driver::new(Elm::new(settings), FromTokio::new(BufStream::new(port.stream)), clock);
        driver.machine.connect(driver.now());
        Self { driver, clock, publisher, open }
    }

    pub(super) fn link(&self) -> Link {
        self.driver.machine.link()
    }

    pub(super) fn protocol(&self) -> Option<Protocol> {
        self.driver.machine.protocol()
    }

    /// Whether what there is to learn of the car can be learned now. On J1939 that is nothing: nobody answers there.
    pub(super) fn can_discover(&self) -> bool {
        self.link() == Link::CarConnected || self.is_ready() && self.protocol() == Some(Protocol::J1939)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.driver.machine.is_ready()
    }

    pub(super) fn now(&self) -> time::Instant {
        self.driver.now()
    }

    /// Runs the session until `on_event` has an answer, telling the publisher of everything.
    async fn run<T>(
        &mut self,
        mut on_event: impl FnMut(&Event<'_, 16, 4096>) -> ControlFlow<T>,
    ) -> Result<T, Ended> {
        let publisher = &self.publisher;
        let closed = async { Err(closed(&mut self.open).await) };
        self.driver
            .run_or(closed, |event| {
                publisher.note(&event);
                if let Event::Trouble(failure) = event
                    && let Some(ended) = fatal(failure)
                {
                    return Break(Err(ended));
                }
                match on_event(&event) {
                    Break(answer) => Break(Ok(answer)),
                    Continue(()) => Continue(()),
                }
            })
            .await?
    }

    /// Waits for something to do: a query, the moment `due`, a change of what is watched or of the link.
    pub(super) async fn wait(
        &mut self,
        jobs: &mut mpsc::Receiver<Job>,
        watched: &Watched,
        due: Option<time::Instant>,
    ) -> Result<Step, Ended> {
        let publisher = &self.publisher;
        self.driver
            .run_or(something_to_do(jobs, watched, self.clock, due, &mut self.open), |event| {
                publisher.note(&event);
                match event {
                    Event::Trouble(failure) => fatal(failure).map_or(Continue(()), |ended| Break(Err(ended))),
                    Event::Link(_) | Event::Ready => Break(Ok(Step::Look)),
                    _ => Continue(()),
                }
            })
            .await?
    }

    /// Listens to the bus until there is something to do, as [`wait`](Self::wait) does, or the adapter hears no more.
    pub(super) async fn listen(
        &mut self,
        jobs: &mut mpsc::Receiver<Job>,
        watched: &Watched,
        due: Option<time::Instant>,
        mut on_frame: impl FnMut(&str),
    ) -> Result<Step, Ended> {
        self.settle().await?;
        let begun = self.driver.machine.monitor(self.driver.now(), Filter::All);
        let publisher = &self.publisher;
        let heard = match begun {
            Err(_) => None,
            Ok(()) => {
                let interrupt = something_to_do(jobs, watched, self.clock, due, &mut self.open);
                self.driver
                    .run_or(async { Some(interrupt.await) }, |event| {
                        publisher.note(&event);
                        match event {
                            Event::Frame(hex) => on_frame(&text(hex)),
                            Event::Trouble(failure) => {
                                return fatal(failure).map_or(Continue(()), |ended| Break(Some(Err(ended))));
                            }
                            Event::Done(_) => return Break(None),
                            _ => {}
                        }
                        Continue(())
                    })
                    .await?
            }
        };
        match heard {
            Some(Ok(step)) => {
                self.stop_listening().await?;
                Ok(step)
            }
            Some(Err(ended)) => Err(ended),
            // Not at once again.
            None => {
                let pause = self.now() + time::Duration::from_secs(1);
                self.wait(jobs, watched, due.into_iter().chain([pause]).min()).await
            }
        }
    }

    /// Ends monitoring.
    async fn stop_listening(&mut self) -> Result<(), Ended> {
        self.driver.machine.stop(self.driver.now());
        self.run(|event| match event {
            Event::Done(_) => Break(()),
            _ => Continue(()),
        })
        .await
    }

    /// Lets the session finish what it is saying, so that it takes a request.
    pub(super) async fn settle(&mut self) -> Result<(), Ended> {
        Ok(self.driver.settle(|event| self.publisher.note(&event)).await?)
    }

    /// One exchange with the car; `on_reply` takes what comes of it.
    async fn ask<T>(
        &mut self,
        request: Request<'_>,
        on_reply: impl FnMut(time::Instant, Result<Answer<'_, 16, 4096>, Failure>) -> T,
    ) -> Result<Result<T, Refused>, Ended> {
        tokio::select! {
            reply = self.driver.ask(request, |event| self.publisher.note(event), on_reply) => Ok(reply?),
            ended = closed(&mut self.open) => Err(ended),
        }
    }

    /// Asks once, for whatever comes.
    async fn request(&mut self, data: &[u8], target: Target) -> Result<Result<Reply, QueryError>, Ended> {
        let request = Request { target, ..Request::new(data) };
        let reply = self.ask(request, |_, result| result.map(|answer| Reply::of(&answer))).await?;
        Ok(match reply {
            Ok(reply) => reply.map_err(QueryError::Failed),
            Err(refused) => Err(self.refusal(refused)),
        })
    }

    /// The same in the diagnostic sessions that it needs.
    async fn request_within(
        &mut self,
        sessions: Sessions,
        data: &[u8],
        target: Target,
    ) -> Result<Result<Reply, QueryError>, Ended> {
        if let Some(session) = sessions.before {
            // Whether the ECU entered it shows in what it answers then.
            if let Err(error) = self.request(&[0x10, session], target).await? {
                return Ok(Err(error));
            }
        }
        let reply = self.request(data, target).await?;
        if let Some(session) = sessions.after {
            let _ = self.request(&[0x10, session], target).await?;
        }
        Ok(reply)
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
        if let Err(refused) = self.driver.machine.command(self.driver.now(), text.as_bytes(), None) {
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

    /// The adapter's low power.
    async fn sleep(&mut self) -> Result<Result<(), QueryError>, Ended> {
        self.settle().await?;
        if let Err(refused) = self.driver.machine.sleep(self.driver.now()) {
            return Ok(Err(self.refusal(refused)));
        }
        let done = self.run(|event| match event {
            Event::Done(result) => Break(*result),
            _ => Continue(()),
        });
        Ok(done.await?.map_err(QueryError::Failed))
    }

    pub(super) async fn work(&mut self, job: Job) -> Result<(), Ended> {
        match job {
            // Whoever asked has gone meanwhile.
            Job::Request { answer, .. } if answer.is_closed() => {}
            Job::Request { data, target, sessions, answer } => {
                let reply = self.request_within(sessions, &data, target).await?;
                // Whoever asked may have gone.
                let _ = answer.send(reply);
            }
            Job::Command { text, answer } => {
                let lines = self.command(&text).await?;
                let _ = answer.send(lines);
            }
            Job::Sleep { answer } => {
                let result = self.sleep().await?;
                let _ = answer.send(result);
            }
            Job::Monitor { filter, frames } => self.monitor(filter, frames).await?,
        }
        Ok(())
    }

    /// Asks the scheduler's question and tells everyone what came of it.
    pub(super) async fn poll(&mut self, question: &Question, polling: &mut Polling) -> Result<(), Ended> {
        let reply = self.ask(question.request(), |now, result| polling.handle(now, result.as_ref())).await?;
        let readings = match reply {
            Ok(readings) => readings,
            // The link has gone meanwhile; the items stay due.
            Err(Refused::NotConnected | Refused::Busy) => Vec::new(),
            Err(_) => polling.handle::<16, 4096>(self.now(), Err(&Failure::TooLong)),
        };
        for reading in readings {
            self.publisher.reading(reading);
        }
        Ok(())
    }

    /// Asks everyone, or the adapter, for watched items of one request and tells what came of it.
    pub(super) async fn poll_other(&mut self, items: Vec<Item>) -> Result<(), Ended> {
        let Some(item) = items.first() else { return Ok(()) };
        let reply = match item.adapter_command() {
            Some(text) => self.command(text).await?.map(Reply::text),
            None => self.request_within(item.sessions(), &item.request(), item.target()).await?,
        };
        let time = Timestamp::now();
        for item in items {
            self.publisher.reading(Reading::of(item, time, reply.clone()));
        }
        Ok(())
    }

    /// Tells the frames on the bus until nobody takes them or the connection is closed.
    async fn monitor(
        &mut self,
        filter: Filter,
        frames: mpsc::Sender<Result<Frame, QueryError>>,
    ) -> Result<(), Ended> {
        self.settle().await?;
        if let Err(refused) = self.driver.machine.monitor(self.driver.now(), filter) {
            let _ = frames.try_send(Err(self.refusal(refused)));
            return Ok(());
        }
        let mut lost = 0;
        let publisher = &self.publisher;
        let over = async {
            tokio::select! {
                () = frames.closed() => Ok(None),
                ended = closed(&mut self.open) => Err(ended),
            }
        };
        let heard = self
            .driver
            .run_or(over, |event| {
                publisher.note(&event);
                match event {
                    Event::Frame(hex) => {
                        match frames.try_send(Ok(Frame { time: Timestamp::now(), hex: text(hex), lost })) {
                            Ok(()) => lost = 0,
                            Err(_) => lost += 1,
                        }
                        Continue(())
                    }
                    Event::Gap => {
                        lost += 1;
                        Continue(())
                    }
                    Event::Done(result) => Break(Ok(Some(result))),
                    _ => Continue(()),
                }
            })
            .await??;
        match heard {
            Some(Ok(())) => {}
            // There is room for it, or else nobody reads.
            Some(Err(failure)) => drop(frames.try_send(Err(QueryError::Failed(failure)))),
            None => self.stop_listening().await?,
        }
        Ok(())
    }

    /// Changes the serial rate, at both ends. Where that fails, both stay at the old one: no reason to end anything.
    pub(super) async fn switch_baud(&mut self, from: u32, to: u32) -> Result<(), Ended> {
        self.settle().await?;
        if let Err(refused) = self.driver.machine.switch_baud(self.driver.now(), from, to) {
            tracing::warn!(from, to, %refused, "the adapter keeps its serial rate");
            return Ok(());
        }
        loop {
            let step = self.run(|event| match event {
                Event::Baud(rate) => Break(Ok(*rate)),
                Event::Done(result) => Break(Err(*result)),
                _ => Continue(()),
            });
            match step.await? {
                Ok(rate) => {
                    let port = self.driver.io_mut().inner_mut().get_mut();
                    port.set_baud(rate).map_err(|error| Ended::Lost(error.to_string()))?;
                }
                Err(result) => {
                    match result {
                        Ok(()) => tracing::info!(from, to, "the adapter changed its serial rate"),
                        Err(failure) => {
                            tracing::warn!(from, to, %failure, "the adapter keeps its serial rate");
                        }
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Asks every control unit what it supports. Nothing is known where not even the first map of service 01 came, or
    /// the link was lost.
    pub(super) async fn discover(&mut self) -> Result<(), Ended> {
        let mut supported = Supported::default();
        let services: &[u8] = match self.driver.machine.protocol() {
            Some(Protocol::J1939) => &[],
            Some(protocol) if !protocol.is_can() => &[0x01, 0x09, 0x05],
            _ => &[0x01, 0x09, 0x06],
        };
        for &service in services {
            for base in (0x00..=0xE0).step_by(0x20) {
                if base > 0 && !supported.identifiers.contains(&(service, base)) {
                    break;
                }
                let Some(command) = Command::of(service, base) else { break };
                let known = self.ask_map(command, &mut supported).await?;
                if self.link() != Link::CarConnected || !known && (service, base) == (0x01, 0x00) {
                    return Ok(());
                }
            }
        }
        let machine = &self.driver.machine;
        self.publisher.state.send_modify(|state| {
            state.protocol = machine.protocol();
            state.banner = machine.adapter().banner.to_string();
            state.supported = Some(Arc::new(supported));
        });
        Ok(())
    }

    /// Asks for one map of what is supported, three times where an answer is damaged or does not come: each control unit
    /// has its own. Tells whether any came.
    async fn ask_map(&mut self, command: &Command, supported: &mut Supported) -> Result<bool, Ended> {
        let request = command.request();
        let mut any = false;
        for _ in 0..3 {
            let reply = match self.request(&request, Target::Functional).await? {
                Ok(reply) => reply,
                // Where a service is missing, control units may be silent.
                Err(error) if error.is_no_data() && command.service() != Some(0x01) => break,
                Err(QueryError::Failed(_)) => continue,
                Err(_) => break,
            };
            for answer in obd2::answers(command, reply.messages()) {
                if let Ok(Value::Supported(bits)) = answer.value {
                    any = true;
                    let service = command.service().unwrap_or_default();
                    supported.identifiers.extend(bits.identifiers().map(|id| (service, id)));
                }
            }
            if reply.fault().is_none() {
                break;
            }
        }
        Ok(any)
    }
}

/// Waits for a query, the moment `due`, a change of what is watched or of whether the connection is open.
async fn something_to_do(
    jobs: &mut mpsc::Receiver<Job>,
    watched: &Watched,
    mut clock: TokioClock,
    due: Option<time::Instant>,
    open: &mut watch::Receiver<bool>,
) -> Result<Step, Ended> {
    tokio::select! {
        Some(job) = jobs.recv() => Ok(Step::Job(job)),
        () = watched.changed.notified() => Ok(Step::Look),
        () = clock.sleep_until(due), if due.is_some() => Ok(Step::Look),
        changed = open.changed() => match changed.is_ok() && *open.borrow_and_update() {
            true => Ok(Step::Look),
            false => Err(Ended::Closed),
        },
    }
}

/// A frame as text, without blanks.
fn text(frame: &[u8]) -> String {
    frame.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect()
}

/// Returns once the connection was closed, or all its handles are gone.
async fn closed(open: &mut watch::Receiver<bool>) -> Ended {
    while open.changed().await.is_ok() && *open.borrow_and_update() {}
    Ended::Closed
}
