//! Our client against our server through a proxy that delays, duplicates and cuts, by a seed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloverleaf::config::Options;
use cloverleaf::services::hub::client::{Chat, ChatEvent};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{accept_async, connect_async};

use crate::support::Server;

const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers that look like chance and are the same for the same seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}

/// What the proxy has done, and whether it may go on with it.
#[derive(Default)]
struct Mischief {
    over: AtomicBool,
    cuts: AtomicUsize,
    delays: AtomicUsize,
    duplicates: AtomicUsize,
}

/// Between clients and a server: passes messages on in order, but late, twice, or not at all because it hangs up.
async fn proxy(server: SocketAddr, seed: u64) -> (String, Arc<Mischief>) {
    let mischief = Arc::new(Mischief::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let shared = Arc::clone(&mischief);
    tokio::spawn(async move {
        let mut chance = Chance(seed);
        while let Ok((stream, _)) = listener.accept().await {
            let life = 5 + chance.below(40);
            let seeds = (chance.below(u64::MAX) | 1, chance.below(u64::MAX) | 1);
            let mischief = Arc::clone(&shared);
            tokio::spawn(async move { connection(stream, server, seeds, life, &mischief).await });
        }
    });
    (url, mischief)
}

/// One connection that lives for so many messages of the server. Both ends are dropped when this ends.
async fn connection(near: TcpStream, server: SocketAddr, seeds: (u64, u64), life: u64, mischief: &Mischief) {
    let Ok(near) = accept_async(near).await else { return };
    let url = format!("ws://{server}/socket/websocket?vsn=2.0.0");
    let Ok((far, _)) = connect_async(url).await else { return };
    let ((to_client, from_client), (to_server, from_server)) = (near.split(), far.split());
    tokio::select! {
        () = pass(from_client, to_server, seeds.0, u64::MAX, mischief) => {}
        () = pass(from_server, to_client, seeds.1, life, mischief) => {}
    }
}

async fn pass(
    mut from: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    mut to: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    seed: u64,
    life: u64,
    mischief: &Mischief,
) {
    let mut chance = Chance(seed);
    let mut passed = 0;
    while let Some(Ok(message)) = from.next().await {
        if !mischief.over.load(Ordering::Relaxed) {
            passed += 1;
            if passed > life {
                mischief.cuts.fetch_add(1, Ordering::Relaxed);
                return;
            }
            match chance.below(6) {
                0 => {
                    mischief.delays.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1 + chance.below(10))).await;
                }
                1 => {
                    mischief.duplicates.fetch_add(1, Ordering::Relaxed);
                    if to.send(message.clone()).await.is_err() {
                        return;
                    }
                }
                _ => {}
            }
        }
        if to.send(message).await.is_err() {
            return;
        }
    }
}

/// A chat and what it has told.
struct Member {
    chat: Chat,
    name: &'static str,
    people: BTreeSet<String>,
    /// The last number of our own that came back, from the room or unsent.
    own: u32,
    unsent: u32,
    /// The numbers that the other one said, by connection.
    heard: Vec<Vec<u32>>,
}

impl Member {
    async fn new(url: &str, name: &'static str) -> Self {
        let chat = Chat::connect(url, "proxy", name, None).await.expect("a hub");
        Self { chat, name, people: BTreeSet::new(), own: 0, unsent: 0, heard: Vec::new() }
    }

    /// The last number that the other one said on this connection.
    fn latest(&self) -> Option<u32> {
        self.heard.last()?.last().copied()
    }

    /// Takes in what is told until `enough`.
    async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        let listen = async {
            while !enough(self) {
                match self.chat.next().await.expect("a chat goes on") {
                    ChatEvent::Joined => self.heard.push(Vec::new()),
                    ChatEvent::MemberJoined { name } => drop(self.people.insert(name)),
                    ChatEvent::MemberLeft { name } => drop(self.people.remove(&name)),
                    ChatEvent::Shout { name, body, .. } => {
                        let number = body.parse().expect("numbers are said");
                        if name == self.name {
                            self.own = number;
                        } else {
                            self.heard.last_mut().expect("nothing is heard before joining").push(number);
                        }
                    }
                    ChatEvent::MembersIncomplete { reason } | ChatEvent::Refused { response: reason } => {
                        panic!("{reason}")
                    }
                    ChatEvent::Unsent { body } => self.unsent = body.parse().expect("numbers are said"),
                    ChatEvent::Typing { .. } | ChatEvent::Offline { .. } => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, listen).await.expect("it comes in time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_proxy_does_everybody_ends_up_knowing_the_same() {
    for seed in [1, 7, 42, 2026] {
        let server = Server::start(&Options::default()).await;
        let (url, mischief) = proxy(server.address, seed).await;
        let mut ann = Member::new(&url, "ann").await;
        let mut ben = Member::new(&format!("ws://{}", server.address), "ben").await;
        ben.until(|ben| ben.people.contains("ben")).await;
        // Both say numbers until the proxy has done everything, several times.
        let mut said = 0;
        while ![&mischief.cuts, &mischief.delays, &mischief.duplicates]
            .iter()
            .all(|count| count.load(Ordering::Relaxed) >= 3)
        {
            said += 1;
            ann.chat.say(&said.to_string()).await;
            ben.chat.say(&said.to_string()).await;
            ben.until(|ben| ben.own == said).await;
        }
        mischief.over.store(true, Ordering::Relaxed);
        // Both are there, for both; and both hear each other again.
        let everybody: BTreeSet<String> = ["ann", "ben"].map(str::to_owned).into();
        ben.until(|ben| ben.people == everybody).await;
        ann.until(|ann| ann.people == everybody).await;
        loop {
            said += 1;
            let connections = ann.heard.len();
            ann.chat.say(&said.to_string()).await;
            ben.chat.say(&said.to_string()).await;
            ben.until(|ben| ben.own == said).await;
            // What the proxy did last may still cut this connection, and what is on its way with it.
            ann.until(|ann| ann.own == said || ann.unsent == said || ann.heard.len() > connections).await;
            if ann.own == said && ann.latest() == Some(said) {
                ben.until(|ben| ben.latest() == Some(said)).await;
                break;
            }
        }
        for numbers in ann.heard.iter().chain(&ben.heard) {
            assert!(numbers.is_sorted(), "seed {seed}, nothing overtakes: {numbers:?}");
        }
        server.stop().await;
    }
}
