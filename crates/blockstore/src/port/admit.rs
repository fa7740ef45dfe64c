//! Who may use the port: every request is asked for its token before anything of it is looked at.
//!
//! GET and HEAD read, everything else writes. There are no rules here: a role decides (see [`quintet_core::auth::Role`]).

use super::service::BlockService;
use quintet_core::{
    Result,
    auth::{Authenticator, bearer},
};
use quintet_net::http1::RequestHead;
use std::sync::Arc;

impl BlockService {
    /// The same service, which asks everybody who they are.
    pub(crate) fn asking(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = authenticator;
        self
    }

    /// Whether who asks may do what is asked.
    pub(super) fn admit(&self, head: &RequestHead<'_>) -> Result<()> {
        self.authenticator
            .check_site(head.header("host"), head.header("origin"))?;
        // What is no bearer token is presented as the empty one, which nobody has.
        let token = head
            .header("authorization")
            .map(|value| bearer(value).unwrap_or_default());
        let principal = self.authenticator.authenticate(token)?;
        if matches!(head.method(), "GET" | "HEAD") {
            principal.check_read()
        } else {
            principal.check_write()
        }
    }
}
