//! [`RespService`]: one worker's connections. It runs their commands in their order, and never blocks but for the log's
//! back-pressure.
//!
//! With a log, answers are kept until the end of the loop's turn; one commit then covers every connection of the turn, and
//! they leave when it is as durable as configured. That holds for reads too: what they saw is in the log before them.

mod bell;
mod settle;
mod token;

use super::{
    PortConfig,
    codec::{Decoder, DecoderLimits},
    execute::{self, Waiting},
    lobby::{ClientFacts, Lobby},
    reply::Reply,
    session::Session,
};
use crate::{Store, value::Bytes, wait::Delivery};
use bell::{Bell, Rung};
use quintet_core::Result;
use quintet_net::{ConnectionId, Link, Links, LoopContext, Protocol};
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Waker,
    thread,
    time::Instant,
};

/// One connection.
pub(crate) struct Connection {
    decoder: Decoder,
    session: Session,
    reply: Reply,
    waiting: Option<Waiting>,
    waits_until: Option<Instant>,
    /// The loop has a deadline for it.
    is_armed: bool,
    /// Answers that wait for the log to reach a position.
    held: VecDeque<(u64, Vec<u8>)>,
    held_bytes: u64,
    listed: bool,
    /// Some answers that are not committed were made before the log was known to have failed.
    in_doubt: bool,
    /// Input was left because too much is owed.
    stalled: bool,
    close_after: bool,
}

pub(crate) struct RespService {
    store: Store,
    limits: DecoderLimits,
    shared: Arc<Lobby>,
    worker: usize,
    /// Commands since the last turn ended.
    commands: u64,
    rung: Arc<Rung>,
    /// Connections with answers that are not committed yet.
    unsettled: Vec<ConnectionId>,
    /// Connections with answers that are committed and not durable yet, in the order of their positions.
    pending: VecDeque<(u64, ConnectionId)>,
    /// The log has failed.
    failed: bool,
    /// The authenticator's when connections were last looked at.
    generation: u64,
    backlog_bytes: u64,
    subscriber_backlog_bytes: u64,
}

impl RespService {
    pub(crate) fn new(
        store: Store,
        config: &PortConfig,
        shared: Arc<Lobby>,
        worker: usize,
        context: &LoopContext,
    ) -> Result<Self> {
        if let Some(log) = &store.inner.log {
            log.on_progress(&context.waker())?;
        }
        shared.hub.attach(worker, context.waker());
        shared.authenticator.on_change(context.waker());
        let max_bulk_bytes = usize::try_from(store.inner.config.max_value_bytes).unwrap_or(usize::MAX);
        Ok(Self {
            limits: DecoderLimits {
                max_bulk_bytes,
                max_command_bytes: config.max_command_bytes,
            },
            store,
            failed: false,
            generation: shared.authenticator.generation(),
            shared,
            worker,
            commands: 0,
            rung: Arc::new(Rung::new(context.waker())),
            unsettled: Vec::new(),
            pending: VecDeque::new(),
            backlog_bytes: config.event_loop.backlog_bytes,
            subscriber_backlog_bytes: config.subscriber_backlog_bytes,
        })
    }

    fn waker(rung: &Arc<Rung>, id: ConnectionId) -> Waker {
        Waker::from(Arc::new(Bell {
            id,
            rung: rung.clone(),
        }))
    }

    /// Runs what the input holds, until something must be waited for.
    fn run(&mut self, link: &mut Link<'_>, connection: &mut Connection, input: &[u8]) -> usize {
        let mut rest = input;
        while connection.waiting.is_none() && !connection.close_after {
            let owed = link.pending_bytes() + connection.reply.bytes.len() as u64 + connection.held_bytes;
            if owed > self.backlog_bytes {
                // Without a log the answers are the loop's next, which asks again when enough of them is sent.
                if self.store.inner.log.is_some() {
                    connection.stalled = true;
                    link.pause();
                }
                break;
            }
            match connection.decoder.decode(&mut rest) {
                Ok(Some(arguments)) => {
                    link.count_request();
                    self.commands += 1;
                    self.command(link, connection, arguments);
                }
                Ok(None) => break,
                Err(error) => {
                    connection.reply.error(&format!("ERR {}", error.0));
                    connection.close_after = true;
                    return input.len();
                }
            }
        }
        input.len() - rest.len()
    }

    fn command(&mut self, link: &mut Link<'_>, connection: &mut Connection, mut arguments: Vec<Bytes>) {
        let (rung, id) = (&self.rung, link.id());
        let waker = || Self::waker(rung, id);
        let Connection { session, reply, .. } = connection;
        session.log_failed = self.failed;
        let waiting = execute::execute(&self.store, session, &mut arguments, reply, &waker);
        connection.decoder.recycle(arguments);
        if let Some(waiting) = waiting {
            connection.waits_until = waiting
                .timeout
                .and_then(|timeout| link.now().checked_add(timeout));
            connection.waiting = Some(waiting);
        }
        connection.arm(link);
        connection.close_after |= connection.session.closing;
        if std::mem::take(&mut connection.session.wants_snapshot) {
            let store = self.store.clone();
            // Snapshots take turns; a failed one leaves the one before, and the log.
            let spawned = thread::Builder::new()
                .name("kv-snapshot".to_owned())
                .spawn(move || store.snapshot());
            drop(spawned);
        }
    }

