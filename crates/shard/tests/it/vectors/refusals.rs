//! Bad input: a typed error that names the field and the point, and nothing stored.

use super::{config, open, spec, with_collection};
use crate::engine::count;
use quintet_core::{Durability, ErrorKind, SystemClock};
use quintet_shard::vector::{
    Directories, Filter, IndexConfig, Metric, Payload, Point, Search, Spec, VectorConfig, VectorError,
    VectorStore, With,
};
use std::sync::Arc;

fn typed(error: &quintet_core::Error) -> &VectorError {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref())
        .unwrap_or_else(|| panic!("{error:?} has no typed source"))
}

#[test]
fn a_batch_with_one_bad_point_is_refused_whole() {
    let (_store, mut client) = with_collection(2, 3, Metric::Cosine);
    let good = |n: u64| Point::new(n, vec![1.0, 2.0, n as f32]);
    let heavy: Payload = [("text".to_owned(), "x".repeat(1 << 20).into())]
        .into_iter()
        .collect();
    let cases = [
        (Point::new(9, vec![1.0, 2.0]), "vector", "dimension 3"),
        (Point::new(9, vec![]), "vector", "0 numbers"),
        (Point::new(9, vec![1.0, f32::NAN, 0.0]), "vector", "[1] is NaN"),
        (
            Point::new(9, vec![f32::INFINITY, 0.0, 0.0]),
            "vector",
            "[0] is inf",
        ),
        (Point::new(9, vec![1e30, 0.0, 0.0]), "vector", "up to 1e15"),
        (Point::new(9, vec![0.0; 3]), "vector", "direction"),
        (good(0), "id", "twice"),
        (Point::new("", vec![1.0; 3]), "id", "1 to 512"),
        (Point::new(&*"x".repeat(513), vec![1.0; 3]), "id", "513"),
        (good(9).with_payload(heavy), "payload", "at most"),
        (good(9).with_payload(nested(101)), "payload", "100 deep"),
    ];
    for (bad, wanted, reason) in cases {
        let error = client
            .upsert("c", vec![good(0), good(1), bad, good(2)])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let VectorError::Point { index: 2, field, .. } = typed(&error) else {
            panic!("{error:?}")
        };
        assert_eq!(*field, wanted);
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(client.count("c", None).unwrap(), 0, "nothing of it was stored");
    }
    assert_eq!(client.upsert("c", vec![]).unwrap(), 0);
}

/// Objects and lists in turn, so many in each other.
fn nested(depth: usize) -> Payload {
    let inner = (1..depth).fold(serde_json::json!(7), |inner, level| {
        if level % 2 == 0 {
            serde_json::json!([inner])
        } else {
            serde_json::json!({ "in": inner })
        }
    });
    [("in".to_owned(), inner)].into_iter().collect()
}

#[test]
fn a_payload_is_read_back_as_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let on_disk = || Directories::on_disk(dir.path(), count(2)).unwrap();
    let config = || config(2, Durability::Full).with_segment_bytes(4 << 20);
    let mut state = 7_u64;
    let numbers = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        f64::from_bits(state)
    });
    let numbers: Vec<f64> = numbers.filter(|number| number.is_finite()).take(1000).collect();
    let exact: Payload = [("numbers".to_owned(), numbers.into())].into_iter().collect();
    let points = vec![
        Point::new(1, vec![1.0]).with_payload(nested(100)),
        Point::new(2, vec![1.0]).with_payload(exact),
    ];
    let store = open(config(), on_disk());
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(1, Metric::L2)).unwrap();
    client.upsert("c", points.clone()).unwrap();
    store.close().unwrap();
    drop((client, store));
    let store = open(config(), on_disk());
    let mut client = store.client(count(4)).unwrap();
    let with = With {
        payload: true,
        vector: true,
    };
    let found = client.get("c", vec![1.into(), 2.into()], with).unwrap();
    assert!(found.into_iter().eq(points.into_iter().map(Some)));
}

