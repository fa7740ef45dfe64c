//! From answers to bytes on the wire: at once without a log, after the commit that covers them with one.

use super::{Connection, RespService};
use quintet_core::Commit;
use quintet_net::{Link, Links};

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
        } else if !connection.listed {
            connection.listed = true;
            self.unsettled.push(link.id());
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
            for id in unsettled {
                let Some((mut link, connection)) = links.get(id) else {
                    continue;
                };
                connection.listed = false;
                let bytes = std::mem::take(&mut connection.reply.bytes);
                match commit {
                    Ok(Commit::Done) if connection.held.is_empty() => link.write(&bytes),
                    Ok(Commit::Done) | Ok(Commit::Pending(_)) => {
                        let at = if let Ok(Commit::Pending(seq)) = commit {
                            seq.0
                        } else {
                            0
                        };
                        connection.held_bytes += bytes.len() as u64;
                        connection.held.push_back((at, bytes));
                        self.pending.push_back((at, id));
                    }
                    // What was in flight may or may not be stored: no answer is the only true one.
                    Err(_) => link.abort(),
                }
                self.close_if_done(&mut link, connection);
                self.go_on(&mut link, connection);
            }
        }
        self.release(links);
    }

    fn release(&mut self, links: &mut Links<'_, Connection>) {
        let Some(log) = &self.store.inner.log else { return };
        let durable = log.durable().map(|seq| seq.0);
        while let Some((at, id)) = self.pending.front().copied() {
            if durable.as_ref().is_ok_and(|durable| at > *durable) {
                break;
            }
            self.pending.pop_front();
            let Some((mut link, connection)) = links.get(id) else {
                continue;
            };
            if durable.is_err() {
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