    /// A wait was answered: by an item, a value, or a hint to look again.
    fn answered(&mut self, link: &mut Link<'_>, connection: &mut Connection) {
        let Some(mut waiting) = connection.waiting.take() else {
            return;
        };
        let Connection { session, reply, .. } = connection;
        match waiting.pending.take() {
            // Rung for an earlier wait.
            None => {
                connection.waiting = Some(waiting);
                return;
            }
            Some(Delivery::Item { key, value, .. }) => {
                reply.array(2);
                reply.bulk(&key[1..]);
                reply.scalar(&value);
            }
            Some(Delivery::State { value }) => reply.scalar(&value),
            Some(Delivery::Retry { .. }) => {
                waiting.pending.renew();
                let Waiting {
                    command,
                    mut arguments,
                    pending,
                    timeout,
                    ..
                } = waiting;
                let (rung, id, begun) = (&self.rung, link.id(), reply.bytes.len());
                let waker = || Self::waker(rung, id);
                match execute::run(
                    &self.store,
                    session,
                    command,
                    &mut arguments,
                    reply,
                    Some(pending),
                    &waker,
                ) {
                    // The deadline is the one that was fixed at first.
                    Ok(Some(again)) => {
                        connection.waiting = Some(Waiting { timeout, ..again });
                        return;
                    }
                    Ok(None) => {}
                    Err(fail) => {
                        reply.bytes.truncate(begun);
                        reply.error(&fail.text());
                    }
                }
            }
        }
        self.resume(link, connection);
    }

    fn resume(&mut self, link: &mut Link<'_>, connection: &mut Connection) {
        connection.waits_until = None;
        connection.arm(link);
        link.resume();
        connection.stalled = false;
        self.hand_over(link, connection);
    }

    /// Passes published messages on.
    fn deliver(&mut self, links: &mut Links<'_, Connection>) {
        for (id, message) in self.shared.hub.take(self.worker) {
            let Some((mut link, connection)) = links.get(id) else {
                continue;
            };
            let Some(message) = message.filter(|_| link.pending_bytes() <= self.subscriber_backlog_bytes)
            else {
                link.abort();
                continue;
            };
            if connection.close_after {
                continue;
            }
            if connection.has_outlived_its_token() {
                self.end_of_token(&mut link, connection);
                continue;
            }
            let reply = &mut connection.reply;
            match &message.pattern {
                Some(pattern) => {
                    reply.push(4);
                    reply.bulk(b"pmessage");
                    reply.bulk(pattern);
                }
                None => {
                    reply.push(3);
                    reply.bulk(b"message");
                }
            }
            reply.bulk(&message.channel);
            reply.bulk(&message.payload);
            self.hand_over(&mut link, connection);
        }
    }
}

impl Protocol for RespService {
    type Connection = Connection;

    fn open(&mut self, link: &mut Link<'_>) -> Connection {
        let number = self.shared.enter(ClientFacts {
            worker: self.worker,
            id: link.id(),
            peer: link.peer(),
            since: link.now(),
            name: Vec::new(),
            database: 0,
            resp3: false,
        });
        Connection {
            decoder: Decoder::new(self.limits),
            session: Session::new(number, link.id(), self.worker, &self.store, self.shared.clone()),
            reply: Reply {
                bytes: Vec::new(),
                resp3: false,
            },
            waiting: None,
            waits_until: None,
            is_armed: false,
            held: VecDeque::new(),
            held_bytes: 0,
            listed: false,
            in_doubt: false,
            stalled: false,
            close_after: false,
        }
    }

    fn receive(&mut self, link: &mut Link<'_>, connection: &mut Connection, input: &[u8]) -> usize {
        self.failed |= self.store.health().is_err();
        let used = self.run(link, connection, input);
        if connection.waiting.is_some() && used < input.len() {
            // Not before: a paused connection's end is noticed only when it is read again.
            link.pause();
        }
        self.hand_over(link, connection);
        used
    }

    fn close(&mut self, _: ConnectionId, mut connection: Connection) {
        connection.session.reset();
        self.shared.leave(connection.session.number);
    }

    fn finish(&mut self, link: &mut Link<'_>, connection: &mut Connection) {
        // Nobody is left to block for; what is committed or on its way is still sent.
        connection.waiting = None;
        connection.close_after = true;
        self.close_if_done(link, connection);
    }

    fn expire(&mut self, link: &mut Link<'_>, connection: &mut Connection) {
        if connection.has_outlived_its_token() {
            return self.end_of_token(link, connection);
        }
        let wait_is_over = connection.waits_until.is_some_and(|until| until <= link.now());
        let Some(waiting) = connection.waiting.as_ref().filter(|_| wait_is_over) else {
            return connection.arm(link);
        };
        if waiting.pending.is_ready() {
            self.answered(link, connection);
            if connection.waiting.is_none() {
                return;
            }
        }
        if let Some(waiting) = connection.waiting.take() {
            if waiting.null_array {
                connection.reply.null_array();
            } else {
                connection.reply.null();
            }
        }
        self.resume(link, connection);
    }

    fn drain(&mut self, link: &mut Link<'_>, connection: &mut Connection) {
        connection.waiting = None;
        connection.close_after = true;
        self.hand_over(link, connection);
    }

    fn turn(&mut self, links: &mut Links<'_, Connection>) {
        for id in self.rung.take() {
            if let Some((mut link, connection)) = links.get(id) {
                self.answered(&mut link, connection);
            }
        }
        self.judge_again(links);
        self.deliver(links);
        self.settle(links);
        if self.commands > 0 {
            self.shared
                .commands
                .fetch_add(std::mem::take(&mut self.commands), Relaxed);
        }
    }

    fn has_work(&self) -> bool {
        !self.unsettled.is_empty() || !self.rung.is_empty() || self.shared.hub.has_mail(self.worker)
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn refusal(&self) -> &'static [u8] {
        b"-ERR max number of clients reached\r\n"
    }
}
