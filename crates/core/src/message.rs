//! What crosses a queue: a message with its reply type, a request that carries it, and the completion that answers it.

use crate::{RequestId, Result};
use std::fmt;

/// Something a [`MessageHandler`](crate::MessageHandler) can be asked. The reply type is a property of the message.
pub trait Message: Send + 'static {
    /// What a success answers.
    type Reply: Send + 'static;

    /// The order inside a batch, lowest first, stable. 0 = a pure read: it is answered at once, from committed state.
    fn rank(&self) -> u8 {
        1
    }

    /// Whether the reply waits for the commit that makes it true. Override to `false` for a write whose effect is meant
    /// to vanish in a crash, so that its reply need not wait for a flush it does not depend on.
    fn awaits_commit(&self) -> bool {
        self.rank() > 0
    }
}

/// A message on its way to the handler.
#[derive(Clone, PartialEq, Eq)]
pub struct Request<M: Message> {
    /// Comes back in the completion.
    pub id: RequestId,
    /// What is asked.
    pub message: M,
}

impl<M: Message + fmt::Debug> fmt::Debug for Request<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("message", &self.message)
            .finish()
    }
}

/// The answer to the request with the same id.
pub struct Completion<M: Message> {
    /// The request's id.
    pub id: RequestId,
    /// The reply, or why there is none.
    pub result: Result<M::Reply>,
}

impl<M: Message> fmt::Debug for Completion<M>
where
    M::Reply: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("id", &self.id)
            .field("result", &self.result)
            .finish()
    }
}
