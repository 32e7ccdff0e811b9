//! Who may do what: keys with scopes and dates of validity, kept as hashes.
//!
//! A key file is TOML, one table per key; `cloverleaf octane hash` makes the line with the hash:
//!
//! ```toml
//! [[key]]
//! name = "shuttle"
//! sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
//! scopes = ["device"]                    # user, admin, device; user when left out
//! valid_from = "2024-05-01T00:00:00Z"    # both may be left out
//! valid_until = "2025-05-01T00:00:00Z"
//! ```

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use crate::auth::Key;

/// What a key allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// To read, to say something, and to control.
    pub user: bool,
    /// To notify everybody and to manage the facility.
    pub admin: bool,
    /// To report what a device sees.
    pub device: bool,
}

impl Scopes {
    /// Everything.
    pub const ALL: Self = Self { user: true, admin: true, device: true };
    /// What a key without further words allows.
    pub const USER: Self = Self { user: true, admin: false, device: false };

    /// Whether resources may be controlled.
    pub fn may_control(self) -> bool {
        self.user || self.admin
    }

    /// Whether the facility may be managed.
    pub fn may_manage(self) -> bool {
        self.admin
    }
}

/// Why a key file is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It is not a key file.
    #[error("{path}: {error}")]
    Syntax {
        /// Which file.
        path: String,
        /// What is wrong.
        error: Box<toml::de::Error>,
    },
    /// A hash is not 64 hexadecimal digits.
    #[error("{path}: key {name}: sha256 is 64 hexadecimal digits")]
    Hash {
        /// Which file.
        path: String,
        /// Which key.
        name: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
    #[serde(default)]
    scopes: Vec<Scope>,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    User,
    Admin,
    Device,
}

#[derive(Clone, Debug)]
struct Known {
    key: Key,
    scopes: Scopes,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// The keys that are known. Clones are cheap to pass around and keep nothing but hashes.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    known: Vec<Known>,
    open: bool,
}

impl Keys {
    /// No keys at all: `open` lets everybody in with every scope, otherwise nobody.
    pub fn none(open: bool) -> Self {
        Self { known: Vec::new(), open }
    }

    /// Adds a key that is always valid and allows everything: the simple case of the command line.
    pub fn add(&mut self, key: Key) {
        self.open = false;
        self.known.push(Known { key, scopes: Scopes::ALL, from: None, until: None });
    }

    /// Adds the keys of a file.
    ///
    /// # Errors
    /// [`KeysError`] says what is wrong with the file.
    pub fn read(&mut self, path: &Path) -> Result<(), KeysError> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| KeysError::Read { path: name(), error })?;
        self.parse(&text, &name())
    }

    fn parse(&mut self, text: &str, path: &str) -> Result<(), KeysError> {
        let file: KeyFile = toml::from_str(text)
            .map_err(|error| KeysError::Syntax { path: path.to_owned(), error: Box::new(error) })?;
        for entry in file.key {
            let key = Key::from_sha256(&entry.sha256)
                .ok_or_else(|| KeysError::Hash { path: path.to_owned(), name: entry.name.clone() })?;
            let mut scopes = Scopes::default();
            for scope in &entry.scopes {
                match scope {
                    Scope::User => scopes.user = true,
                    Scope::Admin => scopes.admin = true,
                    Scope::Device => scopes.device = true,
                }
            }
            let scopes = if entry.scopes.is_empty() { Scopes::USER } else { scopes };
            self.known.push(Known { key, scopes, from: entry.valid_from, until: entry.valid_until });
        }
        self.open = false;
        Ok(())
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether nobody can be let in: there is no key, and the server is not open.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && !self.open
    }

    /// What a key allows at this moment; none when it is unknown, not yet valid or not valid any more.
    pub fn check(&self, presented: &str, now: Timestamp) -> Option<Scopes> {
        if self.open {
            return Some(Scopes::ALL);
        }
        // Every key is compared, so that the time taken says nothing about which one it was.
        let mut found = None;
        for known in &self.known {
            if known.key.matches(presented) {
                found = Some(known);
            }
        }
        let known = found?;
        let valid = known.from.is_none_or(|from| from <= now) && known.until.is_none_or(|until| now < until);
        valid.then_some(known.scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_good_within_its_dates_and_for_its_scopes() {
        let mut keys = Keys::none(true);
        let file = format!(
            "[[key]]\nname = 'shuttle'\nsha256 = '{}'\nscopes = ['device']\nvalid_from = '2024-05-01T00:00:00Z'\nvalid_until = '2025-05-01T00:00:00Z'\n",
            Key::new("good").sha256()
        );
        keys.parse(&file, "keys.toml").unwrap();
        assert!(!keys.is_open(), "a file with keys closes the door");
        let device = Some(Scopes { device: true, ..Scopes::default() });
        assert_eq!(keys.check("good", at("2024-05-01T00:00:00Z")), device);
        assert_eq!(keys.check("good", at("2024-04-30T23:59:59Z")), None, "not yet");
        assert_eq!(keys.check("good", at("2025-05-01T00:00:00Z")), None, "not any more");
        for bad in ["", "goo", "good ", "GOOD"] {
            assert_eq!(keys.check(bad, at("2024-06-01T00:00:00Z")), None, "{bad:?}");
        }
    }

    #[test]
    fn without_keys_everybody_gets_in_or_nobody() {
        let now = at("2024-06-01T00:00:00Z");
        assert_eq!(Keys::none(true).check("", now), Some(Scopes::ALL));
        assert_eq!(Keys::none(false).check("anything", now), None);
        assert!(Keys::none(false).is_empty());
    }

    #[test]
    fn a_bad_file_is_refused_with_the_reason() {
        let bad = |text: &str| Keys::default().parse(text, "keys.toml").unwrap_err().to_string();
        assert_eq!(
            bad("[[key]]\nname = 'a'\nsha256 = 'c0ffee'"),
            "keys.toml: key a: sha256 is 64 hexadecimal digits"
        );
        assert!(bad("[[key]]\nname = 'a'\nsha256 = ''\nscopes = ['root']").contains("root"));
    }
}