#[test]
fn an_answer_has_a_limit_of_bytes() {
    let mut config = config(2, Durability::Relaxed).with_segment_bytes(4 << 20);
    config.max_answer_bytes = 64 << 10;
    let store = open(config, Directories::in_memory(count(2)));
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(1024, Metric::L2)).unwrap();
    let text: Payload = [("text".to_owned(), "x".repeat(4000).into())]
        .into_iter()
        .collect();
    let points = (0..100).map(|n| Point::new(n, vec![n as f32; 1024]).with_payload(text.clone()));
    client.upsert("c", points.collect()).unwrap();
    let (vector, payload) = (
        With {
            payload: false,
            vector: true,
        },
        With {
            payload: true,
            vector: false,
        },
    );
    let query = || vec![0.0; 1024];
    for with in [vector, payload] {
        let refusals = [
            client.search("c", Search::new(query(), 50).with(with)).err(),
            client
                .search_many("c", Search::many(vec![query(); 10], 10).with(with))
                .err(),
            client.scroll("c", None, 50, with).err(),
            client.get("c", vec![7.into(); 20], with).err(),
        ];
        for refused in refusals {
            let refused = refused.expect("64 KiB are 16 points");
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert!(refused.to_string().contains("above 65536 bytes"), "{refused}");
        }
        assert_eq!(
            client
                .search("c", Search::new(query(), 10).with(with))
                .unwrap()
                .len(),
            10
        );
        assert_eq!(client.scroll("c", None, 10, with).unwrap().len(), 10);
        assert_eq!(client.get("c", vec![7.into(); 10], with).unwrap().len(), 10);
    }
    let plain = client.search("c", Search::new(query(), 100)).unwrap();
    assert_eq!(plain.len(), 100, "ids and scores are few bytes");
    let many = vec![7.into(); 10_001];
    let refused = client.get("c", many, With::default()).unwrap_err();
    assert!(
        refused.to_string().contains("ids: 10001; at most 10000"),
        "{refused}"
    );
}

#[test]
fn a_search_that_cannot_be_answered_is_refused_by_field() {
    let (_store, mut client) = with_collection(2, 2, Metric::L2);
    client
        .upsert("c", (0..5).map(|n| Point::new(n, vec![n as f32, 0.0])).collect())
        .unwrap();
    let nested = (0..20).fold(Filter::And(vec![]), |inner, _| Filter::Not(Box::new(inner)));
    let cases = [
        (Search::new(vec![0.0, 0.0], 0), "k: 0; 1 to 10000"),
        (Search::new(vec![0.0, 0.0], 10_001), "k: 10001"),
        (Search::new(vec![0.0, 0.0], 1).ef(0), "ef: 0; 1 to 10000"),
        (Search::new(vec![0.0, 0.0], 1).ef(10_001), "ef: 10001"),
        (Search::new(vec![0.0], 1), "query 0: 1 numbers"),
        (
            Search::many(vec![vec![0.0, 0.0], vec![0.0, f32::NAN]], 1),
            "query 1: [1] is NaN",
        ),
        (Search::many(vec![], 1), "vectors: 0 queries"),
        (
            Search::many(vec![vec![0.0, 0.0]; 200], 10_000),
            "k: 10000 for each of 200",
        ),
        (
            Search::new(vec![0.0, 0.0], 1).filtered(nested),
            "filter: at most 256",
        ),
    ];
    for (search, reason) in cases {
        let error = client.search_many("c", search).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(reason), "{error}");
    }
    let all = client.search("c", Search::new(vec![0.0, 0.0], 10_000)).unwrap();
    assert_eq!(all.len(), 5, "k over the count returns all there are");
    assert!(client.scroll("c", None, 0, With::default()).is_err());
}

