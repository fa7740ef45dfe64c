//! The linearizability checker on histories whose verdict is known.

use quintet_core::{
    Keyed, KeyedReply,
    conformance::linear::{Operation, Reply, check},
};

fn get(span: (u64, u64), value: Option<i64>) -> Operation {
    let value = value.map(|value| value.to_le_bytes().to_vec());
    ended(
        Keyed::Get { key: vec![] },
        span,
        Reply::Answer(KeyedReply::Value(value)),
    )
}

fn put(span: (u64, u64), value: i64) -> Operation {
    let value = value.to_le_bytes().to_vec();
    ended(
        Keyed::Put { key: vec![], value },
        span,
        Reply::Answer(KeyedReply::Stored),
    )
}

fn add(span: (u64, u64), delta: i64, sum: i64) -> Operation {
    ended(
        Keyed::Add { key: vec![], delta },
        span,
        Reply::Answer(KeyedReply::Sum(sum)),
    )
}

fn delete(span: (u64, u64), was: bool) -> Operation {
    ended(
        Keyed::Delete { key: vec![] },
        span,
        Reply::Answer(KeyedReply::Deleted(was)),
    )
}

fn ended(call: Keyed, (invoked, at): (u64, u64), reply: Reply) -> Operation {
    Operation {
        call,
        invoked,
        returned: Some((at, reply)),
    }
}

fn unknown(mut operation: Operation) -> Operation {
    operation.returned = None;
    operation
}

#[test]
fn accepts_what_some_order_explains() {
    let histories: [&[Operation]; 8] = [
        &[],
        &[put((0, 1), 1), get((2, 3), Some(1))],
        // A read may fall on either side of a write that overlaps it.
        &[put((0, 5), 1), get((1, 2), None), get((3, 4), Some(1))],
        &[add((0, 9), 1, 3), add((1, 8), 1, 1), add((2, 7), 1, 2)],
        // An unknown outcome may have taken effect, much later too, or never.
        &[unknown(put((0, 1), 7)), get((2, 3), None), get((4, 5), Some(7))],
        &[unknown(put((0, 1), 7)), get((2, 3), None)],
        &[
            put((0, 1), 1),
            delete((2, 6), true),
            delete((3, 5), false),
            get((7, 8), None),
        ],
        &[
            put((0, 1), i64::MAX),
            ended(
                Keyed::Add {
                    key: vec![],
                    delta: 1,
                },
                (2, 3),
                Reply::Refused,
            ),
        ],
    ];
    for history in histories {
        check(history).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}

#[test]
fn rejects_what_no_order_explains() {
    let histories: [&[Operation]; 8] = [
        // A stale read.
        &[put((0, 1), 1), put((2, 3), 2), get((4, 5), Some(1))],
        // Two reads that see a write and then do not.
        &[put((0, 9), 1), get((1, 2), Some(1)), get((3, 4), None)],
        // A lost update.
        &[add((0, 5), 1, 1), add((1, 6), 1, 1)],
        // A value out of nowhere.
        &[get((0, 1), Some(3))],
        // Two deletes of one value.
        &[put((0, 1), 1), delete((2, 5), true), delete((3, 6), true)],
        // An unknown write cannot act before it was asked.
        &[get((0, 1), Some(7)), unknown(put((2, 3), 7))],
        // A refusal of what should have worked.
        &[ended(
            Keyed::Add {
                key: vec![],
                delta: 1,
            },
            (0, 1),
            Reply::Refused,
        )],
        // Each pair could be ordered, all four cannot: two readers disagree about the order of two writes.
        &[
            put((0, 20), 1),
            put((1, 21), 2),
            get((2, 3), Some(1)),
            get((4, 5), Some(2)),
            get((6, 7), Some(1)),
        ],
    ];
    for history in histories {
        let wrong = check(history).expect_err(&format!("was accepted: {history:?}"));
        assert!(wrong.to_string().contains("no order explains"), "{wrong}");
    }
}

/// The memo keeps the search small: 60 counters that all overlap have 60! orders.
#[test]
fn decides_long_concurrent_histories() {
    let mut history: Vec<_> = (1..=60)
        .map(|sum| add((sum, 1_000 + sum), 1, sum as i64))
        .collect();
    check(&history).unwrap_or_else(|wrong| panic!("{wrong}"));
    history.push(get((3_000, 3_001), Some(59)));
    assert!(check(&history).is_err());
}
