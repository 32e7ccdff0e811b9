//! Logging in and out.

use cloverleaf_core::dfx::Status;
use cloverleaf_core::time::Instant;

use super::access::TOKEN;
use super::call::{Answer, Call, Refusal, invalid};
use super::{State, code, failure};
use crate::services::dfx::events::{Failure, Login, RegisterLicense, Registered, Token, Tokens};

impl State {
    pub(super) fn log_in_with_token(&mut self, now: Instant, call: &Call<'_>) -> Result<Answer, Refusal> {
        let Token { token } = call.read()?;
        if token.len() > TOKEN {
            return Err(invalid("The token is too long", "Token", format!("at most {TOKEN} bytes")));
        }
        self.access.check(now, Some(&token)).map_err(unauthorized)?;
        if let Some((connection, _)) = call.from
            && let Some(client) = self.connections.get_mut(&connection)
        {
            client.token = Some(token.as_str().into());
        }
        Ok(call.ok(&Token { token }))
    }

    pub(super) fn register(&mut self, now: Instant, call: &Call<'_>) -> Result<Answer, Refusal> {
        let RegisterLicense { key, lifetimes, .. } = call.read()?;
        self.open(&key, "INVALID_LICENSE")?;
        let Tokens { token, refresh_token, .. } = self.access.issue(now, lifetimes);
        Ok(call.ok(&Registered {
            token,
            refresh_token,
            device_id: uuid::Uuid::new_v4().to_string(),
            role_id: "DEVICE".into(),
            user_id: String::new(),
        }))
    }

    pub(super) fn log_in(&mut self, now: Instant, call: &Call<'_>) -> Result<Answer, Refusal> {
        let Login { password, lifetimes, .. } = call.read()?;
        self.open(&password, code::INVALID_PASSWORD)?;
        Ok(call.ok(&self.access.issue(now, lifetimes)))
    }

    /// New tokens for old: the old ones are no longer good.
    pub(super) fn renew(&mut self, now: Instant, call: &Call<'_>) -> Result<Answer, Refusal> {
        let old = self.pair(now, call)?;
        self.access.revoke(&old.token);
        Ok(call.ok(&self.access.issue(now, old.lifetimes)))
    }

    /// More tokens for the same: all are good.
    pub(super) fn generate(&mut self, now: Instant, call: &Call<'_>) -> Result<Answer, Refusal> {
        let parent = self.pair(now, call)?;
        Ok(call.ok(&self.access.issue(now, parent.lifetimes)))
    }

    /// Whoever has a refresh token and the token that it was given out with needs no other proof.
    fn pair(&self, now: Instant, call: &Call<'_>) -> Result<Tokens, Refusal> {
        let tokens: Tokens = call.read()?;
        if self.access.are_pair(now, &tokens) {
            return Ok(tokens);
        }
        let message = "Token and RefreshToken were not given out together, or have been used or run out";
        Err(unauthorized(failure(code::INVALID_TOKEN, message)))
    }

    fn open(&self, secret: &str, refused: &str) -> Result<(), Refusal> {
        if self.access.opens(secret) {
            Ok(())
        } else {
            Err(unauthorized(failure(refused, "The key is not the server's")))
        }
    }
}

fn unauthorized(failure: Failure) -> Refusal {
    (Status::UNAUTHORIZED, failure)
}
