//! [`FakeAuthenticator`]: a table of tokens that never changes, for tests of a port.
//!
//! It passes what it was told and refuses everything else, as the real one does. No invariant but that. Used by the tests of
//! every crate with a port.

use super::{Authenticator, Principal};
use crate::{Error, ErrorKind, Result};
use std::collections::HashMap;

/// A table of tokens, for tests of a port: what is not in it is refused.
#[derive(Clone, Debug, Default)]
pub struct FakeAuthenticator {
    nothing: Option<Principal>,
    tokens: HashMap<String, Principal>,
}

impl FakeAuthenticator {
    /// Who a client is that presents nothing; without this call, nothing presented is refused.
    #[must_use]
    pub fn nothing_is(mut self, principal: Principal) -> Self {
        self.nothing = Some(principal);
        self
    }

    /// Who the bearer of `token` is.
    #[must_use]
    pub fn token_is(mut self, token: impl Into<String>, principal: Principal) -> Self {
        self.tokens.insert(token.into(), principal);
        self
    }
}

impl Authenticator for FakeAuthenticator {
    fn authenticate(&self, token: Option<&str>) -> Result<Principal> {
        let known = match token {
            None => self.nothing.clone(),
            Some(token) => self.tokens.get(token).cloned(),
        };
        known.ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "the token is not known"))
    }
}
