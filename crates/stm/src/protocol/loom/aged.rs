//! Models of aged transactions: what they have reserved, and who waits for them.
//!
//! Invariant: nobody waits for a ticket with anything sealed.

use super::{Attempt, explore, two_slots};
use crate::{
    Isolation,
    protocol::{domain::Domain, stamp::Word},
};
use loom::{sync::Arc, thread};

#[test]
fn an_aged_transaction_wins() {
    explore(|| {
        let (domain, (x, y)) = (Arc::new(Domain::new(0)), two_slots());
        let young = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                let mut attempt = Attempt::begin(&domain, Isolation::Safe, false);
                let Some(now) = attempt.read(y) else { return false };
                attempt.write(x, now + 10);
                attempt.write(y, now + 10);
                attempt.commit()
            })
        };
        let ticket = domain.tickets.take().unwrap();
        let mut attempt = Attempt::begin(&domain, Isolation::Safe, true);
        let (a, b) = (attempt.read(x).unwrap(), attempt.read(y).unwrap());
        assert_eq!(a, b, "one moment");
        attempt.write(x, a + 1);
        attempt.write(y, b + 1);
        assert!(attempt.commit(), "an aged transaction cannot lose");
        drop(ticket);
        let expected = 1 + if young.join().unwrap() { 10 } else { 0 };
        assert_eq!((x.bits(), y.bits()), (expected, expected));
        assert!(!x.word().has(Word::RESERVED) && !y.word().has(Word::RESERVED));
    });
}

/// If it kept the seal of the first while it waits for the second, the two would wait for each other.
#[test]
fn a_raw_write_of_two_waits_with_nothing_sealed() {
    explore(|| {
        let (domain, (x, y)) = (Arc::new(Domain::new(0)), two_slots());
        let raw = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                let mut attempt = Attempt::begin(&domain, Isolation::Raw, false);
                attempt.write(x, 10);
                attempt.write(y, 10);
                attempt.commit()
            })
        };
        let ticket = domain.tickets.take().unwrap();
        let mut attempt = Attempt::begin(&domain, Isolation::Safe, true);
        let now = attempt.read(y).unwrap();
        attempt.write(x, now + 1);
        attempt.write(y, now + 1);
        assert!(attempt.commit(), "an aged transaction cannot lose");
        drop(ticket);
        assert!(raw.join().unwrap(), "a raw write cannot lose");
        let expected = if now == 10 { 11 } else { 10 };
        assert_eq!((x.bits(), y.bits()), (expected, expected));
    });
}
