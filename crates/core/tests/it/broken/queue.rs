//! Queues with one fault each, over the fake one.

use super::{covers_every_clause, fails_exactly};
use quintet_core::{
    Closed, Consumer, PopError, Producer, PushError, Queue,
    conformance::queue::clauses,
    fake::{FakeConsumer, FakeProducer, FakeQueue},
};
use std::{marker::PhantomData, mem, num::NonZeroUsize};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    SwapsTheFirstTwo,
    KeepsTheRefused,
    RoundsCapacityUp,
    ClosesBeforeTheEnd,
    SaysFullToNobody,
    ReversesTheSuffix,
    TakesABatchForNobody,
    ClearsOut,
    NeverEndsABatch,
    LeaksWhatIsLeft,
    PromisesOneMore,
    SwapsAfterATurn,
    HoldsEndlessNothing,
    DropsPages,
    LosesOneInTheMiddle,
    LooksOnceAtTheEnd,
}

trait Broken: 'static {
    const FAULT: Fault;
}

type Take<T> = fn(&mut FakeConsumer<T>) -> Option<T>;

struct BrokenQueue<B>(PhantomData<B>);
struct Tx<T, B> {
    inner: FakeProducer<T>,
    pushed: usize,
    kept: Vec<T>,
    fault: PhantomData<fn() -> B>,
}
struct Rx<T, B> {
    inner: FakeConsumer<T>,
    capacity: usize,
    popped: usize,
    held: Option<T>,
    /// Takes an item, if what is left is to be leaked.
    leak: Option<Take<T>>,
    fault: PhantomData<fn() -> B>,
}

impl<T: Send + 'static, B: Broken> Queue<T> for BrokenQueue<B> {
    type Producer = Tx<T, B>;
    type Consumer = Rx<T, B>;

    fn bounded(capacity: NonZeroUsize) -> (Tx<T, B>, Rx<T, B>) {
        let real = match B::FAULT {
            Fault::RoundsCapacityUp => capacity.checked_next_power_of_two().unwrap(),
            Fault::HoldsEndlessNothing if size_of::<T>() == 0 => NonZeroUsize::new(1 << 20).unwrap(),
            _ => capacity,
        };
        let (tx, rx) = FakeQueue::bounded(real);
        let tx = Tx {
            inner: tx,
            pushed: 0,
            kept: Vec::new(),
            fault: PhantomData,
        };
        let rx = Rx {
            inner: rx,
            capacity: capacity.get(),
            popped: 0,
            held: None,
            leak: (B::FAULT == Fault::LeaksWhatIsLeft).then_some(|rx| rx.pop().ok()),
            fault: PhantomData,
        };
        (tx, rx)
    }
}

impl<T: Send + 'static, B: Broken> Producer<T> for Tx<T, B> {
    fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        self.pushed += 1;
        if B::FAULT == Fault::DropsPages && size_of::<T>() == 4096 {
            return Ok(());
        }
        match (B::FAULT, self.inner.push(item)) {
            (Fault::KeepsTheRefused, Err(PushError::Full(item))) => {
                // Says that it was refused, hands back another, and has kept this one.
                let back = self.kept.pop();
                self.kept.push(item);
                back.map_or(Ok(()), |item| Err(PushError::Full(item)))
            }
            (Fault::SaysFullToNobody, Err(PushError::Closed(item))) => Err(PushError::Full(item)),
            (_, pushed) => pushed,
        }
    }

    fn push_batch(&mut self, items: &mut Vec<T>) -> Result<usize, Closed> {
        let middle = self.pushed..=self.pushed + items.len();
        if B::FAULT == Fault::LosesOneInTheMiddle && middle.contains(&50_000) {
            items.pop();
        }
        let pushed = self.inner.push_batch(items);
        self.pushed += pushed.unwrap_or(0);
        match B::FAULT {
            Fault::ReversesTheSuffix if pushed.is_ok() => items.reverse(),
            Fault::TakesABatchForNobody if pushed.is_err() => items.clear(),
            _ => {}
        }
        pushed
    }

    fn free(&self) -> usize {
        self.inner.free() + usize::from(B::FAULT == Fault::PromisesOneMore)
    }
}

