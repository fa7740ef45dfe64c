//! Who a connection is: AUTH, HELLO's AUTH, and what each command needs.

use super::Session;
use crate::{
    port::command::{Access, Command, Fail, SYNTAX, fail},
    value::Bytes,
};
use quintet_core::auth::Principal;
use std::time::Duration;

const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NOBODY: &str = "NOAUTH Authentication required.";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you \
                           sure your configuration is correct?";

impl Session {
    /// Whether the connection may run a command now.
    pub(crate) fn admit(&mut self, command: &Command) -> Result<(), Fail> {
        if command.access == Access::Open {
            return Ok(());
        }
        self.ask_again();
        let Some(principal) = &self.principal else {
            return Err(fail(NOBODY));
        };
        let has_expired = || principal.expires().is_some() && principal.is_expired(self.wall());
        let may = match command.access {
            Access::Open | Access::Read => principal.may_read(),
            Access::Write => principal.may_write(),
            Access::Administer => principal.may_administer(),
        };
        if may && !has_expired() {
            return Ok(());
        }
        if has_expired() || !principal.may_read() {
            return Err(fail(NOBODY));
        }
        let name = command.name.to_ascii_lowercase();
        Err(Fail::Line(
            format!("NOPERM this user has no permissions to run the '{name}' command").into(),
        ))
    }

    /// Whether its token was taken back.
    pub(crate) fn is_revoked(&self) -> bool {
        self.principal.is_none() && self.presented.is_some()
    }

    /// Asks who presents its token if that may have changed: a token that was taken back, or stands for less.
    pub(crate) fn ask_again(&mut self) {
        let generation = self.shared.authenticator.generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        self.principal = match &self.presented {
            Some(token) => self.shared.authenticate(Some(token)).ok(),
            None => Self::stranger(&self.shared),
        };
    }

    /// How long the principal stays valid: zero = not any more, `None` = for ever.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        if self.is_revoked() {
            return Some(Duration::ZERO);
        }
        let expires = self.principal.as_ref()?.expires()?;
        Some(expires.duration_since(self.wall()).unwrap_or_default())
    }

    /// `AUTH [user] password`, without its name.
    pub(super) fn auth(&mut self, arguments: &[Bytes]) -> Result<(), Fail> {
        let (user, password): (&[u8], &Bytes) = match arguments {
            [password] => (b"default", password),
            [user, password] => (user, password),
            _ => return Err(fail(SYNTAX)),
        };
        if self.shared.is_open() {
            return if arguments.len() == 1 {
                Err(fail(NO_PASSWORD))
            } else if user == b"default" {
                // The default user without a password takes any.
                Ok(())
            } else {
                Err(fail(WRONG))
            };
        }
        let generation = self.shared.authenticator.generation();
        let principal = self
            .shared
            .authenticate(Some(password))
            .map_err(|_| fail(WRONG))?;
        let is_own = principal.uid().is_some_and(|uid| uid.as_bytes() == user);
        if user != b"default" && !is_own {
            return Err(fail(WRONG));
        }
        self.principal = Some(principal);
        self.presented = Some(password.clone());
        self.generation = generation;
        Ok(())
    }

    /// Who somebody is that has presented nothing; `None` = nobody, until AUTH.
    pub(super) fn stranger(shared: &crate::port::lobby::Lobby) -> Option<Principal> {
        shared
            .authenticate(None)
            .ok()
            .filter(|principal| principal.may_read())
    }
}
