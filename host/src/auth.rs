//! Keys: kept as hashes, compared in constant time, never logged.

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

/// An empty text was given where a key was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must not be empty")]
pub struct EmptyKey;
