//! Tokens: who may talk to the server.

use std::collections::{HashMap, VecDeque};

use cloverleaf_core::time::{Duration, Instant};
use uuid::Uuid;

use super::{code, failure};
use crate::auth::Key;
use crate::services::dfx::events::Failure;

/// How many tokens are remembered; of more, the oldest are forgotten, and so are invalid.
pub const ISSUED: usize = 1024;

/// The tokens that are good: the one of the options, if there is one, and those given out.
#[derive(Debug)]
pub struct Access {
    key: Option<Key>,
    lifetime: Duration,
    issued: HashMap<String, Instant>,
    ages: VecDeque<String>,
}

impl Access {
    /// Only `key` and tokens given out are good; without a key, any token is.
    pub fn new(key: Option<Key>, lifetime: Duration) -> Self {
        Self { key, lifetime, issued: HashMap::new(), ages: VecDeque::new() }
    }

    /// Whether `token` is good.
    ///
    /// # Errors
    /// `INVALID_TOKEN` or `TOKEN_EXPIRED`, to be sent with status 401.
    pub fn check(&self, now: Instant, token: Option<&str>) -> Result<(), Failure> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Err(failure(code::INVALID_TOKEN, "A token is required"));
        };
        match self.issued.get(token) {
            Some(until) if *until > now => Ok(()),
            Some(_) => Err(failure(code::TOKEN_EXPIRED, "The token has expired")),
            None if self.key.as_ref().is_none_or(|key| key.matches(token)) => Ok(()),
            None => Err(failure(code::INVALID_TOKEN, "The token is not valid")),
        }
    }

    /// Whether `secret` opens an account: it is the token of the options, or there is none.
    pub(super) fn opens(&self, secret: &str) -> bool {
        self.key.as_ref().is_none_or(|key| key.matches(secret))
    }

    /// A new token.
    pub(super) fn issue(&mut self, now: Instant) -> String {
        self.remember(now + self.lifetime)
    }

    /// A token that renews another: it lives thirty times as long.
    pub(super) fn issue_refresh(&mut self, now: Instant) -> String {
        self.remember(now + Duration::from_millis(self.lifetime.as_millis().saturating_mul(30)))
    }

    /// Takes back a token that may be used once.
    pub(super) fn redeem(&mut self, now: Instant, token: &str) -> bool {
        self.issued.remove(token).is_some_and(|until| until > now)
    }

    fn remember(&mut self, until: Instant) -> String {
        let token = Uuid::new_v4().simple().to_string();
        if self.ages.len() >= ISSUED
            && let Some(oldest) = self.ages.pop_front()
        {
            self.issued.remove(&oldest);
        }
        self.ages.push_back(token.clone());
        self.issued.insert(token.clone(), until);
        token
    }
}
