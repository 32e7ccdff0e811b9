//! Tokens: who may talk to the server.

use std::collections::{HashMap, VecDeque};

use cloverleaf_core::dfx::Action;
use cloverleaf_core::time::{Duration, Instant};
use uuid::Uuid;

use super::{code, failure};
use crate::auth::Guard;
use crate::services::dfx::events::{Failure, Lifetimes, Tokens};

/// How many tokens are remembered, with those that renew them; of more, the oldest are forgotten, and so are invalid.
pub const ISSUED: usize = 1024;

/// The longest token that is looked at, in bytes.
pub const TOKEN: usize = 16 << 10;

/// How much longer than a token lives what renews it, at most.
const REFRESH_TIMES: u64 = 30;

/// Whether an action needs no token: those that tell of the server, and those that give tokens out for other proof.
pub fn is_open(action: Action) -> bool {
    matches!(
        action,
        Action::STATUS
            | Action::MIME_TYPES
            | Action::USER_LOGIN
            | Action::REGISTER_LICENSE
            | Action::ORGANIZATION_LOGIN
            | Action::LOGIN_WITH_TOKEN
            | Action::RENEW_TOKEN
            | Action::GENERATE_TOKEN
    )
}

/// The tokens that are good: the key, and those given out.
#[derive(Debug)]
pub struct Access {
    guard: Guard,
    lifetime: Duration,
    issued: HashMap<String, Issued>,
    ages: VecDeque<String>,
}

/// Until when a token is good, and for what.
#[derive(Debug)]
struct Issued {
    until: Instant,
    kind: Kind,
    /// The other of the pair.
    twin: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Access,
    /// Good for one renewal, and for nothing else.
    Refresh,
    /// Renewed or logged out.
    Revoked,
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
        let invalid = |message: &str| Err(failure(code::INVALID_TOKEN, message));
        let Some(token) = token.filter(|token| (1..=TOKEN).contains(&token.len())) else {
            return invalid("A token of 1 to 16384 bytes is required");
        };
        match self.issued.get(token) {
            Some(Issued { kind: Kind::Refresh, .. }) => invalid("A refresh token only renews others"),
            Some(Issued { kind: Kind::Revoked, .. }) => invalid("The token was renewed or logged out"),
            Some(issued) if issued.until > now => Ok(()),
            Some(_) => Err(failure(code::TOKEN_EXPIRED, "The token has expired")),
            None if self.guard.admits(Some(token)) => Ok(()),
            None => invalid("The token is not valid"),
        }
    }

    /// Whether `secret` opens an account: it is the key, or none is needed.
    pub(super) fn opens(&self, secret: &str) -> bool {
        self.guard.admits(Some(secret))
    }

    /// A new pair of tokens, good for as long as is asked for, but no longer than the server allows.
    pub(super) fn issue(&mut self, now: Instant, asked: Lifetimes) -> Tokens {
        let most = self.lifetime.as_millis();
        let until = |asked: Option<u64>, most: u64| {
            let asked = asked.filter(|seconds| *seconds > 0).map(|seconds| seconds.saturating_mul(1000));
            now + Duration::from_millis(asked.map_or(most, |asked| asked.min(most)))
        };
        let (token, refresh_token) = (fresh(), fresh());
        let access = until(asked.token, most);
        let refresh = until(asked.refresh, most.saturating_mul(REFRESH_TIMES));
        self.remember(&token, Issued { until: access, kind: Kind::Access, twin: refresh_token.clone() });
        self.remember(&refresh_token, Issued { until: refresh, kind: Kind::Refresh, twin: token.clone() });
        Tokens { token, refresh_token, ..Tokens::default() }
    }

    /// Whether these two were given out together and the second is still good: for a child, or to be renewed.
    pub(super) fn are_pair(&self, now: Instant, tokens: &Tokens) -> bool {
        self.issued.get(&tokens.refresh_token).is_some_and(|issued| {
            issued.kind == Kind::Refresh && issued.until > now && issued.twin == tokens.token
        })
    }

    /// Takes a token back, and the other of its pair.
    pub(super) fn revoke(&mut self, token: &str) {
        let Some(twin) = self.issued.get(token).map(|issued| issued.twin.clone()) else { return };
        for token in [token, &twin] {
            if let Some(issued) = self.issued.get_mut(token) {
                issued.kind = Kind::Revoked;
            }
        }
    }

    fn remember(&mut self, token: &str, issued: Issued) {
        if self.ages.len() >= ISSUED
            && let Some(oldest) = self.ages.pop_front()
        {
            self.issued.remove(&oldest);
        }
        self.ages.push_back(token.to_owned());
        self.issued.insert(token.to_owned(), issued);
    }
}

fn fresh() -> String {
    Uuid::new_v4().simple().to_string()
}
