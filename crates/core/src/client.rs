//! [`Client`]: the bridge from async code to a worker. It needs no runtime, only the caller's [`Waker`].
//!
//! A worker sits behind a mutex; each call submits, keeps its waker, and is woken when its completion is reaped. Reaping
//! is done by whoever rings the client's bell, so no thread of its own is needed. Dropping a call's future gives up the
//! answer, not the operation.

use crate::{
    Closed, Completion, Connector, Doorbell, Error, ErrorKind, Message, PushError, Queue, Request, RequestId,
    Result, Worker,
};
use std::{
    collections::HashMap,
    future::Future,
    num::NonZeroUsize,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    task::{Context, Poll, Wake, Waker},
};

/// How many completions one look takes at most.
const REAP_MAX: usize = 256;

/// A cheap handle for async callers; clones share one worker and its credits.
pub struct Client<M: Message> {
    shared: Arc<Shared<M>>,
}

impl<M: Message> Clone for Client<M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<M: Message> {
    state: Mutex<State<M>>,
    bell: Doorbell,
}

struct State<M: Message> {
    worker: Box<dyn Worker<M> + Send>,
    waiting: HashMap<RequestId, Waiting<M>>,
    reaped: Vec<Completion<M>>,
}

enum Waiting<M: Message> {
    For(Waker),
    Answered(Result<M::Reply>),
}

/// What became of a message.
enum Sent<M: Message> {
    Waits(RequestId),
    Answered(Result<M::Reply>),
}

/// Reaps on the thread that rings.
struct Reaper<M: Message> {
    shared: OnceLock<Weak<Shared<M>>>,
}

impl<M: Message> Wake for Reaper<M> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(shared) = self.shared.get().and_then(Weak::upgrade) {
            shared.reap();
        }
    }
}

impl<M: Message> Client<M> {
    /// Connects to a controller with at most `credits` calls in flight at once.
    ///
    /// # Errors
    /// [`Closed`] when the controller has shut down.
    pub fn connect<Q>(connector: &Connector<M>, credits: NonZeroUsize) -> Result<Self, Closed>
    where
        Q: Queue<Request<M>> + Queue<Completion<M>>,
    {
        Self::build(|bell| {
            connector
                .connect::<Q>(credits, bell)
                .map(|worker| Box::new(worker) as _)
        })
    }

    /// A client of any worker. `make` is given the bell that must be rung when completions wait; an
    /// [`Inline`](crate::Inline) worker whose commits are never pending needs none.
    pub fn over<W: Worker<M> + Send + 'static>(make: impl FnOnce(Doorbell) -> W) -> Self {
        let built: Result<Self, std::convert::Infallible> = Self::build(|bell| Ok(Box::new(make(bell)) as _));
        match built {
            Ok(client) => client,
        }
    }

    fn build<E>(make: impl FnOnce(Doorbell) -> Result<Box<dyn Worker<M> + Send>, E>) -> Result<Self, E> {
        let reaper = Arc::new(Reaper {
            shared: OnceLock::new(),
        });
        let bell = Doorbell::new(Waker::from(Arc::clone(&reaper)));
        let worker = make(bell.clone())?;
        let state = Mutex::new(State {
            worker,
            waiting: HashMap::new(),
            reaped: Vec::new(),
        });
        let shared = Arc::new(Shared { state, bell });
        // Set once, here: the cell is fresh.
        let _fresh = reaper.shared.set(Arc::downgrade(&shared));
        // Arms the bell.
        shared.reap();
        Ok(Self { shared })
    }

    /// Sends `message` when first polled and answers its reply.
    ///
    /// # Errors
    /// The handler's own; [`ErrorKind::Unavailable`] when every credit is in use; [`ErrorKind::Closed`] when the
    /// controller is gone, which for a message already sent means that the outcome is unknown.
    pub fn call(&self, message: M) -> Call<M> {
        Call {
            shared: Arc::clone(&self.shared),
            stage: Stage::Unsent(Some(message)),
        }
    }
}

