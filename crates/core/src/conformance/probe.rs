//! [`Probe`]: the messages with which the suites question a handler, so that they work for any vocabulary.

use crate::{Keyed, KeyedReply, Message};
use std::fmt;

/// Writes and reads of numbered things in one vocabulary. Numbers are independent of each other.
pub trait Probe {
    /// The vocabulary.
    type Message: Message<Reply: PartialEq + fmt::Debug>;

    /// A write (rank above 0, awaiting its commit) about thing `n`, which succeeds when `n` was not written before.
    fn write(n: u64) -> Self::Message;

    /// A read (rank 0) of thing `n`.
    fn read(n: u64) -> Self::Message;

    /// Whether this reply to `read(n)` shows the effect of `write(n)`. The read may be an error where nothing is.
    fn is_written(n: u64, reply: &crate::Result<<Self::Message as Message>::Reply>) -> bool;

    /// A write that is refused with an error by a store in which `write(0)` was committed.
    fn refused() -> Self::Message;

    /// Any message about things 0 to 7, chosen by `random`: all kinds should occur.
    fn arbitrary(random: u64) -> Self::Message {
        let n = (random >> 8) % 8;
        match random % 3 {
            0 => Self::read(n),
            _ => Self::write(n),
        }
    }
}

/// The probe of every handler of [`Keyed`].
#[derive(Clone, Copy, Debug)]
pub struct KeyedProbe;

impl KeyedProbe {
    fn key(n: u64) -> Vec<u8> {
        format!("probe-{n}").into_bytes()
    }

    /// Not 8 bytes long, so that it is no counter.
    fn value(n: u64) -> Vec<u8> {
        format!("the value of {n}").into_bytes()
    }
}

impl Probe for KeyedProbe {
    type Message = Keyed;

    fn write(n: u64) -> Keyed {
        Keyed::Put {
            key: Self::key(n),
            value: Self::value(n),
        }
    }

    fn read(n: u64) -> Keyed {
        Keyed::Get { key: Self::key(n) }
    }

    fn is_written(n: u64, reply: &crate::Result<KeyedReply>) -> bool {
        reply
            .as_ref()
            .is_ok_and(|reply| *reply == KeyedReply::Value(Some(Self::value(n))))
    }

    fn refused() -> Keyed {
        Keyed::Add {
            key: Self::key(0),
            delta: 1,
        }
    }

    fn arbitrary(random: u64) -> Keyed {
        let n = (random >> 8) % 8;
        let key = Self::key(n);
        match random % 8 {
            0 | 1 => Keyed::Get { key },
            2 => Keyed::Put {
                key,
                value: Self::value(n),
            },
            3 => Keyed::Put {
                key,
                value: (random >> 16).to_le_bytes().to_vec(),
            },
            4 | 5 => Keyed::Add {
                key,
                delta: (random >> 16) as i64 % 100 - 50,
            },
            6 => Keyed::Add { key, delta: i64::MAX },
            _ => Keyed::Delete { key },
        }
    }
}
