//! Who may do what: keys with scopes and dates of validity, kept as hashes.
//!
//! A key file is TOML, one table per key; `cloverleaf octane hash` makes the line with the hash:
//!
//! ```toml
//! [[key]]
//! name = "shuttle"
//! sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
//! scopes = ["device"]                    # user, admin, device, scheduling; user when left out
//! valid_from = "2024-05-01T00:00:00Z"    # both may be left out
//! valid_until = "2025-05-01T00:00:00Z"
//! ```

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::auth::Key;

/// How many keys made over REST there may be at a time.
pub const MAX_ISSUED: usize = 256;

/// How long a key may be, in bytes. A longer text is not a key, nor is the empty one.
pub const MAX_KEY: usize = 1024;

/// What a key allows. Every key allows to read: to join channels and to ask for resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// To say something, to report, and to control.
    pub user: bool,
    /// All that, to notify everybody, and to manage the facility and its keys.
    pub admin: bool,
    /// To report what a device sees and to speak for it.
    pub device: bool,
    /// To make keys for users.
    pub scheduling: bool,
}

impl Scopes {
    /// Everything.
    pub const ALL: Self = Self { user: true, admin: true, device: true, scheduling: true };
    /// What a key without further words allows.
    pub const USER: Self = Self { user: true, admin: false, device: false, scheduling: false };

    /// Whether a permission is among them.
    pub fn allow(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Report => self.user || self.admin || self.device,
            Permission::Control => self.user || self.admin,
            Permission::Speak => self.user || self.admin,
            Permission::Manage => self.admin,
            Permission::Device => self.admin || self.device,
            Permission::Schedule => self.admin || self.scheduling,
        }
    }

    /// The name of the highest of them, as sessions show it.
    pub fn name(self) -> &'static str {
        match self {
            Self { admin: true, .. } => "ADMIN",
            Self { scheduling: true, .. } => "SCHEDULING",
            Self { user: true, .. } => "USER",
            _ => "DEVICE",
        }
    }
}

/// Something that a key may or may not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To join channels and to ask for resources.
    Read,
    /// To report beacons, to have radios send, to relay between processes and robots.
    Report,
    /// To say something to users.
    Speak,
    /// To control what stands on the road.
    Control,
    /// To manage the facility.
    Manage,
    /// To call back as a device.
    Device,
    /// To make keys for users.
    Schedule,
}

impl Permission {
    /// What a key that does not allow it is told.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Read => "this key allows nothing",
            Self::Report => "this needs a key with the scope user, device or admin",
            Self::Speak | Self::Control => "this needs a key with the scope user or admin",
            Self::Manage => "this needs a key with the scope admin",
            Self::Device => "this needs a key with the scope device or admin",
            Self::Schedule => "this needs a key with the scope scheduling or admin",
        }
    }
}

/// What is known of a good key, except the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whose it is.
    pub name: Arc<str>,
    /// What it allows.
    pub scopes: Scopes,
    /// When it begins to be good; none when it always was.
    pub from: Option<Timestamp>,
    /// When it ends being good; none when it always will be.
    pub until: Option<Timestamp>,
}

impl Grant {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && !self.is_over(now)
    }

    /// Whether it is not good any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
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
    /// A hash is that of the empty text, which everybody has.
    #[error("{path}: key {name}: sha256 is that of the empty text: a key must not be empty")]
    Empty {
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
    Scheduling,
}

#[derive(Clone, Debug)]
struct Known {
    key: Key,
    grant: Grant,
    /// Made over REST, and gone with the server.
    issued: bool,
}

/// The keys that are known, as hashes.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    known: Vec<Known>,
    open: bool,
}

/// There are as many keys made over REST as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more than {MAX_ISSUED} keys at a time: wait until one of them ends")]
pub struct Full;

impl Keys {
    /// No keys at all: `open` lets everybody in with every scope, otherwise nobody.
    pub fn none(open: bool) -> Self {
        Self { known: Vec::new(), open }
    }

    /// Adds a key that is always valid and allows everything: the simple case of the command line.
    pub fn add(&mut self, key: Key) {
        self.open = false;
        let name = format!("key {}", self.known.len() + 1).into();
        let grant = Grant { name, scopes: Scopes::ALL, from: None, until: None };
        self.known.push(Known { key, grant, issued: false });
    }

    /// Adds a key that is good for a while; those that are over make room for it. It does not open or close the door.
    ///
    /// # Errors
    /// When there are [`MAX_ISSUED`] of them.
    pub fn issue(&mut self, key: Key, grant: Grant, now: Timestamp) -> Result<(), Full> {
        self.known.retain(|known| !(known.issued && known.grant.is_over(now)));
        if self.known.iter().filter(|known| known.issued).count() >= MAX_ISSUED {
            return Err(Full);
        }
        self.known.push(Known { key, grant, issued: true });
        Ok(())
    }

