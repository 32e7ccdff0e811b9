//! Keys: kept as hashes, compared in constant time, never logged.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Exposure;

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
        let digits = digits.as_bytes();
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self { hash })
    }

    /// The key's SHA-256 as 64 hexadecimal digits, to be kept in a key file.
    pub fn sha256(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether `presented` is this key, in time that does not depend on where they differ.
    pub fn matches(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        self.hash.ct_eq(&presented).into()
    }
}

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

/// Guards what may be seen on this machine by all, and elsewhere only by those who have the key.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Who presents this is let in, wherever they are; without it nobody beyond this machine is.
    pub key: Option<Key>,
    /// Who can reach the server at all.
    pub exposure: Exposure,
}

impl Guard {
    /// Whether somebody who presents this, or nothing, is let in.
    pub fn admits(&self, presented: Option<&str>) -> bool {
        match &self.key {
            Some(key) => presented.is_some_and(|presented| key.matches(presented)),
            None => self.exposure == Exposure::Loopback,
        }
    }
}

/// An empty text was given where a key was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must not be empty")]
pub struct EmptyKey;
