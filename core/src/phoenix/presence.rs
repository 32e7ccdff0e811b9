//! Who is present, as a client knows it: the algebra of the official client, over storage of a fixed size.
//!
//! The server sends the whole state (`presence_state`) after each join and changes (`presence_diff`) at any time, even
//! before the state: those wait. After a rejoin the new state is compared with what was known, so that only real
//! changes are told.
//!
//! ```
//! use cloverleaf_core::phoenix::presence::{Change, Presence};
//! let mut presence = Presence::<8, 128, 256>::new();
//! let mut told = heapless::Vec::<heapless::String<16>, 8>::new();
//! let mut tell = |change: Change<'_>| {
//!     let Change::Joined { key, .. } = change else { return };
//!     told.push(key.try_into().unwrap()).unwrap();
//! };
//! // A diff overtook the state.
//! presence.handle_diff(br#"{"joins":{"ann":{"metas":[{"phx_ref":"2"}]}},"leaves":{}}"#, &mut tell)?;
//! presence.handle_state(br#"{"robin":{"metas":[{"phx_ref":"1"}]}}"#, &mut tell)?;
//! assert_eq!(told, ["robin", "ann"]);
//! assert!(presence.keys().eq(["robin", "ann"]));
//! # Ok::<(), cloverleaf_core::phoenix::presence::Error>(())
//! ```

use heapless::{String, Vec};

use crate::json;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Somebody came, by one more session.
    Joined {
        /// Who.
        key: &'a str,
        /// What is known of the session: a JSON object.
        meta: &'a [u8],
        /// The server's whole entry of this key: `metas`, and beside them what the server adds about the user.
        entry: &'a [u8],
        /// Whether this is their first session.
        first: bool,
    },
    /// A session changed what is known of it (the official client tells this as a join and a leave).
    Updated {
        /// Who.
        key: &'a str,
        /// What is known now.
        meta: &'a [u8],
        /// As of [`Change::Joined`].
        entry: &'a [u8],
    },
    /// A session ended.
    Left {
        /// Who.
        key: &'a str,
        /// What was known.
        meta: &'a [u8],
        /// Whether this was their last session.
        last: bool,
    },
}

/// Why the presence is not known completely. What fitted holds, and goes on to be kept up; a rejoin brings a fresh state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The payload is no presence state or diff.
    Malformed,
    /// More sessions than there is room for: the others are left out.
    TooMany,
    /// A key, or what is known of a session, is too long: it is left out.
    TooLong,
    /// More diffs wait for the state than there is room for: this one is lost.
    TooEarly,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a presence state or diff",
            Self::TooMany => "more sessions are present than there is room for",
            Self::TooLong => "a presence key or meta is longer than there is room for",
            Self::TooEarly => "more presence diffs came before the state than there is room for",
        })
    }
}

impl core::error::Error for Error {}

/// The presence of one topic: at most `SESSIONS` sessions, whose key and meta have at most `BYTES` each, and
/// `PENDING` bytes of diffs that wait for the state.
#[derive(Clone, Debug)]
pub struct Presence<const SESSIONS: usize, const BYTES: usize, const PENDING: usize> {
    sessions: Sessions<SESSIONS, BYTES>,
    /// Diffs one after the other, while the state has not come.
    pending: Vec<u8, PENDING>,
    known: bool,
}

#[derive(Clone, Debug)]
struct Sessions<const SESSIONS: usize, const BYTES: usize>(Vec<Session<BYTES>, SESSIONS>);

#[derive(Clone, Debug)]
struct Session<const BYTES: usize> {
    key: String<BYTES>,
    meta: Vec<u8, BYTES>,
    /// Whether the state that is being taken has it.
    seen: bool,
}

impl<const SESSIONS: usize, const BYTES: usize, const PENDING: usize> Default
    for Presence<SESSIONS, BYTES, PENDING>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const SESSIONS: usize, const BYTES: usize, const PENDING: usize> Presence<SESSIONS, BYTES, PENDING> {
    /// Nobody, as far as is known.
    pub const fn new() -> Self {
        Self { sessions: Sessions(Vec::new()), pending: Vec::new(), known: false }
    }

    /// The topic is being joined anew: diffs wait for the state again. What was known stays, to be compared with it.
    pub fn rejoin(&mut self) {
        self.pending.clear();
        self.known = false;
    }

    /// Whether the state has come since the last join.
    pub const fn is_known(&self) -> bool {
        self.known
    }

    /// Takes the payload of a `presence_state`, then the diffs that waited for it.
    ///
    /// # Errors
    /// When it is malformed, or something of it does not fit and was left out.
    pub fn handle_state(&mut self, state: &[u8], tell: &mut impl FnMut(Change<'_>)) -> Result<(), Error> {
        if json::kind(state) != json::Kind::Object {
            return Err(Error::Malformed);
        }
        let vanished = |session: &Session<BYTES>| !session.seen;
        let Self { sessions, pending, known } = self;
        sessions.0.iter_mut().for_each(|session| session.seen = false);
        // Those who left make room for those who came, unless they are the same people.
        let mut result = sessions.join_all(state, None, tell);
        sessions.leave_where(vanished, tell);
        if result == Err(Error::TooMany) {
            result = sessions.join_all(state, None, tell);
        }
        *known = true;
        let mut rest = pending.as_slice();
        while let Ok((diff, after)) = json::value(rest) {
            result = result.and(sessions.apply(diff, tell));
            rest = after;
        }
        pending.clear();
        result
    }

    /// Takes the payload of a `presence_diff`.
    ///
    /// # Errors
    /// When it is malformed, or something of it does not fit and was left out.
    pub fn handle_diff(&mut self, diff: &[u8], tell: &mut impl FnMut(Change<'_>)) -> Result<(), Error> {
        if self.known {
            return self.sessions.apply(diff, tell);
        }
        if json::kind(diff) != json::Kind::Object {
            return Err(Error::Malformed);
        }
        self.pending.extend_from_slice(diff).map_err(|_| Error::TooEarly)
    }

    /// Who is present, each once.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let first = |index: usize, key: &str| {
            self.sessions.0.iter().take(index).all(|earlier| earlier.key.as_str() != key)
        };
        self.sessions
            .0
            .iter()
            .enumerate()
            .filter(move |(index, session)| first(*index, &session.key))
            .map(|(_, session)| session.key.as_str())
    }

    /// What is known of the sessions of one key, oldest first.
    pub fn metas<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.sessions
            .0
            .iter()
            .filter(move |session| session.key.as_str() == key)
            .map(|session| session.meta.as_slice())
    }
}