    /// Whose keys are good at this moment.
    pub fn grants(&self, now: Timestamp) -> impl Iterator<Item = &Grant> {
        self.known.iter().map(|known| &known.grant).filter(move |grant| grant.is_valid(now))
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
            if key.matches("") {
                return Err(KeysError::Empty { path: path.to_owned(), name: entry.name });
            }
            let mut scopes = Scopes::default();
            for scope in &entry.scopes {
                match scope {
                    Scope::User => scopes.user = true,
                    Scope::Admin => scopes.admin = true,
                    Scope::Device => scopes.device = true,
                    Scope::Scheduling => scopes.scheduling = true,
                }
            }
            let scopes = if entry.scopes.is_empty() { Scopes::USER } else { scopes };
            let (from, until) = (entry.valid_from, entry.valid_until);
            let grant = Grant { name: entry.name.into(), scopes, from, until };
            self.known.push(Known { key, grant, issued: false });
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

    /// What is known of the key that is presented, if any; none when it is unknown, not yet good or not good any more.
    pub fn check(&self, presented: Option<&str>, now: Timestamp) -> Option<Grant> {
        // Everybody waits while this hashes: it does so once, and not what is too long to be a key.
        let presented = presented.filter(|it| (1..=MAX_KEY).contains(&it.len())).map(Key::new);
        // Every key is compared, so that the time taken says nothing about which one it was.
        let mut found = None;
        for known in &self.known {
            if presented.as_ref() == Some(&known.key) {
                found = Some(&known.grant);
            }
        }
        match found {
            Some(grant) => grant.is_valid(now).then(|| grant.clone()),
            None => self.open.then(Self::anybody),
        }
    }

    /// What an open server knows of everybody.
    pub fn anybody() -> Grant {
        Grant { name: "anybody".into(), scopes: Scopes::ALL, from: None, until: None }
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
        let grant = keys.check(Some("good"), at("2024-05-01T00:00:00Z")).unwrap();
        assert_eq!((&*grant.name, grant.scopes), ("shuttle", Scopes { device: true, ..Scopes::default() }));
        assert_eq!(grant.until, Some(at("2025-05-01T00:00:00Z")));
        assert_eq!(keys.check(Some("good"), at("2024-04-30T23:59:59Z")), None, "not yet");
        assert_eq!(keys.check(Some("good"), at("2025-05-01T00:00:00Z")), None, "not any more");
        for bad in [None, Some(""), Some("goo"), Some("good "), Some("GOOD")] {
            assert_eq!(keys.check(bad, at("2024-06-01T00:00:00Z")), None, "{bad:?}");
        }
    }

    #[test]
    fn without_keys_everybody_gets_in_or_nobody() {
        let now = at("2024-06-01T00:00:00Z");
        for presented in [None, Some(""), Some("anything")] {
            assert_eq!(Keys::none(true).check(presented, now).unwrap().scopes, Scopes::ALL);
            assert_eq!(Keys::none(false).check(presented, now), None);
        }
        assert!(Keys::none(false).is_empty());
    }

    #[test]
    fn a_key_made_over_rest_is_good_for_a_while_and_there_are_not_many() {
        let mut keys = Keys::none(false);
        let (now, later) = (at("2024-06-01T00:00:00Z"), at("2024-06-02T00:00:00Z"));
        let grant = Grant { name: "guest".into(), scopes: Scopes::USER, from: None, until: Some(later) };
        for count in 0..MAX_ISSUED {
            keys.issue(Key::new(&count.to_string()), grant.clone(), now).unwrap();
        }
        assert_eq!(keys.issue(Key::new("one more"), grant.clone(), now), Err(Full));
        assert_eq!(keys.check(Some("7"), now), Some(grant.clone()));
        assert_eq!(keys.check(Some("7"), later), None, "over");
        keys.issue(Key::new("one more"), Grant { until: None, ..grant }, later).unwrap();
        assert_eq!(keys.grants(later).count(), 1, "those that are over have made room");
    }

    #[test]
    fn a_scope_allows_what_it_says() {
        let only = |scope: &str| {
            let text =
                format!("[[key]]\nname = 'k'\nsha256 = '{}'\nscopes = ['{scope}']\n", Key::new("k").sha256());
            let mut keys = Keys::none(false);
            keys.parse(&text, "keys.toml").unwrap();
            keys.check(Some("k"), at("2024-06-01T00:00:00Z")).unwrap().scopes
        };
        let permissions = [
            Permission::Read,
            Permission::Report,
            Permission::Speak,
            Permission::Control,
            Permission::Manage,
            Permission::Device,
            Permission::Schedule,
        ];
        #[rustfmt::skip]
        let table = [
            ("user",       [true, true,  true,  true,  false, false, false]),
            ("admin",      [true, true,  true,  true,  true,  true,  true]),
            ("device",     [true, true,  false, false, false, true,  false]),
            ("scheduling", [true, false, false, false, false, false, true]),
        ];
        for (scope, expected) in table {
            assert_eq!(permissions.map(|it| only(scope).allow(it)), expected, "{scope}");
        }
    }

    #[test]
    fn a_bad_file_is_refused_with_the_reason() {
        let bad = |text: &str| Keys::default().parse(text, "keys.toml").unwrap_err().to_string();
        assert_eq!(
            bad("[[key]]\nname = 'a'\nsha256 = 'c0ffee'"),
            "keys.toml: key a: sha256 is 64 hexadecimal digits"
        );
        assert!(bad("[[key]]\nname = 'a'\nsha256 = ''\nscopes = ['root']").contains("root"));
        assert_eq!(
            bad(&format!("[[key]]\nname = 'a'\nsha256 = '{}'", Key::new("").sha256())),
            "keys.toml: key a: sha256 is that of the empty text: a key must not be empty"
        );
    }

    #[test]
    fn the_empty_text_is_not_a_key_even_if_its_hash_is_known() {
        let mut keys = Keys::none(false);
        keys.add(Key::new(""));
        for presented in [None, Some("")] {
            assert_eq!(keys.check(presented, at("2024-06-01T00:00:00Z")), None, "{presented:?}");
        }
    }
}