impl<M: Message> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reap(&self) {
        let mut state = self.lock();
        let woken = self.reap_locked(&mut state);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Arms the bell and takes all that is there, until nothing is: what comes after that rings.
    fn reap_locked(&self, state: &mut State<M>) -> Vec<Waker> {
        let mut woken = Vec::new();
        loop {
            self.bell.arm();
            let State {
                worker,
                waiting,
                reaped,
            } = state;
            if !matches!(worker.reap(reaped, REAP_MAX), Ok(1..)) {
                return woken;
            }
            for Completion { id, result } in reaped.drain(..) {
                // Not waiting: that call's future was dropped.
                if let Some(entry) = waiting.get_mut(&id)
                    && let Waiting::For(waker) = std::mem::replace(entry, Waiting::Answered(result))
                {
                    woken.push(waker);
                }
            }
        }
    }

    /// Sends a message; says under which id it is waited for, or what it was answered already.
    fn submit(&self, message: M, waker: &Waker) -> Result<Sent<M>> {
        let mut state = self.lock();
        let (submitted, mut woken) = match state.worker.submit(message) {
            Err(PushError::Full(message)) => {
                let woken = self.reap_locked(&mut state);
                (state.worker.submit(message), woken)
            }
            other => (other, Vec::new()),
        };
        let outcome = submitted.map_err(|refused| match refused {
            PushError::Full(_) => Error::new(ErrorKind::Unavailable, "every credit is in use; try again"),
            PushError::Closed(_) => ErrorKind::Closed.into(),
        });
        let sent = outcome.map(|id| {
            state.waiting.insert(id, Waiting::For(waker.clone()));
            // A closed port answers the request when it is reaped.
            let _closed = state.worker.flush();
            woken.extend(self.reap_locked(&mut state));
            if matches!(state.waiting.get(&id), Some(Waiting::Answered(_)))
                && let Some(Waiting::Answered(result)) = state.waiting.remove(&id)
            {
                return Sent::Answered(result);
            }
            Sent::Waits(id)
        });
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        sent
    }
}

enum Stage<M> {
    Unsent(Option<M>),
    Sent(RequestId),
    Done,
}

/// The future of one [`Client::call`].
#[must_use = "a call sends nothing until it is polled"]
pub struct Call<M: Message> {
    shared: Arc<Shared<M>>,
    stage: Stage<M>,
}

impl<M: Message + Unpin> Future for Call<M> {
    type Output = Result<M::Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Stage::Unsent(message) = &mut this.stage {
            let Some(message) = message.take() else {
                return Poll::Ready(Err(ErrorKind::Closed.into()));
            };
            this.stage = Stage::Done;
            return match this.shared.submit(message, cx.waker()) {
                Ok(Sent::Waits(id)) => {
                    this.stage = Stage::Sent(id);
                    Poll::Pending
                }
                Ok(Sent::Answered(result)) => Poll::Ready(result),
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        let Stage::Sent(id) = this.stage else {
            return Poll::Ready(Err(Error::new(
                ErrorKind::Closed,
                "the call was polled after it had answered",
            )));
        };
        let waker = cx.waker().clone();
        let mut state = this.shared.lock();
        let before = match state.waiting.remove(&id) {
            Some(Waiting::Answered(result)) => {
                drop(state);
                this.stage = Stage::Done;
                return Poll::Ready(result);
            }
            before => before,
        };
        state.waiting.insert(id, Waiting::For(waker));
        drop(state);
        // Outside the lock: a waker may own the task, and that another call of this client.
        drop(before);
        Poll::Pending
    }
}

impl<M: Message> Drop for Call<M> {
    fn drop(&mut self) {
        if let Stage::Sent(id) = self.stage {
            // The lock ends with this statement, before what was waiting is dropped: a waker may own the task, and that
            // another call of this client.
            let waiting = self.shared.lock().waiting.remove(&id);
            drop(waiting);
        }
    }
}
