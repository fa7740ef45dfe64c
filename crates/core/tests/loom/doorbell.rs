//! The doorbell: whoever looks for work, arms and sleeps is woken by whoever publishes work and rings.

use crate::explore;
use loom::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread,
};
use quintet_core::Parker;

/// One thread waits for what another does, which then rings.
fn wait_for_one_ring(parker: &Parker) {
    let bell = parker.doorbell();
    let work = Arc::new(AtomicBool::new(false));
    let ringer = thread::spawn({
        let work = Arc::clone(&work);
        move || {
            work.store(true, Ordering::Relaxed);
            bell.ring();
        }
    });
    while !work.load(Ordering::Relaxed) {
        parker.wait(|| work.load(Ordering::Relaxed), None);
    }
    ringer.join().unwrap();
}

/// Budget: 3 preemptions, 2 threads. Publish and ring against look, arm, look, park.
#[test]
fn no_wake_up_is_lost() {
    explore(3, || {
        wait_for_one_ring(&Parker::new());
    });
}

/// Budget: 3 preemptions, 2 threads. Looks that give the core away come before the same look, arm, look, park.
#[test]
fn no_wake_up_is_lost_by_giving_way() {
    explore(3, || {
        // One look, then one that gives way first.
        wait_for_one_ring(&Parker::new().with_spins(2).giving_way());
    });
}

/// Budget: 2 preemptions, 3 threads. Two ringers, each with its own work; only one of them may find the sleeper armed.
#[test]
fn two_ringers_wake_one_sleeper() {
    explore(2, || {
        let parker = Parker::new();
        let work = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let ringers: Vec<_> = (0..2)
            .map(|at| {
                let (work, bell) = (Arc::clone(&work), parker.doorbell());
                thread::spawn(move || {
                    work[at].store(true, Ordering::Relaxed);
                    bell.ring();
                })
            })
            .collect();
        let done = || work.iter().all(|one| one.load(Ordering::Relaxed));
        while !done() {
            parker.wait(done, None);
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

/// Budget: 3 preemptions, 3 threads. The sleeper takes each ringer's work as it finds it. A ring that comes late, when its
/// work was found without it, must not hide the other one.
#[test]
fn a_late_ring_does_not_hide_the_next() {
    explore(3, || {
        let parker = Parker::new();
        let work = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let ringers: Vec<_> = (0..2)
            .map(|at| {
                let (work, bell) = (Arc::clone(&work), parker.doorbell());
                thread::spawn(move || {
                    work[at].store(true, Ordering::Relaxed);
                    bell.ring();
                })
            })
            .collect();
        let mut left = vec![0, 1];
        let is_there = |at: usize| work[at].load(Ordering::Relaxed);
        while !left.is_empty() {
            if parker.wait(|| left.iter().any(|at| is_there(*at)), None) {
                left.retain(|at| !is_there(*at));
            }
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

/// The doorbell's protocol with its fences on a switch.
struct Bell {
    sleeping: AtomicBool,
    rung: Mutex<bool>,
    changed: Condvar,
    fences: bool,
}

impl Bell {
    fn ring(&self) {
        if self.fences {
            fence(Ordering::SeqCst);
        }
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel) {
            *self.rung.lock().unwrap() = true;
            self.changed.notify_one();
        }
    }

    fn wait(&self, ready: impl Fn() -> bool) {
        self.sleeping.store(true, Ordering::Relaxed);
        if self.fences {
            fence(Ordering::SeqCst);
        }
        if !ready() {
            let mut rung = self.rung.lock().unwrap();
            if !*rung {
                rung = self.changed.wait(rung).unwrap();
            }
            *rung = false;
        }
    }
}

fn ring_against_wait(fences: bool) {
    explore(3, move || {
        let bell = Arc::new(Bell {
            sleeping: AtomicBool::new(false),
            rung: Mutex::new(false),
            changed: Condvar::new(),
            fences,
        });
        let work = Arc::new(AtomicBool::new(false));
        let ringer = thread::spawn({
            let (bell, work) = (Arc::clone(&bell), Arc::clone(&work));
            move || {
                work.store(true, Ordering::Relaxed);
                bell.ring();
            }
        });
        while !work.load(Ordering::Relaxed) {
            bell.wait(|| work.load(Ordering::Relaxed));
        }
        ringer.join().unwrap();
    });
}

#[test]
fn the_copy_of_the_protocol_is_sound_with_its_fences() {
    ring_against_wait(true);
}

/// What the model is worth: without the fences both sides may look before the other's store, and loom finds the sleeper
/// that nobody wakes.
#[test]
#[should_panic(expected = "deadlock")]
fn without_the_fences_a_wake_up_is_lost() {
    ring_against_wait(false);
}
