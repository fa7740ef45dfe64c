//! The jobs that wait, by priority: bounded, first in first out each.

use super::Priority;
use quintet_core::Deadline;
use std::{collections::VecDeque, time::Instant};

/// Every so many picks, the last priority that has a job goes first.
const TURNS: u32 = 16;

/// What a job is called with when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Run.
    Run,
    /// The deadline passed so many ms ago: only say so.
    Late(u64),
}

pub(super) struct Job {
    pub(super) queued: Instant,
    pub(super) deadline: Option<Deadline>,
    /// Says whether the work was done: not when the caller is gone.
    pub(super) work: Box<dyn FnOnce(Turn) -> bool + Send>,
}

pub(super) struct Queues {
    capacity: usize,
    queues: [VecDeque<Job>; 4],
    picks: u32,
}

impl Queues {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            queues: Default::default(),
            picks: 0,
        }
    }

    /// Queues a job; false when the queue is full.
    pub(super) fn push(&mut self, priority: Priority, job: Job) -> bool {
        let queue = &mut self.queues[priority as usize];
        let fits = queue.len() < self.capacity;
        if fits {
            queue.push_back(job);
        }
        fits
    }

    /// The next job.
    pub(super) fn pop(&mut self) -> Option<(Priority, Job)> {
        self.picks = self.picks.wrapping_add(1);
        let mut order = Priority::ALL;
        if self.picks.is_multiple_of(TURNS) {
            order.reverse();
        }
        order
            .into_iter()
            .find_map(|priority| Some((priority, self.queues[priority as usize].pop_front()?)))
    }

    /// When the job was queued that has waited longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.queues
            .iter()
            .filter_map(|queue| Some(queue.front()?.queued))
            .min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    pub(super) fn lens(&self) -> [usize; 4] {
        std::array::from_fn(|priority| self.queues[priority].len())
    }

    pub(super) fn take_all(&mut self) -> Vec<Job> {
        self.queues.iter_mut().flat_map(std::mem::take).collect()
    }
}
