//! [`MockMessageHandler`]. Written with `mock!`, because `automock` would also replace the provided methods: here
//! `handle_batch` is the real loop over the mocked `handle`, and `durable` and `maintain` keep their defaults.

use crate::{Commit, Message, MessageHandler, Result};

mockall::mock! {
    /// A [`MessageHandler`](crate::MessageHandler) whose `handle` and `commit` are expected by a test.
    pub MessageHandler<M: Message> {}

    impl<M: Message> MessageHandler<M> for MessageHandler<M> {
        fn handle(&mut self, message: M) -> Result<<M as Message>::Reply>;
        fn commit(&mut self) -> Result<Commit>;
    }
}
