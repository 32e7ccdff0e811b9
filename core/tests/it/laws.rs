//! The laws of [`cloverleaf_core::machine`], for any machine: `hold` plays a script of inputs, requests and time
//! to a machine and panics where a law is broken. Tests play their transcripts to it, fuzz targets anything.
//!
//! A machine joins by implementing nothing: give `hold` a constructor, a script and a way to show its events.

use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::time::{Duration, Instant};

/// More outputs than any one mutation causes: beyond, the machine does not come to rest.
const RESTLESS: usize = 1_000;

/// What an owner asks of a machine.
pub(crate) type Ask<M> = Box<dyn Fn(&mut M, Instant)>;

/// One thing that happens to a machine.
pub(crate) enum Step<M> {
    /// Its owner asks something of it.
    Ask(Ask<M>),
    /// Bytes arrive.
    Input(Vec<u8>),
    /// Time passes: every deadline on the way is kept, as a driver does.
    Pass(Duration),
}

/// How input reaches the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// In pieces of any size.
    Stream,
    /// In whole messages.
    Messages,
}

/// A machine in virtual time, watched.
pub(crate) struct Watched<M, S> {
    pub(crate) machine: M,
    pub(crate) now: Instant,
    show: S,
}

impl<M: Machine, S: Fn(M::Event<'_>) -> String> Watched<M, S> {
    pub(crate) fn new(machine: M, show: S) -> Self {
        Self { machine, now: Instant::from_millis(1_000), show }
    }

    /// Polls until the machine waits: what it sent (`> ...`) and told (`= ...`), and until when it waits.
    pub(crate) fn drain(&mut self) -> (Vec<String>, Option<Instant>) {
        let mut outputs = Vec::new();
        let deadline = loop {
            assert!(outputs.len() < RESTLESS, "the machine does not come to rest: {:?}", &outputs[..8]);
            match self.machine.poll() {
                Output::Transmit(bytes) => {
                    assert!(!bytes.is_empty(), "an empty transmission");
                    outputs.push(format!("> {}", bytes.escape_ascii()));
                }
                Output::Event(event) => outputs.push(format!("= {}", (self.show)(event))),
                Output::Wait(deadline) => break deadline,
            }
        };
        let again = self.machine.poll();
        assert!(matches!(again, Output::Wait(same) if same == deadline), "polling again changes something");
        (outputs, deadline)
    }

    /// Feeds bytes in pieces of `size`, draining between.
    pub(crate) fn input(&mut self, bytes: &[u8], size: usize) -> Vec<String> {
        let (mut outputs, _) = self.drain();
        for piece in bytes.chunks(size.max(1)) {
            let mut rest = piece;
            while !rest.is_empty() {
                let taken = self.machine.handle_input(self.now, rest);
                assert!(taken > 0, "a machine that waits takes no input");
                assert!(taken <= rest.len(), "more taken than given");
                rest = &rest[taken..];
                outputs.extend(self.drain().0);
            }
        }
        outputs
    }

    /// Lets time pass, keeping every deadline on the way. The machine may also be called early.
    pub(crate) fn pass(&mut self, span: Duration) -> Vec<String> {
        let end = self.now + span;
        let (mut outputs, mut deadline) = self.drain();
        for _ in 0..RESTLESS {
            let Some(due) = deadline.filter(|due| *due <= end) else {
                self.now = end;
                self.machine.handle_timeout(end);
                let (early, _) = self.drain();
                assert!(early.is_empty(), "something happened before its deadline: {early:?}");
                return outputs;
            };
            self.now = due.max(self.now);
            self.machine.handle_timeout(self.now);
            let (more, next) = self.drain();
            assert!(next.is_none_or(|next| next > self.now), "a deadline in the past");
            outputs.extend(more);
            deadline = next;
        }
        panic!("deadlines without end");
    }
}

/// Plays the script whole and, to a machine of a stream, in other pieces: the outputs must be the same, and at
/// every moment the other laws hold. Returns the outputs.
pub(crate) fn hold<M: Machine>(
    link: Link,
    make: impl Fn() -> M,
    script: &[Step<M>],
    show: impl Fn(M::Event<'_>) -> String,
) -> Vec<String> {
    let sizes: &[usize] = match link {
        Link::Stream => &[1, 2, 3, 7],
        Link::Messages => &[],
    };
    let whole = play(make(), script, &show, usize::MAX);
    for &size in sizes {
        assert_eq!(whole, play(make(), script, &show, size), "input in pieces of {size}");
    }
    whole
}

fn play<M: Machine>(
    machine: M,
    script: &[Step<M>],
    show: &impl Fn(M::Event<'_>) -> String,
    size: usize,
) -> Vec<String> {
    let mut watched = Watched::new(machine, show);
    let mut outputs = watched.drain().0;
    for step in script {
        outputs.extend(match step {
            Step::Ask(ask) => {
                ask(&mut watched.machine, watched.now);
                watched.drain().0
            }
            Step::Input(bytes) => watched.input(bytes, size),
            Step::Pass(span) => watched.pass(*span),
        });
    }
    outputs
}

/// The far end of a machine's link.
pub(crate) trait Peer {
    /// Takes what the machine sent; answers with bytes, each after so many milliseconds.
    fn handle(&mut self, bytes: &[u8]) -> Vec<(u64, Vec<u8>)>;
}

impl<M: Machine, S: Fn(M::Event<'_>) -> String> Watched<M, S> {
    /// Lets the machine talk with its peer for so long; returns what it told its owner. All the laws hold on the way.
    pub(crate) fn converse(&mut self, peer: &mut impl Peer, span: Duration) -> Vec<String> {
        let end = self.now + span;
        let mut events = Vec::new();
        let mut coming: Vec<(Instant, Vec<u8>)> = Vec::new();
        // Whether the last thing that happened was a deadline being kept.
        let mut kept = false;
        loop {
            let deadline = loop {
                match self.machine.poll() {
                    Output::Transmit(bytes) => {
                        let now = self.now;
                        let answers = peer.handle(bytes).into_iter();
                        coming.extend(
                            answers.map(|(delay, bytes)| (now + Duration::from_millis(delay), bytes)),
                        );
                        // Stable: what is due at once stays in order.
                        coming.sort_by_key(|(due, _)| *due);
                    }
                    Output::Event(event) => events.push((self.show)(event)),
                    Output::Wait(deadline) => break deadline,
                }
                assert!(events.len() < 100_000, "the machine does not come to rest");
            };
            if kept {
                assert!(deadline.is_none_or(|deadline| deadline > self.now), "a deadline in the past");
            }
            kept = false;
            let arrival = coming.first().map(|(due, _)| *due);
            match (arrival, deadline) {
                (Some(arrival), _) if arrival <= end && deadline.is_none_or(|due| arrival <= due) => {
                    self.now = arrival.max(self.now);
                    let (_, bytes) = coming.remove(0);
                    let taken = self.machine.handle_input(self.now, &bytes);
                    assert!(taken > 0 || bytes.is_empty(), "a machine that waits takes no input");
                    if let Some(rest @ [_, ..]) = bytes.get(taken..) {
                        coming.insert(0, (self.now, rest.to_vec()));
                    }
                }
                (_, Some(deadline)) if deadline <= end => {
                    self.now = deadline.max(self.now);
                    self.machine.handle_timeout(self.now);
                    kept = true;
                }
                _ => {
                    self.now = end;
                    return events;
                }
            }
        }
    }
}
