//! Who may be a monitor, and who may command one.

use std::collections::HashMap;

use super::super::events::{MonitorId, reason};
use crate::auth::{EmptyKey, Key};

/// The two sides of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends commands.
    User,
    /// Carries them out.
    Monitor,
}

/// `KEY` for every monitor's id, or `ID=KEY` for one of them.
#[derive(Debug, Clone)]
pub struct Grant {
    id: Option<MonitorId>,
    key: Key,
}

impl std::str::FromStr for Grant {
    type Err = EmptyKey;

    fn from_str(text: &str) -> Result<Self, EmptyKey> {
        let split = text.char_indices().nth(MonitorId::LENGTH).filter(|(_, separator)| *separator == '=');
        match split {
            Some((at, _)) => {
                let (id, key) = text.split_at(at);
                Ok(Self { id: MonitorId::new(id), key: key[1..].parse()? })
            }
            None => Ok(Self { id: None, key: text.parse()? }),
        }
    }
}

/// The keys of one role.
#[derive(Debug, Clone, Default)]
struct Keys {
    all: Option<Key>,
    of_id: HashMap<MonitorId, Key>,
}

impl Keys {
    fn new(grants: &[Grant]) -> Self {
        let mut keys = Self::default();
        for grant in grants {
            match &grant.id {
                Some(id) => {
                    keys.of_id.insert(id.clone(), grant.key.clone());
                }
                None => keys.all = Some(grant.key.clone()),
            }
        }
        keys
    }

    fn is_empty(&self) -> bool {
        self.all.is_none() && self.of_id.is_empty()
    }
}

/// The keys of both roles, and what happens without any.
#[derive(Debug, Clone)]
pub struct Access {
    users: Keys,
    monitors: Keys,
    /// Whether a role without keys is open to everyone.
    open: bool,
}

impl Access {
    /// Everyone may be anything.
    #[must_use]
    pub fn open() -> Self {
        Self::new(&[], &[], true)
    }

    /// The keys that users and monitors must present; a role without keys is open if `open`.
    #[must_use]
    pub fn new(users: &[Grant], monitors: &[Grant], open: bool) -> Self {
        Self { users: Keys::new(users), monitors: Keys::new(monitors), open }
    }

    /// Whether some role is closed for want of keys.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.open && (self.users.is_empty() || self.monitors.is_empty())
    }

    /// Whether some role has keys.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        !(self.users.is_empty() && self.monitors.is_empty())
    }

    /// Whether `token` lets a client use `id` in `role`; the reason if it does not.
    ///
    /// # Errors
    /// [`reason::INVALID_TOKEN`] or [`reason::CLOSED`].
    pub fn check(&self, role: Role, id: &MonitorId, token: Option<&str>) -> Result<(), &'static str> {
        let keys = match role {
            Role::User => &self.users,
            Role::Monitor => &self.monitors,
        };
        match keys.of_id.get(id).or(keys.all.as_ref()) {
            Some(key) if token.is_some_and(|token| key.matches(token)) => Ok(()),
            Some(_) => Err(reason::INVALID_TOKEN),
            None if self.open => Ok(()),
            None if keys.is_empty() => Err(reason::CLOSED),
            None => Err(reason::INVALID_TOKEN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_id_overrides_the_key_of_all() {
        let (a, b) = ("a".repeat(32), "b".repeat(32));
        let users: Vec<Grant> = ["for-all".parse().unwrap(), format!("{a}=for=a").parse().unwrap()].into();
        let access = Access::new(&users, &[], true);
        let table = [
            (Role::User, &a, Some("for=a"), Ok(())),
            (Role::User, &a, Some("for-all"), Err(reason::INVALID_TOKEN)),
            (Role::User, &b, Some("for-all"), Ok(())),
            (Role::User, &b, None, Err(reason::INVALID_TOKEN)),
            (Role::Monitor, &a, None, Ok(())),
        ];
        for (role, id, token, want) in table {
            let id = MonitorId::new(id).unwrap();
            assert_eq!(access.check(role, &id, token), want, "{role:?} {id} {token:?}");
        }
    }

    #[test]
    fn without_keys_and_not_open_nobody_gets_in() {
        let id = MonitorId::new(&"a".repeat(32)).unwrap();
        let access = Access::new(&[], &["k".parse().unwrap()], false);
        assert_eq!(access.check(Role::User, &id, Some("k")), Err(reason::CLOSED));
        assert_eq!(access.check(Role::Monitor, &id, Some("k")), Ok(()));
        assert!(access.is_closed());
    }

    #[test]
    fn keys_are_not_empty() {
        assert!("".parse::<Grant>().is_err());
        assert!(format!("{}=", "a".repeat(32)).parse::<Grant>().is_err());
    }
}