impl<const SESSIONS: usize, const BYTES: usize> Sessions<SESSIONS, BYTES> {
    fn apply(&mut self, diff: &[u8], tell: &mut impl FnMut(Change<'_>)) -> Result<(), Error> {
        let (Some(joins), Some(leaves)) = (json::member(diff, "joins"), json::member(diff, "leaves")) else {
            return Err(Error::Malformed);
        };
        let result = self.join_all(joins, Some(leaves), tell);
        // An update has been told as such when it joined.
        let replaced = |session: &Session<BYTES>| {
            metas(joins).any(|(key, _, meta)| {
                json::is_string(key, &session.key)
                    && same_ref(json::member(meta, "phx_ref_prev"), phx_ref(&session.meta))
            })
        };
        self.0.retain(|session| !(contains(leaves, session) && replaced(session)));
        self.leave_where(|session| contains(leaves, session), tell);
        result
    }

    /// Adds the sessions that are not known yet, behind those that are. A diff also replaces what is known of a session,
    /// and puts it behind the others.
    fn join_all(
        &mut self,
        joins: &[u8],
        leaves: Option<&[u8]>,
        tell: &mut impl FnMut(Change<'_>),
    ) -> Result<(), Error> {
        let mut result = Ok(());
        for (key, entry, meta) in metas(joins) {
            let Some(session) = Session::of(key, meta) else {
                result = Err(Error::TooLong);
                continue;
            };
            let known = |other: &Session<BYTES>| {
                other.key == session.key && same_ref(phx_ref(&other.meta), phx_ref(meta))
            };
            if let Some(index) = self.0.iter().position(known) {
                if leaves.is_none() {
                    self.0.get_mut(index).into_iter().for_each(|known| known.seen = true);
                    continue;
                }
                if self.0.remove(index).meta != session.meta {
                    tell(Change::Updated { key: &session.key, meta, entry });
                }
                // There is room: that of the old one.
                let _ = self.0.push(session);
                continue;
            }
            let previous = json::member(meta, "phx_ref_prev");
            let updates = |other: &Session<BYTES>| {
                other.key == session.key
                    && same_ref(phx_ref(&other.meta), previous)
                    && leaves.is_some_and(|leaves| contains(leaves, other))
            };
            if self.0.iter().any(updates) {
                tell(Change::Updated { key: &session.key, meta, entry });
                // Room for the new one even when all is taken: the old one is removed right after.
                if self.0.is_full()
                    && let Some(index) = self.0.iter().position(updates)
                {
                    self.0.remove(index);
                }
            } else {
                let first = self.0.iter().all(|other| other.key != session.key);
                if self.0.is_full() {
                    result = Err(Error::TooMany);
                    continue;
                }
                tell(Change::Joined { key: &session.key, meta, entry, first });
            }
            // There is room: it has been made or looked for.
            let _ = self.0.push(session);
        }
        result
    }

    fn leave_where(&mut self, leaves: impl Fn(&Session<BYTES>) -> bool, tell: &mut impl FnMut(Change<'_>)) {
        let mut index = 0;
        while let Some(session) = self.0.get(index) {
            if !leaves(session) {
                index += 1;
                continue;
            }
            let session = self.0.remove(index);
            let last = self.0.iter().all(|other| other.key != session.key);
            tell(Change::Left { key: &session.key, meta: &session.meta, last });
        }
    }
}

impl<const BYTES: usize> Session<BYTES> {
    /// A session with this key (a JSON string) and meta, if they fit.
    fn of(key: &[u8], meta: &[u8]) -> Option<Self> {
        let mut name = String::new();
        for character in json::characters(key) {
            name.push(character).ok()?;
        }
        Some(Self { key: name, meta: Vec::from_slice(meta).ok()?, seen: true })
    }
}

/// The metas of a state, each with its key (a JSON string) and the entry it is in.
fn metas(state: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    json::members(state).flat_map(|(key, entry)| {
        let metas = json::member(entry, "metas").unwrap_or_default();
        json::elements(metas)
            .filter(|meta| json::kind(meta) == json::Kind::Object)
            .map(move |meta| (key, entry, meta))
    })
}

fn phx_ref(meta: &[u8]) -> Option<&[u8]> {
    json::member(meta, "phx_ref")
}

fn same_ref(one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if json::same(one, other))
}

/// Whether a state has this session.
fn contains<const BYTES: usize>(state: &[u8], session: &Session<BYTES>) -> bool {
    json::members(state).filter(|(key, _)| json::is_string(key, &session.key)).any(|(_, entry)| {
        json::elements(json::member(entry, "metas").unwrap_or_default())
            .any(|meta| same_ref(phx_ref(meta), phx_ref(&session.meta)))
    })
}
