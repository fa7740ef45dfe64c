//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! EXEC runs what was queued in one transaction of the store, under the locks of all its keys and of the watched ones: at
//! one moment, and in one record of the log. A command that fails leaves no trace; the others go on, as in Redis.

use super::{MAX_QUEUED, Queued, Session, database_of, key_in, watch::Watches};
use crate::{
    Store,
    port::{
        command::{Call, Command, Fail, Keys, Run},
        execute::{keys_of, locks_all},
        reply::Reply,
    },
    transaction::Transaction,
    value::Bytes,
};
use quintet_core::Result as CoreResult;

impl Session {
    pub(super) fn transaction(
        &mut self,
        name: &[u8],
        store: &Store,
        arguments: &[Bytes],
        reply: &mut Reply,
    ) -> Result<(), Fail> {
        match name {
            b"MULTI" if self.queue.is_some() => {
                return Err(Fail::Line("ERR MULTI calls can not be nested".into()));
            }
            b"MULTI" => self.queue = Some(Vec::new()),
            b"EXEC" => return self.exec(store, reply),
            b"DISCARD" if self.queue.is_none() => return Err(Fail::Line("ERR DISCARD without MULTI".into())),
            b"DISCARD" => self.forget_transaction(),
            b"WATCH" if self.queue.is_some() => {
                return Err(Fail::Line("ERR WATCH inside MULTI is not allowed".into()));
            }
            b"WATCH" => {
                let watches = self.watched.get_or_insert_with(|| Watches::new(&store.inner));
                if watches.len() + arguments.len() > MAX_QUEUED {
                    return Err(Fail::Line("ERR too many watched keys".into()));
                }
                for key in &arguments[1..] {
                    watches.add(&key_in(self.database, key))?;
                }
            }
            _ => self.watched = None,
        }
        reply.ok();
        Ok(())
    }

    /// Queues a command; `false` = there is no transaction.
    pub(crate) fn enqueue(&mut self, command: Queued, reply: &mut Reply) -> Result<bool, Fail> {
        let Some(queue) = &mut self.queue else {
            return Ok(false);
        };
        let name = command.0.name;
        let may = match command.0.run {
            Run::Data(_) => !matches!(name, "SAVE" | "SHUTDOWN"),
            Run::Session => matches!(
                name,
                "AUTH" | "CLIENT" | "PUBLISH" | "PUBSUB" | "UNWATCH" | "SELECT"
            ),
        };
        if !may {
            self.spoiled = true;
            return Err(Fail::Line(
                format!("ERR Command not allowed inside a transaction: {name}").into(),
            ));
        }
        if queue.len() == MAX_QUEUED {
            self.spoiled = true;
            return Err(Fail::Line("ERR too many commands in a transaction".into()));
        }
        queue.push(command);
        reply.simple("QUEUED");
        Ok(true)
    }

    pub(crate) fn forget_transaction(&mut self) {
        self.queue = None;
        self.spoiled = false;
        self.watched = None;
    }

    fn exec(&mut self, store: &Store, reply: &mut Reply) -> Result<(), Fail> {
        let Some(queue) = self.queue.take() else {
            return Err(Fail::Line("ERR EXEC without MULTI".into()));
        };
        let (spoiled, watched) = (self.spoiled, self.watched.take());
        self.forget_transaction();
        if spoiled {
            let text = "EXECABORT Transaction discarded because of previous errors.";
            return Err(Fail::Line(text.into()));
        }
        let all = queue.iter().any(|(command, _)| locks_all(command, true));
        let mut keys: Vec<Bytes> = watched.iter().flat_map(Watches::keys).cloned().collect();
        let mut database = self.database;
        for (command, arguments) in &queue {
            if command.name == "SELECT" {
                database = database_of(arguments).unwrap_or(database);
            }
            keys.extend(keys_of(command, arguments, database));
        }
        let first_database = self.database;
        let begun = reply.bytes.len();
        self.in_exec = true;
        let mut body = |transaction: &mut Transaction<'_>| -> CoreResult<()> {
            reply.bytes.truncate(begun);
            transaction.group();
            // Evictions may run the whole once more.
            self.database = first_database;
            if let Some(watched) = &watched
                && !watched.hold(transaction)?
            {
                reply.null_array();
                return Ok(());
            }
            reply.array(queue.len());
            for (command, arguments) in &queue {
                run_one(command, arguments, self, store, transaction, reply)?;
            }
            Ok(())
        };
        let done = if all {
            store.inner.write_all(&mut body)
        } else {
            let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
            store.inner.write(&keys, true, &mut body)
        };
        self.in_exec = false;
        if let Err(error) = done {
            reply.bytes.truncate(begun);
            return Err(error.into());
        }
        Ok(())
    }
}

/// Runs one command of a transaction. What it did before it failed is undone.
fn run_one(
    command: &Command,
    arguments: &[Bytes],
    session: &mut Session,
    store: &Store,
    transaction: &mut Transaction<'_>,
    reply: &mut Reply,
) -> CoreResult<()> {
    let Run::Data(run) = command.run else {
        let begun = reply.bytes.len();
        if let Err(fail) = session.run(store, arguments, reply) {
            reply.bytes.truncate(begun);
            reply.error(&fail.text());
        }
        return Ok(());
    };
    let (mark, begun, mut block) = (transaction.mark(), reply.bytes.len(), None);
    let mut call = Call {
        transaction,
        session,
        store,
        arguments,
        reply,
        block: &mut block,
    };
    let outcome = run(&mut call);
    if let Err(fail) = outcome {
        transaction.roll_back_to(mark)?;
        reply.bytes.truncate(begun);
        reply.error(&fail.text());
    } else if let Some(block) = block {
        // Inside a transaction nothing blocks: the time is up at once.
        if block.null_array && !matches!(command.name, "BLMOVE" | "BRPOPLPUSH") {
            reply.null_array()
        } else {
            reply.null()
        }
    }
    debug_assert!(!matches!(command.keys, Keys::None) || reply.bytes.len() > begun);
    Ok(())
}