#[test]
fn a_malformed_filter_is_refused_by_key() {
    let cases = [
        (serde_json::json!([]), "is an object"),
        (serde_json::json!({"field": "a"}), "[field]"),
        (serde_json::json!({"field": 1, "equal": 1}), "text `field`"),
        (serde_json::json!({"and": {}}), "`and` takes a list"),
        (serde_json::json!({"or": [{"xor": []}]}), "[xor]"),
        (
            serde_json::json!({"field": "a", "range": {"above": 1}}),
            "`above`",
        ),
        (serde_json::json!({"field": "a", "range": {}}), "no bound"),
        (
            serde_json::json!({"field": "a", "range": {"lt": []}}),
            "neither a number nor a text",
        ),
        (
            serde_json::json!({"field": "a", "in": vec![1; 300]}),
            "at most 256",
        ),
    ];
    for (json, reason) in cases {
        let error = Filter::from_json(&json).unwrap_err();
        assert!(error.to_string().contains(reason), "{json}: {error}");
    }
    let mut deep = serde_json::json!({"and": []});
    for _ in 0..100 {
        deep = serde_json::json!({ "not": deep });
    }
    assert!(Filter::from_json(&deep).unwrap_err().to_string().contains("deep"));
}

#[test]
fn filters_mean_what_they_say() {
    let payload = serde_json::json!({"a": {"b": 5}, "c": "text", "d": 1.5, "e.f": true, "n": null});
    let payload = payload.as_object();
    let cases = [
        (serde_json::json!({"field": "a.b", "equal": 5}), true),
        (serde_json::json!({"field": "a.b", "equal": 5.0}), true),
        (serde_json::json!({"field": "a.b", "equal": "5"}), false),
        (serde_json::json!({"field": "e.f", "equal": true}), true),
        (serde_json::json!({"field": "missing", "equal": null}), false),
        (serde_json::json!({"field": "n", "equal": null}), true),
        (serde_json::json!({"field": "c", "in": ["no", "text"]}), true),
        (serde_json::json!({"field": "c", "in": []}), false),
        (
            serde_json::json!({"field": "d", "range": {"gt": 1, "lt": 2}}),
            true,
        ),
        (serde_json::json!({"field": "d", "range": {"gt": 1.5}}), false),
        (
            serde_json::json!({"field": "d", "range": {"gte": 1.5, "lte": 1.5}}),
            true,
        ),
        (
            serde_json::json!({"field": "c", "range": {"gte": "tex", "lt": "u"}}),
            true,
        ),
        (serde_json::json!({"field": "c", "range": {"gt": 0}}), false),
        (serde_json::json!({"not": {"field": "missing", "equal": 1}}), true),
        (serde_json::json!({"and": []}), true),
        (serde_json::json!({"or": []}), false),
        (
            serde_json::json!({"and": [{"field": "c", "equal": "text"}, {"not": {"field": "d", "equal": 1.5}}]}),
            false,
        ),
        (
            serde_json::json!({"or": [{"field": "c", "equal": "no"}, {"field": "d", "equal": 1.5}]}),
            true,
        ),
    ];
    for (json, wanted) in cases {
        assert_eq!(
            Filter::from_json(&json).unwrap().matches(payload),
            wanted,
            "{json}"
        );
    }
    assert!(!Filter::Equal("a".into(), 1.into()).matches(None));
}

#[test]
fn collections_are_checked_by_name_and_spec() {
    let (_store, mut client) = with_collection(1, 2, Metric::L2);
    let kind = |result: quintet_core::Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(client.create("c", spec(2, Metric::L2))),
        ErrorKind::AlreadyExists
    );
    for name in ["", "a\nb", &"x".repeat(256)] {
        assert_eq!(
            kind(client.create(name, spec(2, Metric::L2))),
            ErrorKind::InvalidInput
        );
    }
    for dimension in [0, 4097] {
        let error = client.create("d", spec(dimension, Metric::L2)).unwrap_err();
        assert!(error.to_string().contains("1 to 4096"), "{error}");
    }
    let poor = Spec {
        budget_bytes: 1023,
        ..spec(2, Metric::L2)
    };
    assert!(
        client
            .create("d", poor)
            .unwrap_err()
            .to_string()
            .contains("budget_bytes")
    );
    assert_eq!(kind(client.drop_collection("none")), ErrorKind::NotFound);
    for error in [
        client.upsert("none", vec![]).unwrap_err(),
        client.search("none", Search::new(vec![1.0], 1)).unwrap_err(),
        client.info("none").unwrap_err(),
        client.get("none", vec![], With::default()).unwrap_err(),
    ] {
        assert!(
            matches!(typed(&error), VectorError::NoCollection { name } if name == "none"),
            "{error:?}"
        );
    }
    assert_eq!(client.list(), ["c"]);
}

