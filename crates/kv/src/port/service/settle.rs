//! From answers to bytes on the wire: at once without a log, after the commit that covers them with one.

use super::{Connection, RespService};
use quintet_core::Commit;
use quintet_net::{ConnectionId, Link, Links};
use std::collections::VecDeque;

type Pending = VecDeque<(u64, ConnectionId)>;

impl Connection {
    /// Keeps an answer until the log has reached `at`.
    fn put_aside(&mut self, at: u64, bytes: Vec<u8>, pending: &mut Pending, id: ConnectionId) {
        self.held_bytes += bytes.len() as u64;
        self.held.push_back((at, bytes));
        pending.push_back((at, id));
    }
}

impl RespService {
    /// Sends what was answered, or puts it aside until it is committed.
    pub(super) fn hand_over(&mut self, link: &mut Link<'_>, connection: &mut Connection) {
        if connection.reply.bytes.is_empty() {
            self.close_if_done(link, connection);
        } else if self.store.inner.log.is_none() {
            link.write(&connection.reply.bytes);
            connection.reply.bytes.clear();
            connection.reply.bytes.shrink_to(64 << 10);
            self.close_if_done(link, connection);
        } else {
            connection.in_doubt |= !self.failed;
            if !connection.listed {
                connection.listed = true;
                self.unsettled.push(link.id());
            }
        }
    }

    pub(super) fn close_if_done(&self, link: &mut Link<'_>, connection: &Connection) {
        if connection.close_after && connection.held.is_empty() && connection.reply.bytes.is_empty() {
            link.close(true);
        }
    }

    /// Goes on reading when little enough is owed.
    fn go_on(&self, link: &mut Link<'_>, connection: &mut Connection) {
        let owed = connection.reply.bytes.len() as u64 + connection.held_bytes;
        if connection.stalled && connection.waiting.is_none() && owed <= self.backlog_bytes {
            connection.stalled = false;
            link.resume();
        }
    }

    /// One commit for everybody's answers.
    pub(super) fn settle(&mut self, links: &mut Links<'_, Connection>) {
        let unsettled = std::mem::take(&mut self.unsettled);
        let Some(log) = &self.store.inner.log else { return };
        if !unsettled.is_empty() {
            let commit = log.commit();
            self.failed |= commit.is_err();
            for id in unsettled {
                let Some((mut link, connection)) = links.get(id) else {
                    continue;
                };
                connection.listed = false;
                let in_doubt = std::mem::take(&mut connection.in_doubt);
                let bytes = std::mem::take(&mut connection.reply.bytes);
                match commit {
                    Ok(Commit::Done) if connection.held.is_empty() => link.write(&bytes),
                    Ok(Commit::Done) | Ok(Commit::Pending(_)) => {
                        let at = if let Ok(Commit::Pending(seq)) = commit {
                            seq.0
                        } else {
                            0
                        };
                        connection.put_aside(at, bytes, &mut self.pending, id);
                    }
                    // What was in flight may or may not be stored: no answer is the only true one.
                    Err(_) if in_doubt => link.abort(),
                    // Refusals, and reads of what is safe.
                    Err(_) if connection.held.is_empty() => link.write(&bytes),
                    Err(_) => connection.put_aside(0, bytes, &mut self.pending, id),
                }
                self.close_if_done(&mut link, connection);
                self.go_on(&mut link, connection);
            }
        }
        self.release(links);
    }

    fn release(&mut self, links: &mut Links<'_, Connection>) {
        let Some(log) = &self.store.inner.log else { return };
        self.failed |= log.durable().is_err();
        // What is safe may be told even when the log takes no more.
        let durable = log.acknowledged().0;
        while let Some((at, id)) = self.pending.front().copied() {
            let is_safe = at <= durable;
            if !is_safe && !self.failed {
                break;
            }
            self.pending.pop_front();
            let Some((mut link, connection)) = links.get(id) else {
                continue;
            };
            if !is_safe {
                link.abort();
                continue;
            }
            if let Some((_, bytes)) = connection.held.pop_front() {
                connection.held_bytes -= bytes.len() as u64;
                link.write(&bytes);
            }
            self.close_if_done(&mut link, connection);
            self.go_on(&mut link, connection);
        }
    }
}
