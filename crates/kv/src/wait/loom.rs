//! Models of the line: loom explores every interleaving of those who wait, those who bring, and those who give up.
//!
//! The shard's lock and its one list are a loom mutex here; mailboxes, line and registry are the ones that ship. What a
//! model asserts: an item is taken by exactly one or stays, in order, and nobody who may be served sleeps for ever (loom
//! fails on a deadlock).

use super::{Delivery, Line, Mailbox, Served, Shared, Waiter, Wish};
use crate::{effect::End, value::Value};
use loom::{
    sync::{Arc, Mutex},
    thread,
};
use quintet_core::Parker;
use std::{collections::VecDeque, task::Waker};

/// One shard with one list per key.
struct Shard {
    lists: Mutex<[VecDeque<i64>; 2]>,
    line: Line,
}

const KEYS: [&str; 2] = ["a", "b"];

fn shard() -> Arc<Shard> {
    Arc::new(Shard {
        lists: Mutex::new([VecDeque::new(), VecDeque::new()]),
        line: Line::default(),
    })
}

impl Shard {
    /// Brings an item and serves those who wait, as the end of a transaction does.
    fn push(&self, list: usize, item: i64) {
        let mut woken = Vec::new();
        {
            let mut lists = self.lists.lock().unwrap();
            lists[list].push_back(item);
            if !self.line.is_empty() {
                let (key, mut told) = (KEYS[list].as_bytes().into(), 0);
                let offer = |waiter: &Waiter| -> Result<Served, ()> {
                    let mut letter = waiter.mailbox.lock();
                    if !letter.is_waiting() {
                        return Ok(Served::Stale);
                    }
                    if lists[list].len() <= told {
                        return Ok(Served::Kept);
                    }
                    let key = KEYS[list].as_bytes().into();
                    letter.deliver(match waiter.wish {
                        Wish::Item(end) => {
                            let value = Value::Int(lists[list].pop_front().unwrap());
                            Delivery::Item { key, end, value }
                        }
                        _ => {
                            told += 1;
                            Delivery::Retry { key }
                        }
                    });
                    Ok(Served::Done)
                };
                self.line
                    .serve(&key, offer, |waiter| woken.push(waiter.mailbox))
                    .unwrap();
            }
        }
        woken.iter().for_each(|mailbox| mailbox.wake());
    }
}

/// One wait: looks, and gets in line under the same lock.
struct Wait {
    shard: Arc<Shard>,
    parker: Parker,
    mailbox: Shared<Mailbox>,
    keys: Vec<usize>,
}

impl Wait {
    fn begin(shard: &Arc<Shard>, keys: &[usize], ticket: u64) -> Result<i64, Self> {
        let parker = Parker::new();
        let mailbox = Shared::new(Mailbox::new(Waker::from(parker.doorbell())));
        let mut lists = shard.lists.lock().unwrap();
        for key in keys {
            if let Some(item) = lists[*key].pop_front() {
                return Ok(item);
            }
        }
        for key in keys {
            let (mailbox, wish) = (mailbox.clone(), Wish::Item(End::Front));
            let waiter = Waiter {
                mailbox,
                wish,
                ticket,
            };
            shard.line.join(&KEYS[*key].as_bytes().into(), waiter);
        }
        drop(lists);
        let (shard, keys) = (shard.clone(), keys.to_vec());
        Err(Self {
            shard,
            parker,
            mailbox,
            keys,
        })
    }

    fn park(&self) -> i64 {
        loop {
            if let Some(delivery) = self.mailbox.take() {
                return item_of(&delivery);
            }
            self.parker.wait(|| !self.mailbox.is_waiting(), None);
        }
    }

    /// Ends the wait; what was delivered before that is the caller's.
    fn give_up(&self) -> Option<i64> {
        self.mailbox.close().as_ref().map(item_of)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let _left = self.mailbox.close();
        if self.shard.line.is_empty() {
            return;
        }
        let _locked = self.shard.lists.lock().unwrap();
        for key in &self.keys {
            self.shard.line.leave(KEYS[*key].as_bytes(), &self.mailbox);
        }
    }
}

fn item_of(delivery: &Delivery) -> i64 {
    match delivery {
        Delivery::Item {
            value: Value::Int(item),
            ..
        } => *item,
        other => panic!("{other:?} is no item"),
    }
}

fn take(shard: &Arc<Shard>, keys: &[usize], ticket: u64) -> i64 {
    Wait::begin(shard, keys, ticket).unwrap_or_else(|wait| wait.park())
}

#[test]
fn no_wake_is_lost_between_the_look_and_the_place_in_line() {
    loom::model(|| {
        let shard = shard();
        let other = shard.clone();
        let waiter = thread::spawn(move || take(&other, &[0], 1));
        shard.push(0, 7);
        assert_eq!(waiter.join().unwrap(), 7);
        assert!(shard.line.is_empty());
    });
}

#[test]
fn two_who_wait_get_one_item_each() {
    loom::model(|| {
        let shard = shard();
        let waiters = [1, 2].map(|ticket| {
            let shard = shard.clone();
            thread::spawn(move || take(&shard, &[0], ticket))
        });
        shard.push(0, 1);
        shard.push(0, 2);
        let sum: i64 = waiters.map(|waiter| waiter.join().unwrap()).iter().sum();
        assert_eq!(sum, 3);
        assert!(shard.line.is_empty());
        assert!(shard.lists.lock().unwrap()[0].is_empty());
    });
}

#[test]
fn who_gives_up_leaves_the_item_or_has_it() {
    loom::model(|| {
        let shard = shard();
        let other = shard.clone();
        let waiter = thread::spawn(move || match Wait::begin(&other, &[0], 1) {
            Ok(item) => Some(item),
            Err(wait) => wait.give_up(),
        });
        shard.push(0, 7);
        let taken = waiter.join().unwrap();
        let left = shard.lists.lock().unwrap()[0].pop_front();
        assert_eq!(taken.xor(left), Some(7), "taken {taken:?}, left {left:?}");
        assert!(shard.line.is_empty());
    });
}

#[test]
fn a_wait_for_two_lists_takes_one_item_and_leaves_both_lines() {
    loom::model(|| {
        let shard = shard();
        let (other, third) = (shard.clone(), shard.clone());
        let waiter = thread::spawn(move || take(&other, &[0, 1], 1));
        let pusher = thread::spawn(move || third.push(1, 8));
        shard.push(0, 7);
        pusher.join().unwrap();
        let taken = waiter.join().unwrap();
        let lists = shard.lists.lock().unwrap();
        let left: i64 = lists.iter().flatten().sum();
        assert_eq!((taken + left, lists.iter().flatten().count()), (15, 1));
        assert!(shard.line.is_empty());
    });
}
