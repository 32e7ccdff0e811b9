//! The task that owns the adapter: it connects, and connects again after every fault.
//!
//! One thing at a time is on the wire: what the car supports first, then by turns a query, if one waits, and the
//! watched item that is longest due.

use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::bus::Protocol;
use cloverleaf_core::elm327::session::{Event, Link};
use cloverleaf_core::time::{self, back_off};
use serde_json::json;
use tokio::sync::{broadcast, mpsc, watch};

use super::adapter_connection::{AdapterConnection, Ended, Step};
use super::j1939::Telling;
use super::polling::{Polling, Turn};
use super::reading::Reading;
use super::{Job, Options, QueryError, State, Watched};
use crate::timeline::{self, Bus, Source};
use crate::transport::{self, Port};

/// How long the bus is listened to before the adapter has to show that it is there.
const CHECK: time::Duration = time::Duration::from_secs(30);

/// The first and the longest pause after a failed attempt to reach the adapter.
const PAUSES: [time::Duration; 2] = [time::Duration::from_secs(1), time::Duration::from_secs(30)];

/// Where everything that happens is told.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) state: watch::Sender<State>,
    pub(super) readings: broadcast::Sender<Arc<Reading>>,
    pub(super) timeline: Bus,
}

impl Publisher {
    /// What every part of a connection has to say about the link.
    pub(super) fn note(&self, event: &Event<'_, 16, 4096>) {
        match event {
            Event::Link(link) => {
                self.tell_link(*link, |state| {
                    state.link = *link;
                    if *link == Link::CarConnected {
                        state.trouble = None;
                    } else {
                        state.supported = None;
                    }
                });
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

    /// The link reaches this far now.
    fn tell_link(&self, link: Link, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
        self.timeline.publish(Source::Car, "link", timeline::Value::Text(link.as_str().into()));
    }

    /// There is no connection.
    fn tell_gone(&self, state: State) {
        self.tell_link(Link::NotConnected, |known| *known = state);
    }

    pub(super) fn reading(&self, reading: Reading) {
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

/// The task.
#[derive(Debug)]
pub(super) struct Task {
    options: Options,
    publisher: Arc<Publisher>,
    jobs: mpsc::Receiver<Job>,
    watched: Arc<Watched>,
    open: watch::Receiver<bool>,
}

impl Task {
    pub(super) fn new(
        options: Options,
        publisher: Publisher,
        jobs: mpsc::Receiver<Job>,
        watched: Arc<Watched>,
        open: watch::Receiver<bool>,
    ) -> Self {
        Self { options, publisher: Arc::new(publisher), jobs, watched, open }
    }

    pub(super) async fn run(mut self) {
        let mut failures = 0;
        let mut adapter = self.options.adapter.clone();
        while !self.is_over() {
            if !*self.open.borrow_and_update() {
                self.publisher.tell_gone(State { closed: true, ..State::default() });
                self.refusing(std::future::pending::<()>()).await;
                continue;
            }
            self.publisher.state.send_modify(|state| state.closed = false);
            let trouble = match self.refusing(transport::open(&adapter)).await {
                None => continue,
                Some(Err(error)) => error.to_string(),
                Some(Ok(port)) => match self.converse(port, &mut failures).await {
                    Ended::Closed => continue,
                    Ended::Lost(trouble) => trouble,
                    Ended::NotAnAdapter(trouble) => {
                        // Perhaps it is one, at another serial rate than the one we were told.
                        adapter = adapter.with_unknown_baud();
                        trouble
                    }
                },
            };
            if self.is_over() {
                return;
            }
            let [first, longest] = PAUSES;
            let wait = Duration::from_millis(back_off(first, longest, failures).as_millis());
            failures += 1;
            tracing::warn!(adapter = %adapter, "{trouble}; trying again in {wait:?}");
            self.publisher.tell_gone(State { trouble: Some(trouble), ..State::default() });
            self.refusing(tokio::time::sleep(wait)).await;
        }
    }

    /// Whether all handles are gone: whoever waits for one of them to open or close the link would wait no more.
    fn is_over(&self) -> bool {
        self.open.has_changed().is_err()
    }

    /// Does something that takes time while no car is connected; queries are refused meanwhile. None if the
    /// connection was closed or opened first.
    async fn refusing<T>(&mut self, doing: impl Future<Output = T>) -> Option<T> {
        let mut doing = std::pin::pin!(doing);
        loop {
            tokio::select! {
                done = &mut doing => return Some(done),
                // An error is that all handles are gone.
                _ = self.open.changed() => return None,
                Some(job) = self.jobs.recv() => {
                    let trouble = self.publisher.state.borrow().trouble.clone();
                    job.fail(QueryError::NotConnected(trouble)).await;
                }
            }
        }
    }

    /// Talks to an adapter until it is lost or closed.
    async fn converse(&mut self, port: Port, failures: &mut u32) -> Ended {
        self.publisher.state.send_modify(|state| state.port.clone_from(&port.name));
        let faster = self.options.adapter_baud.filter(|rate| port.baud.is_some_and(|baud| baud != *rate));
        let from = port.baud;
        let mut connection =
            AdapterConnection::new(port, self.options.protocol, self.publisher.clone(), self.open.clone());
        let mut switch = from.zip(faster);
        let mut polling = None;
        let mut polled = false;
        let mut telling = Telling::default();
        loop {
            if let Err(ended) = connection.settle().await {
                return ended;
            }
            let supported = self.publisher.state.borrow().supported.clone();
            let Some(supported) = supported else {
                polling = None;
                let result = if connection.can_discover() {
                    *failures = 0;
                    match switch.take() {
                        Some((from, to)) => connection.switch_baud(from, to).await,
                        None => connection.discover().await,
                    }
                } else {
                    self.attend(&mut connection, None, &mut telling).await
                };
                match result {
                    Ok(()) => continue,
                    Err(ended) => return ended,
                }
            };
            let protocol = connection.protocol();
            let polling = polling.get_or_insert_with(|| Polling::new(protocol));
            let now = connection.now();
            polling.follow(now, &self.watched, &supported);
            // By turns, so that neither queries nor watched items starve.
            let job = if polled { self.jobs.try_recv().ok() } else { None };
            polled = job.is_none();
            let turn = match job {
                Some(_) => Turn::Wait(None),
                None if connection.is_ready() => polling.next(now),
                None => Turn::Wait(None),
            };
            let result = match (job, turn) {
                (Some(job), _) => connection.work(job).await,
                (None, Turn::Group(question)) => connection.poll(&question, polling).await,
                (None, Turn::Other(items)) => connection.poll_other(items).await,
                (None, Turn::Wait(due)) => self.attend(&mut connection, due, &mut telling).await,
            };
            if let Err(ended) = result {
                return ended;
            }
        }
    }

    /// Waits for whatever comes first, and does a query if that is it. Where nobody can be asked, it listens meanwhile.
    async fn attend(
        &mut self,
        connection: &mut AdapterConnection,
        due: Option<time::Instant>,
        telling: &mut Telling,
    ) -> Result<(), Ended> {
        let (jobs, watched) = (&mut self.jobs, &*self.watched);
        let step = match connection.protocol() {
            Some(Protocol::J1939) if connection.is_ready() => {
                let timeline = &self.publisher.timeline;
                // Whoever only listens does not notice that the adapter is gone: its prompt is asked for now and then.
                let due = due.into_iter().chain([connection.now() + CHECK]).min();
                connection.listen(jobs, watched, due, |frame| telling.hear(frame, timeline)).await
            }
            _ => connection.wait(jobs, watched, due).await,
        };
        match step? {
            Step::Job(job) => connection.work(job).await,
            Step::Look => Ok(()),
        }
    }
}

impl Job {
    /// Answers that it cannot be done.
    async fn fail(self, error: QueryError) {
        // Whoever asked may have gone.
        match self {
            Self::Request { answer, .. } => drop(answer.send(Err(error))),
            Self::Command { answer, .. } => drop(answer.send(Err(error))),
            Self::Sleep { answer } => drop(answer.send(Err(error))),
            Self::Monitor { frames, .. } => drop(frames.try_send(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_handles_the_task_ends() {
        let (_jobs, queue) = mpsc::channel(1);
        let (open, opened) = watch::channel(true);
        let (state, _) = watch::channel(State::default());
        let (readings, _) = broadcast::channel(1);
        let publisher = Publisher { state, readings, timeline: Bus::new() };
        let task = Task::new(Options::default(), publisher, queue, Arc::default(), opened);
        let running = tokio::spawn(task.run());
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(open);
        let ended = tokio::time::timeout(Duration::from_secs(1), running).await;
        ended.expect("an end").expect("no panic");
    }
}
