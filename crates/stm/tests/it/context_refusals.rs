//! Bad input is refused with path and reason, and nothing happens.

use quintet_core::ErrorKind;
use quintet_stm::{Context, ContextConfig, ContextTx, Isolation, Step, Transaction, Value};
use std::sync::Arc;

/// The error of a body at every level, with its kind; the context stays as it was.
fn refused(
    context: &Context,
    expected: &str,
    kind: ErrorKind,
    body: impl Fn(&mut ContextTx<'_>) -> Step<()>,
) {
    let before = context.snapshot().unwrap().image();
    for isolation in Isolation::ALL {
        let error = context.run(isolation, |tx| body(tx)).unwrap_err();
        assert!(error.to_string().contains(expected), "{isolation}: {error}");
        assert_eq!(error.kind(), kind, "{isolation}: {error}");
    }
    assert_eq!(context.snapshot().unwrap().image(), before);
}

#[test]
fn zones_refuse_what_they_do_not_allow() {
    let context = Context::new("zones");
    context
        .transact(&Transaction::new(Isolation::Safe).admin(), |tx| {
            for leaf in [
                "SIG_stop",
                "META_note",
                "LOG_all",
                "CONST_pi",
                "INTERNAL_x",
                "HEAVY_buffer",
            ] {
                tx.set(leaf, Vec::<Value>::new())?;
            }
            Ok(())
        })
        .unwrap();
    let forbidden = ErrorKind::PermissionDenied;
    refused(
        &context,
        "SIG_stop: zone signal does not allow update",
        forbidden,
        |tx| tx.set("SIG_stop", 1_i64),
    );
    refused(
        &context,
        "SIG_stop: zone signal does not allow delete",
        forbidden,
        |tx| tx.delete("SIG_stop"),
    );
    refused(
        &context,
        "META_note: zone meta does not allow delete",
        forbidden,
        |tx| tx.delete("META_note"),
    );
    refused(
        &context,
        "LOG_all: zone log does not allow update",
        forbidden,
        |tx| tx.set("LOG_all", 1_i64),
    );
    refused(
        &context,
        "CONST_pi: zone const does not allow update",
        forbidden,
        |tx| tx.set("CONST_pi", 3_i64),
    );
    refused(
        &context,
        "CONST_e: zone const does not allow update",
        forbidden,
        |tx| tx.set("CONST_e", 3_i64),
    );
    refused(
        &context,
        "INTERNAL_x: zone internal does not allow read",
        forbidden,
        |tx| tx.get("INTERNAL_x").map(drop),
    );
    refused(&context, "INTERNAL_y: zone internal", forbidden, |tx| {
        tx.set("INTERNAL_y", 3_i64)
    });
    context
        .run(Isolation::Hybrid, |tx| {
            tx.append("LOG_all", 1_i64)?;
            tx.append("SIG_stop", 1_i64)?;
            tx.set("SIG_go", 1_i64)
        })
        .unwrap();
    assert!(context.get("INTERNAL_x").is_err() && context.snapshot().unwrap().get("INTERNAL_x").is_none());
}

#[test]
fn a_value_and_a_branch_cannot_share_a_path() {
    let context = Context::new("clash");
    context
        .run(Isolation::Safe, |tx| {
            tx.set("leaf", 1_i64)?;
            tx.set("branch.leaf", 1_i64)
        })
        .unwrap();
    let invalid = ErrorKind::InvalidInput;
    refused(
        &context,
        "leaf.below: expected a branch, found a value at leaf",
        invalid,
        |tx| tx.set("leaf.below", 1_i64),
    );
    refused(
        &context,
        "branch: expected a value, found a branch with branch.leaf",
        invalid,
        |tx| tx.set("branch", 1_i64),
    );
    let error = context
        .run(Isolation::Safe, |tx| {
            tx.set("new", 1_i64)?;
            tx.set("new.below", 1_i64)
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "new.below: expected a branch, found a value at new"
    );
    let error = context
        .run(Isolation::Safe, |tx| {
            tx.set("new.below", 1_i64)?;
            tx.set("new", 1_i64)
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "new: expected a value, found a branch with new.below"
    );
    context
        .run(Isolation::Safe, |tx| {
            tx.delete("leaf")?;
            tx.set("leaf.below", 1_i64)
        })
        .unwrap();
    assert_eq!(context.len(), 2);
}

#[test]
fn operations_refuse_values_of_the_wrong_kind() {
    let context = Context::new("kinds");
    context
        .run(Isolation::Safe, |tx| {
            tx.set("text", "x")?;
            tx.set("full", i64::MAX)
        })
        .unwrap();
    let invalid = ErrorKind::InvalidInput;
    refused(
        &context,
        "text: expected int or float, found string",
        invalid,
        |tx| tx.increment("text", 1),
    );
    refused(&context, "text: expected list, found string", invalid, |tx| {
        tx.append("text", 1_i64)
    });
    refused(
        &context,
        "full: 9223372036854775807 plus 1 is beyond a 64-bit counter",
        invalid,
        |tx| tx.increment("full", 1),
    );
    refused(&context, "text: expected int, found string", invalid, |tx| {
        tx.get_int("text").map(drop)
    });
    refused(&context, "path `a..b`: a segment is empty", invalid, |tx| {
        tx.set("a..b", 1_i64)
    });
    refused(&context, "segment `$x` is reserved", invalid, |tx| {
        tx.set("a.$x", 1_i64)
    });
}

#[test]
fn limits_are_kept() {
    let config = ContextConfig {
        max_keys: 3,
        max_value_bytes: 64,
        max_heavy_bytes: 1024,
        max_writes: 4,
        max_messages: 2,
        ..ContextConfig::default()
    };
    let context = Context::with_config("limits", config).unwrap();
    let large = ErrorKind::TooLarge;
    refused(
        &context,
        "big: the size of the value in bytes is 116, the limit is 64",
        large,
        |tx| tx.set("big", vec![0_u8; 100]),
    );
    refused(&context, "HEAVY_big: the size of the value", large, |tx| {
        tx.set("HEAVY_big", vec![0_u8; 2000])
    });
    context
        .run(Isolation::Safe, |tx| tx.set("HEAVY_ok", vec![0_u8; 900]))
        .unwrap();
    let mut deep = Value::Null;
    for _ in 0..100 {
        deep = Value::List(Arc::new(vec![deep]));
    }
    refused(&context, "deep: the nesting of the value", large, |tx| {
        tx.set("deep", deep.clone())
    });
    context
        .run(Isolation::Safe, |tx| {
            tx.set("a", 1_i64)?;
            tx.set("b", 1_i64)
        })
        .unwrap();
    refused(
        &context,
        "context: the number of keys is 4, the limit is 3",
        large,
        |tx| tx.set("c", 1_i64),
    );
    context
        .run(Isolation::Safe, |tx| {
            tx.delete("a")?;
            tx.set("c", 1_i64)
        })
        .unwrap();
}

#[test]
fn limits_of_the_outbox_and_of_lists_are_kept() {
    let config = ContextConfig {
        max_value_bytes: 64,
        max_messages: 2,
        ..ContextConfig::default()
    };
    let context = Context::with_config("limits", config).unwrap();
    let large = ErrorKind::TooLarge;
    context
        .run(Isolation::Safe, |tx| {
            tx.send("t", 1_i64)?;
            tx.send("t", 2_i64)
        })
        .unwrap();
    refused(
        &context,
        "context: the number of undelivered messages is 3, the limit is 2",
        large,
        |tx| tx.send("t", 3_i64),
    );
    let list = vec![Value::Int(0); 3];
    context
        .run(Isolation::Safe, |tx| tx.set("b", list.clone()))
        .unwrap();
    refused(&context, "b: the size of the value in bytes is 80", large, |tx| {
        tx.append("b", 4_i64)
    });
}

#[test]
fn a_limit_out_of_range_is_named() {
    for (field, config) in [
        (
            "history",
            ContextConfig {
                history: 0,
                ..ContextConfig::default()
            },
        ),
        (
            "max_keys",
            ContextConfig {
                max_keys: 0,
                ..ContextConfig::default()
            },
        ),
        (
            "max_writes",
            ContextConfig {
                max_writes: 1 << 21,
                ..ContextConfig::default()
            },
        ),
    ] {
        assert!(
            Context::with_config("bad", config)
                .unwrap_err()
                .to_string()
                .starts_with(field)
        );
    }
}

#[test]
fn a_name_of_an_unknown_zone_is_refused() {
    let context = Context::new("zones");
    for name in ["HEAVI_frame", "a.b.SIGNAL_stop", "X2_y"] {
        let part = name.rsplit('.').next().unwrap().split('_').next().unwrap();
        refused(
            &context,
            &format!("path `{name}`: there is no zone {part}_; there are DATA_, SIG_"),
            ErrorKind::InvalidInput,
            |tx| tx.set(name, 1_i64),
        );
        assert!(context.set_raw(name, 1_i64).is_err());
    }
    for name in ["DATA_x", "HEAVY_x", "heavi_x", "Order_x", "_x", "a_B_c"] {
        context.run(Isolation::Safe, |tx| tx.set(name, 1_i64)).unwrap();
    }
}
