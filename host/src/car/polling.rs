//! What is watched, turned into requests: the core's scheduler for what one control unit answers, and plain turns for
//! what everyone or the adapter itself answers. Items of one request are asked for once.

use std::collections::HashMap;
use std::time::Duration;

use cloverleaf_core::bus::{Address, Protocol};
use cloverleaf_core::elm327::poll::{self, Key, Next, Outcome, Poller, Question, Tuning};
use cloverleaf_core::elm327::session::{Answer, Failure};
use cloverleaf_core::obd2::{Command, Ecu};
use cloverleaf_core::time::{self, Instant};
use jiff::Timestamp;

use super::item::{Item, Supported, What};
use super::reading::{Reading, Reply};
use super::signals::Sessions;
use super::{QueryError, Watched};

/// How many items are polled at once; further ones are not asked for until others go.
const ITEMS: usize = 256;

/// Who said what.
type Messages = Vec<(Address, Box<[u8]>)>;

/// What to ask next.
pub(super) enum Turn {
    /// One request for one or several items.
    Group(Question),
    /// The items of one request to everyone, or to the adapter.
    Other(Vec<Item>),
    /// Nothing before this moment.
    Wait(Option<Instant>),
}

/// The watched items of one connection to a car.
pub(super) struct Polling {
    poller: Box<Poller<ITEMS>>,
    scheduled: HashMap<Key, Request>,
    others: Vec<Other>,
    /// Whether the last turn was one of those.
    other_before: bool,
    version: Option<u64>,
}

/// The items, one or more, that are read from the answer to one request, and how often the most eager is wanted.
#[derive(Clone, Debug)]
struct Request {
    items: Vec<Item>,
    period: time::Duration,
}

/// A request that is not the scheduler's business.
struct Other {
    request: Request,
    asked: Option<Instant>,
}

impl Polling {
    /// Nothing watched yet, on a bus of this kind.
    pub(super) fn new(protocol: Option<Protocol>) -> Self {
        let tuning = Tuning::of(protocol.unwrap_or(Protocol::Can11Fast));
        Self {
            poller: Box::new(Poller::new(tuning)),
            scheduled: HashMap::new(),
            others: Vec::new(),
            other_before: false,
            version: None,
        }
    }

    /// Takes over what is watched, if that has changed. What the car does not support is left out.
    pub(super) fn follow(&mut self, now: Instant, watched: &Watched, supported: &Supported) {
        let version = watched.version();
        if self.version == Some(version) {
            return;
        }
        self.version = Some(version);
        let mut wanted = requests(watched.all().into_iter().filter(|(item, _)| supported.contains(item)));
        self.scheduled.retain(|key, request| {
            let same = |wanted: &Request| wanted.is_same(request) && wanted.period == request.period;
            match wanted.iter().position(same) {
                Some(at) => *request = wanted.swap_remove(at),
                None => {
                    self.poller.unwatch(*key);
                    return false;
                }
            }
            true
        });
        self.others.retain_mut(|other| {
            let Some(at) = wanted.iter().position(|wanted| wanted.is_same(&other.request)) else {
                return false;
            };
            other.request = wanted.swap_remove(at);
            true
        });
        for request in wanted {
            let Some(polled) = request.polled() else {
                self.others.push(Other { request, asked: None });
                continue;
            };
            match self.poller.watch(now, polled) {
                Ok(key) => drop(self.scheduled.insert(key, request)),
                Err(poll::Full) => {
                    tracing::warn!(
                        "more than {ITEMS} requests are watched; {} waits",
                        request.first().name()
                    );
                }
            }
        }
    }

    /// What to ask now: by turns a group and one of the others, so that neither starves.
    pub(super) fn next(&mut self, now: Instant) -> Turn {
        if std::mem::take(&mut self.other_before)
            && let Next::Ask(question) = self.poller.next(now)
        {
            return Turn::Group(question);
        }
        let due = |other: &Other| other.asked.map_or(now, |asked| asked + other.request.period.max(EVERYONE));
        if let Some(other) =
            self.others.iter_mut().filter(|other| due(other) <= now).min_by_key(|other| other.asked)
        {
            other.asked = Some(now);
            self.other_before = true;
            return Turn::Other(other.request.items.clone());
        }
        match self.poller.next(now) {
            Next::Ask(question) => Turn::Group(question),
            Next::Wait(at) => Turn::Wait(self.others.iter().map(due).chain(at).min()),
        }
    }

    /// What came of the last [`Turn::Group`], as one reading for each item that it concerns.
    pub(super) fn handle<const M: usize, const B: usize>(
        &mut self,
        now: Instant,
        result: Result<&Answer<'_, M, B>, &Failure>,
    ) -> Vec<Reading> {
        let mut outcomes: Vec<(Key, Result<Messages, Failure>)> = Vec::new();
        let collect = |key: Key, outcome: Outcome<'_>| {
            let known = outcomes.iter_mut().find(|(known, _)| *known == key);
            match (known, outcome) {
                (Some((_, Ok(messages))), Outcome::Answer(message)) => {
                    messages.push((message.source, message.data.into()));
                }
                (Some(_), _) => {}
                (None, Outcome::Answer(message)) => {
                    outcomes.push((key, Ok(vec![(message.source, message.data.into())])));
                }
                (None, Outcome::Failed(failure)) => outcomes.push((key, Err(failure))),
            }
        };
        match result {
            Ok(answer) => {
                self.poller.handle_answer(now, answer.messages(), answer.lines, answer.fault, collect);
            }
            Err(failure) => self.poller.handle_failure(now, *failure, collect),
        }
        let (time, fault) = (Timestamp::now(), result.ok().and_then(|answer| answer.fault));
        let mut readings = Vec::new();
        for (key, outcome) in outcomes {
            let reply = outcome.map(|messages| Reply::from(messages).with_fault(fault));
            let reply = reply.map_err(QueryError::Failed);
            let items = self.scheduled.get(&key).into_iter().flat_map(|request| &request.items);
            readings.extend(items.map(|item| Reading::of(item.clone(), time, reply.clone())));
        }
        readings
    }
}

impl Request {
    fn first(&self) -> &Item {
        &self.items[0]
    }

    fn is_same(&self, other: &Self) -> bool {
        self.first().shares_answer(other.first())
    }

    /// What the scheduler needs to know; none for what is not its business.
    fn polled(&self) -> Option<poll::Item> {
        let item = self.first();
        let one_ecu = match item.what {
            What::Standard(command) => command.ecu == Ecu::Engine,
            // What needs a session of its own is asked on its own.
            What::Custom(command, _) => command.sessions == Sessions::default(),
        };
        if !one_ecu {
            return None;
        }
        let asked = poll::Item::new(&item.request())?;
        Some(poll::Item {
            length: item.command().and_then(Command::data_length),
            group: item.command().is_some_and(|command| command.service() == Some(0x01)),
            target: item.target(),
            period: self.period,
            ..asked
        })
    }
}

/// What is wanted, by request.
fn requests(wanted: impl Iterator<Item = (Item, Duration)>) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for (item, period) in wanted {
        let period = time::Duration::from_millis(u64::try_from(period.as_millis()).unwrap_or(u64::MAX));
        match requests.iter_mut().find(|request| request.first().shares_answer(&item)) {
            Some(request) => {
                request.items.push(item);
                request.period = request.period.min(period);
            }
            None => requests.push(Request { items: vec![item], period }),
        }
    }
    requests
}

/// What everyone answers is asked for no more often than this: it takes as long as the slowest answer.
const EVERYONE: time::Duration = time::Duration::from_millis(250);
