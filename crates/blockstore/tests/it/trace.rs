//! Recorded traffic: every step comes back, every prefix is refused, and a replay gives the same replies.

use crate::handler::open;
use proptest::prelude::*;
use quintet_blockstore::{
    BlockMessage, BlockReply, Digest, Record, Recorder,
    codec::{self, Step},
};
use quintet_core::{BlockAddress, Durability, ErrorKind, MessageHandler, SizeClass};
use quintet_log::MemDirectory;
use std::sync::Arc;

fn address() -> impl Strategy<Value = BlockAddress> {
    (0_usize..8, 0_u64..40).prop_map(|(class, number)| BlockAddress {
        class: SizeClass::ALL[class],
        number,
    })
}

fn digest() -> impl Strategy<Value = Digest> {
    (0_u8..6).prop_map(|byte| Digest([byte; 32]))
}

/// Often the same, sometimes none.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0_u8..2, 0..3)
}

fn message() -> impl Strategy<Value = BlockMessage> {
    prop_oneof![
        digest().prop_map(|digest| BlockMessage::GetAddress { digest }),
        digest().prop_map(|digest| BlockMessage::Release { digest }),
        prop::collection::vec(address(), 0..4).prop_map(|addresses| BlockMessage::Return { addresses }),
        (digest(), bytes(), bytes()).prop_map(|(digest, resource, body)| BlockMessage::Lock {
            digest,
            resource,
            body
        }),
        (digest(), bytes()).prop_map(|(digest, resource)| BlockMessage::Unlock { digest, resource }),
        (0_usize..8, 0_u32..5).prop_map(|(class, count)| BlockMessage::Allocate {
            class: SizeClass::ALL[class],
            count
        }),
        (digest(), address(), 0_u32..5000).prop_map(|(digest, address, len_bytes)| BlockMessage::Occupy {
            digest,
            address,
            len_bytes
        }),
    ]
}

fn reply() -> impl Strategy<Value = Result<BlockReply, ErrorKind>> {
    prop_oneof![
        (address(), any::<u32>(), any::<u32>()).prop_map(|(address, len_bytes, locks)| {
            Ok(BlockReply::Address(Record {
                address,
                len_bytes,
                locks,
            }))
        }),
        Just(Ok(BlockReply::Locked)),
        Just(Ok(BlockReply::Unlocked)),
        Just(Ok(BlockReply::Released)),
        Just(Ok(BlockReply::Returned)),
        prop::collection::vec(address(), 0..4).prop_map(|addresses| Ok(BlockReply::Granted(addresses))),
        prop::option::of(address()).prop_map(|unused| Ok(BlockReply::Occupied { unused })),
        (0..ErrorKind::ALL.len()).prop_map(|kind| Err(ErrorKind::ALL[kind])),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (message(), reply()).prop_map(|(message, reply)| Step::Handled { message, reply }),
        1 => Just(Step::Committed),
    ]
}

proptest! {
    #[test]
    fn every_step_comes_back_and_every_prefix_is_refused(step in step()) {
        let mut bytes = codec::encode(&step).unwrap();
        prop_assert_eq!(codec::decode(&bytes).unwrap(), step);
        for cut in 0..bytes.len() {
            let refused = codec::decode(&bytes[..cut]).unwrap_err();
            prop_assert_eq!(refused.kind(), ErrorKind::Corrupted);
        }
        bytes.push(0);
        prop_assert!(codec::decode(&bytes).is_err(), "a byte too many");
    }

    #[test]
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), format in any::<bool>()) {
        if format && !bytes.is_empty() {
            bytes[0] = 1;
        }
        if let Ok(step) = codec::decode(&bytes) {
            prop_assert_eq!(codec::decode(&codec::encode(&step).unwrap()).unwrap(), step);
        }
        let bad = codec::steps(&bytes).filter(|step| step.is_err()).count();
        prop_assert!(bad <= 1, "the first damaged step ends the trace");
    }

    #[test]
    fn a_trace_replayed_into_a_fresh_handler_gives_the_same_replies(
        batches in prop::collection::vec(prop::collection::vec(message(), 1..8), 1..8)
    ) {
        let meta = tempfile::tempdir().unwrap();
        let engine = open(Arc::new(MemDirectory::new()), meta.path(), Durability::Relaxed);
        let mut recorder = Recorder::new(engine.handler, 1 << 20);
        for batch in batches {
            for message in batch {
                let _recorded = recorder.handle(message);
            }
            recorder.commit().unwrap();
        }
        let again = tempfile::tempdir().unwrap();
        let mut fresh = open(Arc::new(MemDirectory::new()), again.path(), Durability::Relaxed).handler;
        for step in codec::steps(recorder.trace().unwrap()) {
            match step.unwrap() {
                Step::Handled { message, reply } => {
                    let got = fresh.handle(message.clone()).map_err(|error| error.kind());
                    prop_assert_eq!(got, reply, "{:?}", message);
                }
                Step::Committed => drop(fresh.commit().unwrap()),
            }
        }
    }
}

#[test]
fn a_full_trace_says_that_it_is_not_complete() {
    let meta = tempfile::tempdir().unwrap();
    let engine = open(Arc::new(MemDirectory::new()), meta.path(), Durability::Relaxed);
    let mut recorder = Recorder::new(engine.handler, 10);
    assert_eq!(recorder.trace(), Some(&[][..]));
    let _refused = recorder.handle(BlockMessage::Release {
        digest: Digest([1; 32]),
    });
    assert_eq!(recorder.trace(), None);
}