impl<T: Send + 'static, B: Broken> Consumer<T> for Rx<T, B> {
    fn pop(&mut self) -> Result<T, PopError> {
        if let Some(item) = self.held.take() {
            return Ok(item);
        }
        let ready = self.inner.ready();
        let popped = match (B::FAULT, self.inner.pop()) {
            (Fault::SwapsTheFirstTwo, Ok(item)) if ready == 5 && self.capacity == 8 => {
                self.held = Some(item);
                self.inner.pop()
            }
            (Fault::SwapsAfterATurn, Ok(item)) if self.capacity == 7 && self.popped > 20 && ready > 1 => {
                self.held = Some(item);
                self.inner.pop()
            }
            (Fault::ClosesBeforeTheEnd, Ok(item)) if self.capacity == 4 && ready == 1 => {
                // The last item of a producer that is gone is not seen any more.
                match self.inner.pop() {
                    Err(PopError::Closed) => Err(PopError::Closed),
                    _ => Ok(item),
                }
            }
            // At the size of the clause that is made for it alone: elsewhere it would lose only when threads race.
            (Fault::LooksOnceAtTheEnd, Err(PopError::Empty)) if self.capacity == 4 => self.late_look(),
            (_, popped) => popped,
        };
        self.popped += usize::from(popped.is_ok());
        popped
    }

    fn pop_batch(&mut self, out: &mut Vec<T>, max: usize) -> Result<usize, Closed> {
        if B::FAULT == Fault::ClearsOut {
            out.clear();
        }
        if B::FAULT == Fault::SwapsAfterATurn {
            out.extend(self.held.take());
        }
        let popped = self.inner.pop_batch(out, max);
        self.popped += popped.unwrap_or(0);
        if B::FAULT == Fault::NeverEndsABatch {
            return Ok(popped.unwrap_or(0));
        }
        popped
    }

    fn ready(&self) -> usize {
        self.inner.ready() + usize::from(self.held.is_some())
    }
}

impl<T: Send + 'static, B> Rx<T, B> {
    /// Saw the queue empty, then waits to see the producer gone, and does not look into the queue again.
    fn late_look(&mut self) -> Result<T, PopError> {
        let mut lost = Vec::new();
        for _ in 0..2_000 {
            match self.inner.pop() {
                Ok(item) => lost.push(item),
                Err(PopError::Empty) => std::thread::yield_now(),
                Err(PopError::Closed) => return Err(PopError::Closed),
            }
        }
        Err(PopError::Empty)
    }
}

impl<T, B> Drop for Rx<T, B> {
    fn drop(&mut self) {
        if let Some(take) = self.leak {
            while let Some(item) = take(&mut self.inner) {
                mem::forget(item);
            }
        }
    }
}

macro_rules! faults {
    ($($test:ident: $fault:ident caught by $($clause:ident)+;)+) => {
        const CASES: &[&[&str]] = &[$(&[$(stringify!($clause)),+]),+];
        $(
            #[test]
            fn $test() {
                struct This;
                impl Broken for This {
                    const FAULT: Fault = Fault::$fault;
                }
                let expected = &[$(stringify!($clause)),+];
                fails_exactly("queue", stringify!($test), clauses::<BrokenQueue<This>>(), expected);
            }
        )+
    };
}

faults! {
    swaps_the_first_two: SwapsTheFirstTwo caught by fifo;
    keeps_the_refused: KeepsTheRefused caught by full_returns_the_item holds_exactly_its_capacity
        drops_each_item_once wraps_around zero_sized_items;
    rounds_capacity_up: RoundsCapacityUp caught by holds_exactly_its_capacity push_batch_keeps_the_suffix
        drops_each_item_once free_and_ready_are_lower_bounds zero_sized_items;
    closes_before_the_end: ClosesBeforeTheEnd caught by drains_then_closes closing_loses_nothing;
    says_full_to_nobody: SaysFullToNobody caught by closed_returns_the_item;
    reverses_the_suffix: ReversesTheSuffix caught by push_batch_keeps_the_suffix two_threads;
    takes_a_batch_for_nobody: TakesABatchForNobody caught by push_batch_to_nobody_takes_nothing;
    clears_out: ClearsOut caught by pop_batch_appends_up_to_max pop_batch_drains_then_closes;
    never_ends_a_batch: NeverEndsABatch caught by pop_batch_drains_then_closes;
    leaks_what_is_left: LeaksWhatIsLeft caught by drops_each_item_once;
    promises_one_more: PromisesOneMore caught by free_and_ready_are_lower_bounds two_threads;
    swaps_after_a_turn: SwapsAfterATurn caught by wraps_around;
    holds_endless_nothing: HoldsEndlessNothing caught by zero_sized_items;
    drops_pages: DropsPages caught by large_items;
    loses_one_in_the_middle: LosesOneInTheMiddle caught by two_threads;
    looks_once_at_the_end: LooksOnceAtTheEnd caught by closing_loses_nothing;
}

#[test]
fn every_clause_has_a_fault() {
    covers_every_clause(clauses::<FakeQueue>(), CASES);
}