#[test]
fn a_budget_is_kept_and_comes_back_with_what_is_deleted() {
    let mut config = config(2, Durability::Relaxed);
    config.cold_tier = false;
    let store = open(config, Directories::in_memory(count(2)));
    let mut client = store.client(count(8)).unwrap();
    client
        .create(
            "small",
            Spec {
                budget_bytes: 4096,
                ..spec(16, Metric::L2)
            },
        )
        .unwrap();
    let point = |n: u64| Point::new(n, vec![n as f32; 16]);
    let mut stored = 0;
    let error = loop {
        match client.upsert("small", vec![point(stored)]) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(
        matches!(
            typed(&error),
            VectorError::OverBudget {
                budget_bytes: 4096,
                ..
            }
        ),
        "{error:?}"
    );
    let info = client.info("small").unwrap();
    assert!(
        stored > 5 && info.count == stored && info.bytes <= 4096,
        "{info:?}"
    );
    assert_eq!(client.delete("small", vec![0.into(), 1.into()]).unwrap(), 2);
    assert_eq!(client.upsert("small", vec![point(100), point(101)]).unwrap(), 2);
    let too_large = (200..300).map(point).collect();
    assert_eq!(
        client.upsert("small", too_large).unwrap_err().kind(),
        ErrorKind::Full
    );
    assert_eq!(
        client.count("small", None).unwrap(),
        stored,
        "nothing of a refused batch is stored"
    );
}

#[test]
fn settings_and_shard_counts_that_do_not_fit_are_refused() {
    let over = VectorConfig {
        max_k: 0,
        ..VectorConfig::default()
    };
    assert!(over.validate().unwrap_err().to_string().contains("max_k"));
    let over = VectorConfig {
        max_batch_bytes: 1 << 40,
        ..VectorConfig::default()
    };
    assert!(
        over.validate()
            .unwrap_err()
            .to_string()
            .contains("max_batch_bytes")
    );
    let index = |change: fn(&mut IndexConfig)| {
        let mut config = VectorConfig::default();
        config.index.as_mut().map(change);
        config.validate().unwrap_err().to_string()
    };
    assert!(index(|index| index.links = 3).contains("index.links: 3; 4 to 64"));
    assert!(index(|index| index.build_ef = 15).contains("index.build_ef: 15; 16"));
    assert!(index(|index| index.max_waiting_points = 19_999).contains("max_waiting_points"));
    let over = VectorConfig {
        block_bytes: 1000,
        ..VectorConfig::default()
    };
    assert!(over.validate().unwrap_err().to_string().contains("block_bytes"));
    let folder = tempfile::tempdir().unwrap();
    let on_disk = |shards| Directories::on_disk(folder.path(), count(shards)).unwrap();
    let store = open(config(2, Durability::Full), on_disk(2));
    let client = store.client(count(1)).unwrap();
    let again = Directories::on_disk(folder.path(), count(2)).err().unwrap();
    assert!(matches!(typed(&again), VectorError::Locked { .. }), "{again:?}");
    assert_eq!(again.kind(), ErrorKind::Unavailable);
    store.close().unwrap();
    let opened = VectorStore::open(config(3, Durability::Full), on_disk(3), Arc::new(SystemClock));
    let error = opened.err().unwrap();
    assert!(
        matches!(
            typed(&error),
            VectorError::ShardCount {
                stored: 2,
                configured: 3
            }
        ),
        "{error:?}"
    );
    // A client that is still there does not keep the files locked.
    drop(open(config(2, Durability::Full), on_disk(2)));
    drop(client);
}
