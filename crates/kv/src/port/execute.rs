//! One command, from its arguments to its answer or to its place in line.

use super::{
    command::{Access, Block, Call, Command, Fail, Keys, Run, find},
    reply::Reply,
    session::{Session, key_in, wrong_arity},
};
use crate::{
    Store,
    transaction::Transaction,
    value::{Bytes, Value},
    wait::Pending,
};
use quintet_core::Error;
use std::{task::Waker, time::Duration};

/// A command that waits.
pub(crate) struct Waiting {
    pub(crate) command: &'static Command,
    pub(crate) arguments: Vec<Bytes>,
    pub(crate) pending: Pending,
    pub(crate) timeout: Option<Duration>,
    pub(crate) null_array: bool,
}

/// The store's names of the keys among a command's arguments.
pub(crate) fn keys_of(command: &Command, arguments: &[Bytes], database: u8) -> Vec<Bytes> {
    let picked = |first: usize, last: usize, step: usize| {
        let end = (last + 1).min(arguments.len());
        let keys = arguments.get(first..end).unwrap_or(&[]).iter().step_by(step);
        keys.map(|key| key_in(database, key)).collect()
    };
    let counted = |at: usize| {
        let count = arguments
            .get(at)
            .and_then(|count| super::command::parse_int(count));
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        picked(at + 1, at.saturating_add(count), 1)
    };
    match command.keys {
        Keys::None | Keys::All | Keys::Walk => Vec::new(),
        Keys::At(first, last, step) => {
            let last = if last < 0 {
                arguments.len().saturating_add_signed(last)
            } else {
                last.unsigned_abs()
            };
            picked(first, last, step)
        }
        Keys::Counted(at) => counted(at),
        Keys::CountedInto(at) => {
            let mut keys: Vec<Bytes> = counted(at);
            keys.extend(arguments.get(1).map(|key| key_in(database, key)));
            keys
        }
        Keys::Copy => {
            let target = super::command::copy_database(arguments).unwrap_or(database);
            let key = |at: usize| arguments.get(at).map_or(&[][..], |key| key);
            vec![key_in(database, key(1)), key_in(target, key(2))]
        }
    }
}

pub(crate) fn locks_all(command: &Command, in_exec: bool) -> bool {
    command.keys == Keys::All || in_exec && command.keys == Keys::Walk
}

/// Finds a command and checks how many arguments it has.
fn look_up(arguments: &[Bytes]) -> Result<&'static Command, Fail> {
    let name = arguments.first().map_or(&[][..], |name| name);
    let Some(command) = find(name) else {
        let shown = String::from_utf8_lossy(&name[..name.len().min(128)]);
        let mut text = format!("ERR unknown command '{shown}', with args beginning with: ");
        for argument in arguments.iter().skip(1) {
            if text.len() > 256 {
                break;
            }
            let shown = String::from_utf8_lossy(&argument[..argument.len().min(128)]);
            text.push_str(&format!("'{shown}' "));
        }
        return Err(Fail::Line(text.into()));
    };
    let (count, arity) = (arguments.len() as i64, i64::from(command.arity));
    if arity > 0 && count != arity || count < -arity {
        return Err(wrong_arity(name));
    }
    if let Some(word) = arguments.get(1)
        && let Some(arity) = super::command::sub_arity(command.name, word)
        && (arity > 0 && count != arity || count < -arity)
    {
        return Err(wrong_arity(&[name, b"|", word].concat()));
    }
    Ok(command)
}

/// Runs a command. `Some` = it waits; its answer comes later.
pub(crate) fn execute(
    store: &Store,
    session: &mut Session,
    arguments: &mut Vec<Bytes>,
    reply: &mut Reply,
    waker: &dyn Fn() -> Waker,
) -> Option<Waiting> {
    let begun = reply.bytes.len();
    match dispatch(store, session, arguments, reply, waker) {
        Ok(waiting) => waiting,
        Err(fail) => {
            reply.bytes.truncate(begun);
            reply.error(&fail.text());
            None
        }
    }
}

