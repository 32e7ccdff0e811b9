//! Who watches what, and what each event leads to: pure, the car's present state is an argument.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use cloverleaf_core::bus::Protocol;
use cloverleaf_core::elm327::session::Link;
use cloverleaf_core::obd2::Dtc;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::events::{CommandInfo, Names, Response, Wish};
use crate::car::descriptions::Descriptions;
use crate::car::{self, Item, Reading, Supported};

/// How many items one client may watch; more are left out.
pub const MAX_WATCHED: usize = 256;

/// How many events may wait until it is known what the car supports; further ones are answered as if it supported nothing.
const MAX_EARLY: usize = 64;

/// How many ticks they wait at most: two seconds.
const EARLY_TICKS: u8 = 40;

/// The car as it is now.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The connection.
    pub car: &'a car::State,
    /// Where the adapter is, as the program was told.
    pub adapter: &'a str,
    /// The words for trouble codes.
    pub descriptions: &'a Descriptions,
    /// What a name stands for.
    pub find: &'a dyn Fn(&str) -> Option<Item>,
}

impl View<'_> {
    /// Whether the car may be asked. On J1939, where nobody answers for the car, what it supports is known as soon as the
    /// bus is listened to.
    fn is_connected(&self) -> bool {
        self.car.link == Link::CarConnected || self.car.supported.is_some()
    }

    /// Whether a car is there, but not yet known what it supports.
    fn is_learning(&self) -> bool {
        self.is_connected() && self.car.supported.is_none()
    }

    /// Whether the answer to an event is not known yet, but soon.
    fn is_early(&self, event: &str, argument: &Json) -> bool {
        self.is_learning()
            && match event {
                "supported_commands" => argument.is_null(),
                "supports" | "query" => self.named(argument).is_some(),
                _ => false,
            }
    }

    fn supports(&self, item: &Item) -> bool {
        self.is_connected() && self.car.supported.as_ref().is_some_and(|supported| supported.contains(item))
    }

    fn named(&self, argument: &Json) -> Option<Item> {
        (self.find)(argument.as_str()?)
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a, Id> {
    /// A client came; whether it may use the car.
    Connected(Id, bool),
    /// A client went.
    Disconnected(Id),
    /// A client sent an event.
    Event(Id, &'a str, &'a Json),
    /// The car answered.
    Reading(&'a Reading),
    /// This response found a client's queue full.
    Full(Id, Arc<Response>),
    /// Queues may have room again, and the car be known. Comes twenty times a second.
    Tick,
}

/// What to do about it, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output<Id> {
    /// Answer a client; it must arrive.
    Reply(Id, &'static str, Body),
    /// Tell a client a value that it watches; if its queue is full, say so with [`Input::Full`].
    Push(Id, Arc<Response>),
    /// Tell every client that may use the car.
    Broadcast(&'static str),
    /// These are watched from now on, and no others.
    Watch(Vec<(Item, Duration)>),
    /// Ask the car, and answer the client's `query` with what comes.
    Query(Id, Item),
    /// Clear the trouble codes, and answer the client's `clear_dtc`.
    Clear(Id),
    /// Tell the client which serial ports there are.
    Ports(Id),
    /// Connect to the car.
    Open,
    /// Close the connection to the car.
    Close,
    /// Connect to the car, and tell every client how that went (`connect_obd`).
    Connect,
    /// Offer a simulated car to other programs, and tell every client where (`emulator_port`).
    StartEmulator,
    /// End it, and tell every client (`stop_emulator`).
    StopEmulator,
}

/// What an answer carries.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(String),
    /// Commands.
    Commands(Vec<CommandInfo>),
    /// Commands by service and identifier.
    Services(Vec<Vec<Option<CommandInfo>>>),
    /// A command, if there is one.
    Command(Option<CommandInfo>),
    /// A response, or `null`.
    Response(#[serde(serialize_with = "shared")] Option<Arc<Response>>),
    /// Anything else.
    Json(Json),
}

fn shared<S: Serializer>(response: &Option<Arc<Response>>, serializer: S) -> Result<S::Ok, S::Error> {
    response.as_deref().serialize(serializer)
}

/// One client.
#[derive(Debug, Default)]
struct Client {
    /// Whether it may use the car; else all that it hears is that it may not.
    admitted: bool,
    watched: Vec<Wanted>,
    stopped: bool,
    /// The newest value of each signal that its full queue did not take.
    pending: BTreeMap<String, Arc<Response>>,
}

#[derive(Debug)]
struct Wanted {
    item: Item,
    period: Duration,
    sent: Option<i64>,
}

/// Everything that the service remembers.
#[derive(Debug)]
pub struct State<Id> {
    clients: HashMap<Id, Client>,
    /// The last values of what is watched, of the car that supports this.
    last: HashMap<Item, Option<Arc<Response>>>,
    supported: Option<Arc<Supported>>,
    /// Events that came before it was known what the car supports, in order.
    early: Vec<Early<Id>>,
    /// The shortest period at which an item is watched.
    period: Duration,
    /// Whether the events of onboardpi are answered too.
    onboardpi: bool,
}

/// An event that waits until it is known what the car supports, and for how many ticks at most.
#[derive(Debug)]
struct Early<Id> {
    id: Id,
    event: String,
    /// Its argument: the name of something, or `null`.
    name: Json,
    ticks: u8,
}

/// The events of obd-socketio.
const EVENTS: [&str; 15] = [
    "status",
    "is_connected",
    "port_name",
    "protocol_name",
    "protocol_id",
    "supports",
    "supported_commands",
    "query",
    "start",
    "stop",
    "watch",
    "unwatch",
    "unwatch_all",
    "has_name",
    "close",
];

/// The further events of onboardpi's server.
const ONBOARDPI: [&str; 14] = [
    "connect_obd",
    "available_ports",
    "all_protocols",
    "all_dtcs",
    "all_commands",
    "get_command",
    "clear_dtc",
    "start_emulator",
    "stop_emulator",
    "injector_state",
    "enable_injector",
    "disable_injector",
    "set_logger_level",
    "kill",
];

impl<Id: Copy + Eq + Hash> State<Id> {
    /// A service without clients. `period` is the shortest at which an item is watched.
    pub fn new(period: Duration, onboardpi: bool) -> Self {
        Self {
            clients: HashMap::new(),
            last: HashMap::new(),
            supported: None,
            early: Vec::new(),
            period,
            onboardpi,
        }
    }

    /// Whether an event is one of this service's.
    pub fn knows(&self, event: &str) -> bool {
        EVENTS.contains(&event) || self.onboardpi && ONBOARDPI.contains(&event)
    }

    /// Whether a client may use the car, and so hears of it.
    pub fn admits(&self, id: Id) -> bool {
        self.clients.get(&id).is_some_and(|client| client.admitted)
    }

    /// Takes what happened and says what to do.
    pub fn handle(&mut self, view: View<'_>, input: Input<'_, Id>) -> Vec<Output<Id>> {
        if self.supported.as_ref().map(Arc::as_ptr) != view.car.supported.as_ref().map(Arc::as_ptr) {
            // Another car, or the same after a while: what the last one said is not its word.
            self.supported.clone_from(&view.car.supported);
            self.last.clear();
        }
        match input {
            Input::Connected(id, admitted) => {
                self.clients.entry(id).or_default().admitted = admitted;
                Vec::new()
            }
            Input::Disconnected(id) => {
                self.early.retain(|early| early.id != id);
                match self.clients.remove(&id) {
                    Some(client) if !client.watched.is_empty() => vec![self.watch_all()],
                    _ => Vec::new(),
                }
            }
            Input::Event(_, event, _) if !self.knows(event) => Vec::new(),
            Input::Event(id, event, _) if !self.admits(id) => {
                let body = serde_json::json!({ "event": event, "message": "Invalid token" });
                vec![Output::Reply(id, "error", Body::Json(body))]
            }
            Input::Event(id, event, argument)
                if view.is_early(event, argument) && self.early.len() < MAX_EARLY =>
            {
                let (event, name) = (event.to_owned(), argument.as_str().into());
                self.early.push(Early { id, event, name, ticks: EARLY_TICKS });
                Vec::new()
            }
            Input::Event(id, event, argument) => self.event(view, id, event, argument),
            Input::Reading(reading) => self.reading(reading),
            Input::Full(id, response) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.pending.insert(response.command.name.clone(), response);
                }
                Vec::new()
            }
            Input::Tick => {
                let late = self.clients.iter_mut().flat_map(|(id, client)| {
                    std::mem::take(&mut client.pending).into_values().map(|late| Output::Push(*id, late))
                });
                let mut outputs: Vec<_> = late.collect();
                outputs.extend(self.answer_early(view));
                outputs
            }
        }
    }

    /// Answers what has waited until it was known what the car supports, or for long enough.
    fn answer_early(&mut self, view: View<'_>) -> Vec<Output<Id>> {
        let learning = view.is_learning();
        for early in &mut self.early {
            early.ticks = early.ticks.saturating_sub(1);
        }
        let due: Vec<_> = self.early.extract_if(.., |early| !learning || early.ticks == 0).collect();
        due.iter().flat_map(|early| self.event(view, early.id, &early.event, &early.name)).collect()
    }

    fn event(&mut self, view: View<'_>, id: Id, event: &str, argument: &Json) -> Vec<Output<Id>> {
        use Body::{Command, Commands, Flag, Response, Text};
        let car = view.car;
        let protocol = car.protocol.filter(|_| view.is_connected());
        let reply = |event, body| vec![Output::Reply(id, event, body)];
        match event {
            "status" => reply("status", Text(car.link.as_str().into())),
            "is_connected" => reply("is_connected", Flag(view.is_connected())),
            "port_name" => reply("port_name", Text(car.port.clone())),
            "protocol_name" => reply("protocol_name", Text(protocol.map_or("", Protocol::name).into())),
            "protocol_id" => {
                let id = protocol.map(|protocol| protocol.id().to_string());
                reply("protocol_id", Text(id.unwrap_or_default()))
            }
            "supports" => {
                let supported = view.named(argument).is_some_and(|item| view.supports(&item));
                reply("supports", Flag(supported))
            }
            "has_name" => reply("has_name", Flag(view.named(argument).is_some())),
            "supported_commands" => {
                let supported = car.supported.as_ref().filter(|_| view.is_connected());
                let commands = supported.into_iter().flat_map(|supported| supported.commands());
                reply("supported_commands", Commands(commands.map(CommandInfo::from).collect()))
            }
            "query" => match view.named(argument).filter(|item| item.only_reads() && view.supports(item)) {
                None => reply("query", Response(None)),
                Some(item) => match self.last.get(&item) {
                    Some(last) => reply("query", Response(last.clone())),
                    None => vec![Output::Query(id, item)],
                },
            },
            "watch" => self.watch(view, id, argument),
            "unwatch" => {
                let unwanted: HashSet<String> = names(argument).into_iter().map(|(name, _)| name).collect();
                self.change(id, |client| {
                    client.watched.retain(|wanted| !unwanted.contains(wanted.item.name()));
                    client.stopped = false;
                })
            }
            "unwatch_all" => self.change(id, |client| client.watched.clear()),
            "start" => {
                let mut outputs = self.change(id, |client| client.stopped = false);
                if car.closed {
                    outputs.push(Output::Open);
                }
                outputs
            }
            "stop" => self.change(id, |client| client.stopped = true),
            "close" => vec![Output::Close, Output::Broadcast("obd_closed")],
            // Another adapter than the program was told is none that a client may open.
            "connect_obd" => match argument.as_str() {
                Some(port) if port != car.port && port != view.adapter => reply("connect_obd", Flag(false)),
                _ => vec![Output::Connect],
            },
            "available_ports" => vec![Output::Ports(id)],
            "all_protocols" => {
                let all = Protocol::ALL.map(|protocol| {
                    serde_json::json!({ "id": protocol.id().to_string(), "name": protocol.name() })
                });
                reply("all_protocols", Body::Json(all.into_iter().collect()))
            }
            "all_dtcs" => {
                let known = (0..=u16::MAX).map(Dtc).filter(|code| code.is_known());
                let known = known.map(|code| (code.to_string(), code.describe().to_string().into()));
                let own = view.descriptions.own().map(|(code, words)| (code.to_string(), words.into()));
                reply("all_dtcs", Body::Json(known.chain(own).collect::<Map<_, _>>().into()))
            }
            "all_commands" => reply("all_commands", Body::Services(CommandInfo::by_service())),
            "get_command" => {
                let item = view.named(argument);
                reply("get_command", Command(item.as_ref().map(CommandInfo::from)))
            }
            "clear_dtc" => vec![Output::Clear(id)],
            "start_emulator" => vec![Output::StartEmulator],
            "stop_emulator" => vec![Output::StopEmulator],
            // No other program is fed here.
            "injector_state" => reply("injector_state", Body::Json(Json::Object(Map::new()))),
            // Log levels and the end of the program are not a client's business.
            _ => Vec::new(),
        }
    }

    /// Adds to what a client watches. Names that are unknown, that the car does not support or that do not only read
    /// are left out.
    fn watch(&mut self, view: View<'_>, id: Id, argument: &Json) -> Vec<Output<Id>> {
        let shortest = self.period;
        let wanted: Vec<(Item, Duration)> = names(argument)
            .into_iter()
            .filter_map(|(name, period)| {
                Some(((view.find)(&name)?, period.unwrap_or(shortest).max(shortest)))
            })
            .filter(|(item, _)| item.only_reads() && (view.car.supported.is_none() || view.supports(item)))
            .collect();
        self.change(id, |client| {
            client.stopped = false;
            for (item, period) in wanted {
                let room = client.watched.len() < MAX_WATCHED;
                match client.watched.iter_mut().find(|known| known.item == item) {
                    Some(known) => known.period = period,
                    None if room => client.watched.push(Wanted { item, period, sent: None }),
                    None => {}
                }
            }
        })
    }

    fn change(&mut self, id: Id, change: impl FnOnce(&mut Client)) -> Vec<Output<Id>> {
        change(self.clients.entry(id).or_default());
        vec![self.watch_all()]
    }

    /// Everything that clients which are not stopped watch, each at its shortest period.
    fn watch_all(&mut self) -> Output<Id> {
        let mut all: HashMap<Item, Duration> = HashMap::new();
        for client in self.clients.values().filter(|client| !client.stopped) {
            for wanted in &client.watched {
                let period = all.entry(wanted.item.clone()).or_insert(wanted.period);
                *period = (*period).min(wanted.period);
            }
        }
        // Values of what nobody watches any more grow old: forget them.
        self.last.retain(|item, _| all.contains_key(item));
        Output::Watch(all.into_iter().collect())
    }

    /// Keeps a value and tells it to everyone who watches it.
    fn reading(&mut self, reading: &Reading) -> Vec<Output<Id>> {
        let now = reading.time.as_millisecond();
        let mut response = None;
        let mut outputs = Vec::new();
        let mut watched = false;
        for (id, client) in self.clients.iter_mut().filter(|(_, client)| !client.stopped) {
            let Some(wanted) = client.watched.iter_mut().find(|wanted| wanted.item == reading.item) else {
                continue;
            };
            watched = true;
            let response = response.get_or_insert_with(|| Response::of(reading).map(Arc::new));
            let Some(response) = response else { continue };
            // Another client may watch it more often. A tenth early is not too early.
            let period = i64::try_from(wanted.period.as_millis()).unwrap_or(i64::MAX);
            if wanted.sent.is_some_and(|sent| (0..period / 10 * 9).contains(&(now - sent))) {
                continue;
            }
            wanted.sent = Some(now);
            if client.pending.is_empty() {
                outputs.push(Output::Push(*id, response.clone()));
            } else {
                client.pending.insert(response.command.name.clone(), response.clone());
            }
        }
        if watched {
            self.last.insert(reading.item.clone(), response.flatten());
        }
        outputs
    }
}

/// The names in an argument, each with its period if it has one. What is no name is left out.
fn names(argument: &Json) -> Vec<(String, Option<Duration>)> {
    let names = Names::deserialize(argument).map(Names::wishes).unwrap_or_default();
    let named = names.into_iter().map(|wish| match wish {
        Wish::Name(name) => (name, None),
        Wish::Rated { name, rate } => {
            // No rate at all is as often as possible, here as elsewhere.
            let period = if rate > 0.0 { 1.0 / rate.clamp(0.001, 10_000.0) } else { 0.0 };
            (name, Duration::try_from_secs_f64(period).ok())
        }
    });
    named.collect()
}
