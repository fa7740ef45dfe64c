//! Every interleaving of the epochs: a block is never written while a reader that found it still reads.
//!
//! `cargo xtask loom`. Without the cfg there is nothing in here.
#![cfg(quintet_loom)]

use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};
use quintet_blockstore::epoch::{Epochs, Reader};
use std::sync::Arc;

/// One block: loom panics when an access of `bytes` is not ordered with a writing one.
struct Block {
    /// What a look-up finds. Relaxed: the epochs alone must order everything.
    named: AtomicBool,
    bytes: UnsafeCell<()>,
}

impl Block {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            named: AtomicBool::new(true),
            bytes: UnsafeCell::new(()),
        })
    }

    /// Pins, looks up, reads. Answers whether it was found.
    fn read(&self, reader: &Reader) -> bool {
        let _pin = reader.pin();
        let found = self.named.load(Relaxed);
        if found {
            self.bytes.with(|_| ());
        }
        found
    }

    /// Releases the name and, if the epochs allow it at once, writes the block anew.
    fn release_and_reuse(&self, epochs: &Epochs) -> bool {
        self.named.store(false, Relaxed);
        let tag = epochs.retire();
        let free = epochs.horizon() >= tag;
        if free {
            self.bytes.with_mut(|_| ());
        }
        free
    }
}

#[test]
fn a_reader_and_a_reuse_never_meet() {
    loom::model(|| {
        let (epochs, block) = (Epochs::new(1), Block::new());
        let reader = epochs.register().unwrap();
        let theirs = Arc::clone(&block);
        let thread = thread::spawn(move || theirs.read(&reader));
        block.release_and_reuse(&epochs);
        thread.join().unwrap();
        assert!(epochs.horizon() == u64::MAX, "every pin has ended");
    });
}

#[test]
fn overlapping_pins_protect_what_each_of_them_found() {
    loom::model(|| {
        let (epochs, block) = (Epochs::new(1), Block::new());
        let reader = epochs.register().unwrap();
        let theirs = Arc::clone(&block);
        let thread = thread::spawn(move || {
            let first = reader.pin();
            let second = reader.pin();
            let found = theirs.named.load(Relaxed);
            // The slot moves from the first pin to the second while the block is being read.
            drop(first);
            if found {
                theirs.bytes.with(|_| ());
            }
            drop(second);
        });
        // Another block's release, so that the two pins can have different epochs.
        epochs.retire();
        block.release_and_reuse(&epochs);
        thread.join().unwrap();
    });
}

#[test]
fn two_readers_and_a_reuse_never_meet() {
    loom::model(|| {
        let (epochs, block) = (Epochs::new(2), Block::new());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (reader, block) = (epochs.register().unwrap(), Arc::clone(&block));
                thread::spawn(move || block.read(&reader))
            })
            .collect();
        block.release_and_reuse(&epochs);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