fn dispatch(
    store: &Store,
    session: &mut Session,
    arguments: &mut Vec<Bytes>,
    reply: &mut Reply,
    waker: &dyn Fn() -> Waker,
) -> Result<Option<Waiting>, Fail> {
    let found = look_up(arguments).and_then(|command| session.admit(command).map(|()| command));
    let command = found.map_err(|fail| session.refuse(arguments, fail))?;
    if session.log_failed {
        check_log(store, command).map_err(|fail| session.refuse(arguments, fail))?;
    }
    if session.is_subscribed() && !reply.resp3 {
        let allowed = [
            "SUBSCRIBE",
            "UNSUBSCRIBE",
            "PSUBSCRIBE",
            "PUNSUBSCRIBE",
            "PING",
            "QUIT",
            "RESET",
        ];
        if !allowed.contains(&command.name) {
            let name = command.name.to_ascii_lowercase();
            let text = format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context"
            );
            return Err(Fail::Line(text.into()));
        }
        if command.name == "PING" {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(arguments.get(1).map_or(&[], |text| text));
            return Ok(None);
        }
    }
    if session.is_queueing()
        && !matches!(
            command.name,
            "MULTI" | "EXEC" | "DISCARD" | "WATCH" | "QUIT" | "RESET"
        )
    {
        session.enqueue((command, std::mem::take(arguments)), reply)?;
        return Ok(None);
    }
    match (command.run, command.name) {
        (Run::Session, _) => session.run(store, arguments, reply).map(|()| None),
        (Run::Data(_), "GET") => read(store, session, arguments, reply).map(|()| None),
        (Run::Data(_), "SET") if arguments.len() == 3 && overwrite(store, session, arguments) => {
            reply.ok();
            Ok(None)
        }
        (Run::Data(_), _) => run(store, session, command, arguments, reply, None, waker),
    }
}

/// Refuses what would touch data once the log has failed. Reads go on, unless memory holds changes that may not be stored.
fn check_log(store: &Store, command: &Command) -> Result<(), Fail> {
    let touches_data = command.keys != Keys::None || command.name == "EXEC";
    let Some(log) = store.inner.log.as_ref().filter(|_| touches_data) else {
        return Ok(());
    };
    let is_safe =
        command.access == Access::Read && command.name != "EXEC" && log.last() <= log.acknowledged();
    match log.durable() {
        Err(error) if !is_safe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A plain SET of a key that is there needs one look. Whether it was done.
fn overwrite(store: &Store, session: &Session, arguments: &[Bytes]) -> bool {
    let value = Value::Bytes(arguments[2].clone());
    store
        .inner
        .overwrite(&session.key(&arguments[1]), value, false)
        .is_ok()
}

/// GET needs no lock but a shared one.
fn read(store: &Store, session: &Session, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
    // The whole reply waits for what is not durable yet: the version is not asked for.
    let value = store.peek(&session.key(&arguments[1]), &mut 0)?;
    if value
        .as_ref()
        .is_some_and(|value| !super::command::is_string(value))
    {
        return Err(Fail::Line(super::command::WRONG_TYPE.into()));
    }
    reply.optional(value.as_ref());
    Ok(())
}

/// Locks what a command needs, and runs it.
fn under_locks(
    store: &Store,
    command: &Command,
    keys: &[Bytes],
    change: &mut dyn FnMut(&mut Transaction<'_>) -> quintet_core::Result<()>,
) -> quintet_core::Result<((), u64)> {
    if locks_all(command, false) {
        store.inner.write_all(change)
    } else if let [key] = keys {
        store.inner.write(&[key], false, change)
    } else {
        let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
        store.inner.write(&keys, false, change)
    }
}

/// Runs a command on data; `again` = the wait that it is a second look of.
pub(crate) fn run(
    store: &Store,
    session: &mut Session,
    command: &'static Command,
    arguments: &mut Vec<Bytes>,
    reply: &mut Reply,
    again: Option<Pending>,
    waker: &dyn Fn() -> Waker,
) -> Result<Option<Waiting>, Fail> {
    let Run::Data(body) = command.run else {
        return Ok(None);
    };
    let begun = reply.bytes.len();
    let (mut block, mut pending, mut failed) = (None::<Block>, again, None);
    // Most commands have one key, and need no list of them.
    let (one, many);
    let keys: &[Bytes] = if let (Keys::At(1, 1, 1), [_, key, ..]) = (command.keys, arguments.as_slice()) {
        one = [session.key(key)];
        &one
    } else {
        many = keys_of(command, arguments, session.database);
        &many
    };
    let mut change = |transaction: &mut Transaction<'_>| {
        reply.bytes.truncate(begun);
        (block, failed) = (None, None);
        let mut call = Call {
            transaction,
            session,
            store,
            arguments,
            reply,
            block: &mut block,
        };
        if let Err(fail) = body(&mut call) {
            let Fail::Store(error) = fail else {
                failed = Some(fail);
                return Err(Error::from(quintet_core::ErrorKind::InvalidInput));
            };
            return Err(error);
        }
        if let Some(block) = &block {
            let waits = match pending.take() {
                Some(pending) => pending,
                None => {
                    let keys = block.keys.clone();
                    Pending::new(&store.inner, keys, waker())?
                }
            };
            waits.register(transaction, &block.wish);
            pending = Some(waits);
        }
        Ok(())
    };
    let done = under_locks(store, command, keys, &mut change);
    if let Err(error) = done {
        return Err(failed.unwrap_or(Fail::Store(error)));
    }
    let (
        Some(Block {
            timeout, null_array, ..
        }),
        Some(pending),
    ) = (block, pending)
    else {
        return Ok(None);
    };
    Ok(Some(Waiting {
        command,
        arguments: std::mem::take(arguments),
        pending,
        timeout,
        null_array,
    }))
}
