//! Tokens: who may talk to the server.

use std::collections::{HashMap, VecDeque};

use cloverleaf_core::time::{Duration, Instant};
use uuid::Uuid;

use super::{code, failure};
use crate::auth::Guard;
use crate::services::dfx::events::Failure;

/// How many tokens are remembered; of more, the oldest are forgotten, and so are invalid.
pub const ISSUED: usize = 1024;

/// The tokens that are good: the key, and those given out.
#[derive(Debug)]
pub struct Access {
    guard: Guard,
    lifetime: Duration,
    issued: HashMap<String, Issued>,
    ages: VecDeque<String>,
}

/// Until when a token is good, and for what.
#[derive(Clone, Copy, Debug)]
struct Issued {
    until: Instant,
    /// Good for one renewal, and for nothing else.
    refresh: bool,
}

impl Access {
    /// Good are what the guard admits, and tokens given out.
    pub fn new(guard: Guard, lifetime: Duration) -> Self {
        Self { guard, lifetime, issued: HashMap::new(), ages: VecDeque::new() }
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
            Some(Issued { refresh: true, .. }) => {
                Err(failure(code::INVALID_TOKEN, "A refresh token only renews others"))
            }
            Some(issued) if issued.until > now => Ok(()),
            Some(_) => Err(failure(code::TOKEN_EXPIRED, "The token has expired")),
            None if self.guard.admits(Some(token)) => Ok(()),
            None => Err(failure(code::INVALID_TOKEN, "The token is not valid")),
        }
    }

    /// Whether `secret` opens an account: it is the key, or none is needed.
    pub(super) fn opens(&self, secret: &str) -> bool {
        self.guard.admits(Some(secret))
    }

    /// A new token.
    pub(super) fn issue(&mut self, now: Instant) -> String {
        self.remember(Issued { until: now + self.lifetime, refresh: false })
    }

    /// A token that renews another: it lives thirty times as long.
    pub(super) fn issue_refresh(&mut self, now: Instant) -> String {
        let lifetime = Duration::from_millis(self.lifetime.as_millis().saturating_mul(30));
        self.remember(Issued { until: now + lifetime, refresh: true })
    }

    /// Takes back a refresh token, which may be used once.
    pub(super) fn redeem(&mut self, now: Instant, token: &str) -> bool {
        self.issued.get(token).is_some_and(|issued| issued.refresh)
            && self.issued.remove(token).is_some_and(|issued| issued.until > now)
    }

    fn remember(&mut self, issued: Issued) -> String {
        let token = Uuid::new_v4().simple().to_string();
        if self.ages.len() >= ISSUED
            && let Some(oldest) = self.ages.pop_front()
        {
            self.issued.remove(&oldest);
        }
        self.ages.push_back(token.clone());
        self.issued.insert(token.clone(), issued);
        token
    }
}
