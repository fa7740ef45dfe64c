//! What a machine must offer to run on a loop: bytes in, bytes out, and one turn per turn of the loop.
//!
//! One value per worker thread, owned by it, so it needs neither `Send` nor locks; the state of one connection is a
//! separate value that the loop keeps. The loop calls; the protocol never blocks and never sees a socket.

use crate::connection::{ConnectionId, Link, Links};
use std::time::Instant;

/// One worker's service over byte streams.
///
/// ```
/// use quintet_net::{ConnectionId, Link, Protocol};
///
/// /// Sends back each whole line.
/// struct Echo;
/// impl Protocol for Echo {
///     type Connection = ();
///     fn open(&mut self, _: &mut Link<'_>) {}
///     fn receive(&mut self, link: &mut Link<'_>, (): &mut (), input: &[u8]) -> usize {
///         let used = input.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
///         link.write(&input[..used]);
///         used
///     }
///     fn close(&mut self, _: ConnectionId, (): ()) {}
/// }
/// ```
pub trait Protocol {
    /// The state of one connection.
    type Connection;

    /// A connection is there. It may already be written to.
    fn open(&mut self, link: &mut Link<'_>) -> Self::Connection;

    /// Bytes have come, or kept ones can be looked at again. Returns how many were used; the rest is kept and given
    /// again, with what comes behind it. Use all that can be used: the loop does not ask twice for the same bytes
    /// unless more came, or the connection was [paused](Link::pause) or [backlogged](Link::is_backlogged) and no longer
    /// is. Without pause the kept rest may not exceed [`LoopConfig::carry_bytes`](crate::LoopConfig::carry_bytes); a
    /// connection that keeps more is cut.
    fn receive(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection, input: &[u8]) -> usize;

    /// The connection is gone, and with it everything not yet sent. Free what it held.
    fn close(&mut self, id: ConnectionId, connection: Self::Connection);

    /// The peer will send nothing more, and everything it sent was given to [`receive`](Self::receive); what that left
    /// is lost. Called at most once. It may still read: answer what is owed, then [`Link::close`].
    fn finish(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection) {
        let _ = connection;
        link.close(false);
    }

    /// The deadline set with [`Link::set_deadline`] has passed; it is no longer set.
    fn expire(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection) {
        let _ = connection;
        link.abort();
    }

    /// The worker shuts down: take nothing new, finish what is begun, close when that is done. Called once.
    fn drain(&mut self, link: &mut Link<'_>, connection: &mut Self::Connection) {
        let _ = connection;
        link.close(false);
    }

    /// Once per turn of the loop, after its events, also when only the waker or the doorbell rang: reap what other
    /// threads completed and answer it. Connections reached through `links` are flushed afterwards.
    fn turn(&mut self, links: &mut Links<'_, Self::Connection>) {
        let _ = links;
    }

    /// Whether [`turn`](Self::turn) would find something. Asked after the doorbell is armed and before the loop sleeps:
    /// look at the queues themselves, not at a flag.
    fn has_work(&self) -> bool {
        false
    }

    /// When [`turn`](Self::turn) next wants to run although nothing happened; `None` = never.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// What a connection beyond the limit is told before it is closed.
    fn refusal(&self) -> &'static [u8] {
        b""
    }
}
