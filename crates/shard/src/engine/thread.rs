//! The body of a shard's thread: pin, build the handler here, serve, and say how it ended before the ports close.
//!
//! A panic in the handler ends its shard and nothing else: it is caught here, recorded in the manifest, and only then are
//! the rings dropped, so whoever finds a port closed also finds out why.

use super::{Inner, Pinning, ShardId, State, metered::Metered, stats::Gauges};
use crate::ShardError;
use quintet_core::{BatchController, Error, Message, MessageHandler, Parker, Result};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
    task::Waker,
};

/// Builds a shard's handler on the shard's thread; the waker makes the shard look whether its log has moved on.
pub(super) type Factory<H> = dyn Fn(ShardId, Waker) -> Result<H> + Send + Sync;

pub(super) fn body<M: Message, H: MessageHandler<M>>(
    inner: &Inner<M>,
    shard: ShardId,
    factory: &Factory<H>,
    started: &SyncSender<Result<()>>,
) {
    let parker = Parker::new().with_spins(inner.config.spins).giving_way();
    let waker = Waker::from(parker.doorbell());
    let built = pin(&inner.config.pinning, shard).and_then(|()| contained(shard, || factory(shard, waker)));
    let handler = match built {
        Ok(handler) => handler,
        Err(error) => {
            inner.end(shard, State::Failed(error.clone()));
            // Whoever started this shard waits for it.
            let _waits = started.send(Err(error));
            return;
        }
    };
    let gauges = Arc::new(Gauges::new(&*inner.clock));
    let metered = Metered::new(handler, Arc::clone(&gauges), Arc::clone(&inner.clock));
    let clock = Arc::clone(&inner.clock);
    let mut controller = BatchController::new(metered, clock, parker.doorbell(), inner.config.batch);
    inner.table.with(|table| {
        let seat = &mut table.seats[shard.0];
        seat.state = State::Running;
        seat.connector = Some(controller.connector());
        seat.gauges = gauges;
        seat.run += 1;
        inner.runs[shard.0].store(seat.run, Ordering::Release);
    });
    let _waits = started.send(Ok(()));
    let end = match contained(shard, || controller.run(&parker)) {
        Ok(()) => State::Stopped,
        Err(error) => State::Failed(error),
    };
    inner.end(shard, end);
    // The handler's own drop may panic too; that changes nothing any more.
    let _dropped = contained(shard, || {
        drop(controller);
        Ok(())
    });
}

/// Runs something of the handler's. Its state is dropped, not used, after a panic, so it cannot be seen half changed.
fn contained<R>(shard: ShardId, work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = message_of(&*payload);
        Err(ShardError::Panicked { shard, message }.into())
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

fn pin(pinning: &Pinning, shard: ShardId) -> Result<()> {
    let Pinning::Cpus(cpus) = pinning else {
        return Ok(());
    };
    let cpu = cpus[shard.0 % cpus.len()];
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).map_err(|errno| {
        let system = std::io::Error::from(errno);
        let context = format!("{shard} cannot be pinned to CPU {cpu}: {system}");
        Error::new(Error::from(system).kind(), context).with_source(errno)
    })
}
