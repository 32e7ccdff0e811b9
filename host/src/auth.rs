//! Whom the services let in, and the keys for it: kept as hashes, compared in constant time, never logged.

use std::net::SocketAddr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret that clients must present. Only its SHA-256 is kept, and `Debug` shows nothing of it.
///
/// ```
/// use cloverleaf::auth::Key;
/// let key = Key::new("correct horse");
/// assert!(key.matches("correct horse"));
/// assert!(!key.matches("battery staple"));
/// assert_eq!(format!("{key:?}"), "Key(…)");
/// assert!(Key::from_sha256(&key.sha256()).unwrap().matches("correct horse"));
/// assert!(Key::from_sha256("c0ffee").is_none());
/// ```
#[derive(Clone)]
pub struct Key {
    hash: [u8; 32],
}

impl Key {
    /// The key with this text.
    pub fn new(secret: &str) -> Self {
        Self { hash: Sha256::digest(secret.as_bytes()).into() }
    }

    /// The key whose SHA-256 is these 64 hexadecimal digits, as key files keep it.
    pub fn from_sha256(digits: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).ok()?;
        Some(Self { hash })
    }

    /// The key's SHA-256 as 64 hexadecimal digits, to be kept in a key file.
    pub fn sha256(&self) -> String {
        hex::encode(self.hash)
    }

    /// Whether `presented` is this key, in time that does not depend on where they differ.
    pub fn matches(&self, presented: &str) -> bool {
        *self == Self::new(presented)
    }
}

impl PartialEq for Key {
    /// In time that does not depend on where they differ.
    fn eq(&self, other: &Self) -> bool {
        self.hash.ct_eq(&other.hash).into()
    }
}

impl Eq for Key {}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl std::str::FromStr for Key {
    type Err = EmptyKey;

    /// For command-line options: any text but the empty one.
    fn from_str(secret: &str) -> Result<Self, EmptyKey> {
        if secret.is_empty() { Err(EmptyKey) } else { Ok(Self::new(secret)) }
    }
}

/// Who can reach the server: decides whether a service without keys may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Only this machine: services without keys are open.
    Loopback,
    /// The network: services that act on something refuse to be open unless told otherwise.
    Network,
}

impl Exposure {
    /// The exposure of a server listening on `listen`.
    pub fn of(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Loopback } else { Self::Network }
    }
}

/// Whom a service lets in. The rule is the same for all: with a key, those who present it; without one everybody on a
/// server that only this machine can reach, and on the network nobody, unless the service is declared open.
///
/// ```
/// use cloverleaf::auth::Exposure::{Loopback, Network};
/// use cloverleaf::auth::{Guard, Key};
/// assert!(Guard::new(None, false, Loopback).admits(None));
/// assert!(!Guard::new(None, false, Network).admits(Some("guess")));
/// assert!(Guard::new(None, true, Network).admits(None));
/// assert!(!Guard::new(Some(Key::new("secret")), true, Loopback).admits(None));
/// ```
#[derive(Clone, Debug)]
pub enum Guard {
    /// Everybody who can reach the server.
    Open,
    /// Who presents this key.
    Keyed(Key),
    /// Nobody: the network can reach the server, and there is no key.
    Closed,
}

impl Guard {
    /// The guard of a service with this key, if it has one; `open` is what its option `--…-open` says.
    pub fn new(key: Option<Key>, open: bool, exposure: Exposure) -> Self {
        match key {
            Some(key) => Self::Keyed(key),
            None if open || exposure == Exposure::Loopback => Self::Open,
            None => Self::Closed,
        }
    }

    /// Whether somebody who presents this, or nothing, is let in.
    pub fn admits(&self, presented: Option<&str>) -> bool {
        match self {
            Self::Open => true,
            Self::Keyed(key) => presented.is_some_and(|presented| key.matches(presented)),
            Self::Closed => false,
        }
    }

    /// The line that tells people what is served and to whom; the options of the service begin with `--service-`.
    pub fn summary(&self, service: &str, served: &str) -> String {
        match self {
            Self::Open => served.to_owned(),
            Self::Keyed(_) => format!("{served} · with its key"),
            Self::Closed => format!("{served} · closed: needs --{service}-key, or --{service}-open"),
        }
    }
}

/// An empty text was given where a key was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must not be empty")]
pub struct EmptyKey;
