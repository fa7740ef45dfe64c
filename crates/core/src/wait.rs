//! Waiting without burning a core and without losing a wake-up.
//!
//! A ring between threads has no wake-up of its own. The sleeper *arms* its [`Doorbell`], looks once more whether there is
//! work, and only then sleeps; the other side publishes its work and then *rings*. Ringing costs a fence and a load while
//! nobody sleeps. [`Parker`] is the sleeper for a plain thread; an event loop or a task makes a bell from its own
//! [`Waker`].
//!
//! Why no wake-up is lost: the sleeper stores `sleeping` and then looks at the queue; the ringer stores to the queue and
//! then looks at `sleeping`. The two `SeqCst` fences forbid that both look before the other's store.
//!
//! The flags are written by read-modify-writes only. Plain stores would do, since none can come between another's swap and
//! the value that it read; but loom lets them come there, and reports wake-ups lost in ways that no machine can go.

use crate::{
    Clock as _, SystemClock,
    courtesy::Courtesy,
    primitive::{AtomicBool, Condvar, Mutex, Ordering, fence, lock, wait, yield_now},
};
use std::{
    fmt,
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};

/// The ringing side, cheap to clone and to ring from any thread.
#[derive(Clone)]
pub struct Doorbell {
    bell: Arc<Bell>,
}

struct Bell {
    sleeping: AtomicBool,
    waker: Waker,
}

impl Doorbell {
    /// A bell that calls `waker` when it is rung while armed. The waker must be callable from any thread and must not
    /// block.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self {
            bell: Arc::new(Bell {
                sleeping: AtomicBool::new(false),
                waker,
            }),
        }
    }

    /// A bell nobody listens to, for owners that poll.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Waker::noop().clone())
    }

    /// Wakes the owner if it sleeps. Call it after publishing the work that the owner should see.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.bell.sleeping.load(Ordering::Relaxed) && self.bell.sleeping.swap(false, Ordering::AcqRel) {
            self.bell.waker.wake_by_ref();
        }
    }

    /// For the owner: from now on a ring wakes. After this it must look for work once more before it sleeps.
    pub fn arm(&self) {
        self.bell.sleeping.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// For the owner: awake again, rings need not wake.
    pub fn disarm(&self) {
        self.bell.sleeping.swap(false, Ordering::Relaxed);
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").finish_non_exhaustive()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        Doorbell { bell: self }.ring();
    }
}

/// A waker that rings: for a log's progress or any other source that knows only wakers.
impl From<Doorbell> for Waker {
    fn from(doorbell: Doorbell) -> Self {
        Self::from(doorbell.bell)
    }
}

/// When giving way, so many looks come one right after another: the answer may be on its way from another core.
/// One under loom, which explores every look.
const TIGHT_LOOKS: u32 = if cfg!(quintet_loom) { 1 } else { 16 };
/// Giving the core away when nobody wants it takes as long as so many looks.
const WAY_LOOKS: u32 = 8;

/// The sleeping side for a plain thread: looks for a while, then sleeps.
///
/// ```
/// use quintet_core::Parker;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// let parker = Parker::new();
/// let bell = parker.doorbell();
/// let flag = AtomicBool::new(false);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         flag.store(true, Ordering::Release);
///         bell.ring();
///     });
///     while !flag.load(Ordering::Acquire) {
///         parker.wait(|| flag.load(Ordering::Acquire), None);
///     }
/// });
/// ```
pub struct Parker {
    doorbell: Doorbell,
    sleeper: Arc<Sleeper>,
    spins: u32,
    courtesy: Option<Courtesy>,
}

struct Sleeper {
    /// A wake-up that was not slept on yet. It outlives the ring, so one that comes before the sleep is not lost.
    rung: AtomicBool,
    /// Held from the look at `rung` until asleep, and by a waker after it set `rung`: none comes between the two.
    falling_asleep: Mutex<()>,
    changed: Condvar,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.swap(true, Ordering::Release);
        drop(lock(&self.falling_asleep));
        self.changed.notify_one();
    }
}

