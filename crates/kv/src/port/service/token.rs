//! The end of a token on a connection that hears of things without asking: a subscription, a command that blocks.
//!
//! Every other command is judged when it comes ([`Session::admit`](crate::port::session::Session::admit)). Who only listens
//! would never be judged again, so the loop looks at the moment at which the token ends, before it passes a message on, and
//! when tokens may have been taken back.

use super::{Connection, RespService};
use quintet_net::{Link, Links};
use std::time::Duration;

/// The longest that is waited for a token's end in one go: the time of day may be set meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const EXPIRED: &str = "NOAUTH Authentication required: the token has expired.";
const REVOKED: &str = "NOAUTH Authentication required: the token is not accepted any more.";

impl Connection {
    fn listens(&self) -> bool {
        self.waiting.is_some() || self.session.is_subscribed()
    }

    /// Whether it listens with a token that has ended.
    pub(super) fn has_outlived_its_token(&self) -> bool {
        self.listens() && self.session.time_left().is_some_and(|left| left.is_zero())
    }

    /// Sets when the loop is to look at the connection: when its wait ends, or the token it listens with.
    pub(super) fn arm(&mut self, link: &mut Link<'_>) {
        if !self.listens() && !self.is_armed {
            return;
        }
        let token = if self.listens() {
            self.session.time_left()
        } else {
            None
        };
        let token_ends = token.and_then(|left| link.now().checked_add(left.min(LONGEST_WAIT)));
        let deadline = [self.waits_until, token_ends].into_iter().flatten().min();
        self.is_armed = deadline.is_some();
        link.set_deadline(deadline);
    }
}

impl RespService {
    /// Looks at every connection that listens once what is accepted may have changed.
    pub(super) fn judge_again(&mut self, links: &mut Links<'_, Connection>) {
        let generation = self.shared.authenticator.generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let ids: Vec<_> = {
            let clients = self.shared.clients();
            let own = clients.values().filter(|client| client.worker == self.worker);
            own.map(|client| client.id).collect()
        };
        for id in ids {
            let Some((mut link, connection)) = links.get(id) else {
                continue;
            };
            connection.session.ask_again();
            if connection.has_outlived_its_token() {
                self.end_of_token(&mut link, connection);
            }
        }
    }

    /// Ends what a connection still hears of with a token that has ended: a wait is answered with an error, a subscription
    /// ends with the connection.
    pub(super) fn end_of_token(&mut self, link: &mut Link<'_>, connection: &mut Connection) {
        let ends = connection.session.is_subscribed();
        let is_ready = |connection: &Connection| {
            let waiting = connection.waiting.as_ref();
            waiting.is_some_and(|waiting| waiting.pending.is_ready())
        };
        if is_ready(connection) {
            // What was handed over to it is in no list any more.
            self.answered(link, connection);
        }
        if connection.waiting.take().is_some() || ends {
            let is_revoked = connection.session.is_revoked();
            connection.reply.error(if is_revoked { REVOKED } else { EXPIRED });
        }
        if ends {
            // It hears of nothing more, and is not looked at again, while the rest is sent.
            connection.session.reset();
            connection.close_after = true;
        }
        self.resume(link, connection);
    }
}