impl Sleeper {
    fn sleep(&self, timeout: Option<Duration>) {
        let mut awake = lock(&self.falling_asleep);
        if !self.rung.load(Ordering::Acquire) {
            awake = wait(&self.changed, awake, timeout);
        }
        drop(awake);
        self.rung.swap(false, Ordering::AcqRel);
    }
}

impl Parker {
    /// How often [`wait`](Self::wait) looks for work before it parks, unless set otherwise: some 10 µs, a quarter of
    /// what waking an idle core costs. None under loom, which explores every look.
    pub const DEFAULT_SPINS: u32 = if cfg!(quintet_loom) { 0 } else { 1_000 };

    /// A parker for whichever one thread calls [`wait`](Self::wait).
    #[must_use]
    pub fn new() -> Self {
        let sleeper = Arc::new(Sleeper {
            rung: AtomicBool::new(false),
            falling_asleep: Mutex::new(()),
            changed: Condvar::new(),
        });
        Self {
            doorbell: Doorbell::new(Waker::from(Arc::clone(&sleeper))),
            sleeper,
            spins: Self::DEFAULT_SPINS,
            courtesy: None,
        }
    }

    /// Sets how often to look before parking; 0 parks at once.
    #[must_use]
    pub fn with_spins(mut self, spins: u32) -> Self {
        self.spins = spins;
        self
    }

    /// Between looks the core is given to others who can run. For threads that wait for each other and may outnumber the
    /// cores. Beside work that keeps a core for long a wait then takes a time slice more; that befalls one wait in a
    /// thousand at most, and the others look and sleep as if this had not been asked for.
    #[must_use]
    pub fn giving_way(mut self) -> Self {
        self.courtesy = Some(Courtesy::new());
        self
    }

    /// What wakes this parker.
    #[must_use]
    pub fn doorbell(&self) -> Doorbell {
        self.doorbell.clone()
    }

    /// Blocks the calling thread until `ready` answers true, the bell rings, or `timeout` has passed; may also return
    /// for no reason, so call it in a loop. Returns whether `ready` answered true.
    pub fn wait(&self, mut ready: impl FnMut() -> bool, timeout: Option<Duration>) -> bool {
        if timeout == Some(Duration::ZERO) {
            return ready();
        }
        let (found, away) = match &self.courtesy {
            Some(courtesy) if courtesy.begin() => self.look_giving_way(courtesy, &mut ready, timeout),
            _ => (Self::look(self.spins, &mut ready), Duration::ZERO),
        };
        let timeout = timeout.map(|timeout| timeout.saturating_sub(away));
        if found || timeout == Some(Duration::ZERO) {
            return found || ready();
        }
        self.doorbell.arm();
        let found = ready();
        if !found {
            self.sleeper.sleep(timeout);
        }
        self.doorbell.disarm();
        found || ready()
    }

    fn look(times: u32, ready: &mut impl FnMut() -> bool) -> bool {
        for _ in 0..times {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Answers whether it found something, and for how long others had the core.
    fn look_giving_way(
        &self,
        courtesy: &Courtesy,
        ready: &mut impl FnMut() -> bool,
        timeout: Option<Duration>,
    ) -> (bool, Duration) {
        let mut away = Duration::ZERO;
        if Self::look(self.spins.min(TIGHT_LOOKS), ready) {
            return (true, away);
        }
        let mut left = self.spins.saturating_sub(TIGHT_LOOKS);
        while left > 0 && timeout.is_none_or(|timeout| away < timeout) {
            let lost = give_way();
            away += lost;
            let may_again = courtesy.was_away(lost);
            if ready() {
                return (true, away);
            }
            if !may_again {
                break;
            }
            left = left.saturating_sub(WAY_LOOKS + 1);
        }
        (false, away)
    }
}

/// Lets others run; answers for how long.
fn give_way() -> Duration {
    // It tells how busy the machine is, which no test holds still; only a model is the same each time.
    let from = SystemClock.now();
    yield_now();
    if cfg!(quintet_loom) {
        return Duration::ZERO;
    }
    SystemClock.now().saturating_duration_since(from)
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker")
            .field("spins", &self.spins)
            .finish_non_exhaustive()
    }
}
