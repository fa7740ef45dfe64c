//! `/readyz` through the port itself, from the start to the end, with an engine whose disk fails on the way.

use crate::{
    auth::{Settings, Tokens},
    config::{HttpConfig, StmConfig},
    engine::{
        Mount, Part, Roster,
        kv::KvEngine,
        stm::{self, StmEngine},
    },
    port::{
        api::ApiPort,
        life::{Life, Stage},
    },
    size::ByteSize,
};
use quintet_core::{Deadline, Durability, SystemClock};
use quintet_kv::{Config, Store};
use quintet_log::{Fault, FaultDirectory, MemDirectory};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// The whole answer to what was sent.
fn answer(stream: &mut TcpStream) -> (u16, String, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = serde_json::from_str(body).expect("JSON");
    (status.expect("a status"), head.to_ascii_lowercase(), body)
}

fn send(at: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).expect("connected");
    stream.write_all(text.as_bytes()).expect("sent");
    stream
}

fn call(at: SocketAddr, method: &str, path: &str, body: &Value) -> (u16, String, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let length = body.len();
    answer(&mut send(
        at,
        &format!("{method} {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}"),
    ))
}

fn ready(at: SocketAddr) -> (u16, Value) {
    let (status, _, body) = call(at, "GET", "/readyz", &Value::Null);
    assert_eq!(body["ready"], status == 200, "{body}");
    (status, body)
}

struct Rig {
    runtime: tokio::runtime::Runtime,
    life: Life,
    kv: Mount<KvEngine>,
    stm: Mount<StmEngine>,
    port: ApiPort,
    at: SocketAddr,
}

fn rig() -> Rig {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (life, kv, stm) = (Life::new(), Mount::new("kv"), Mount::new("stm"));
    let mut roster = Roster::default();
    roster.add(&kv);
    roster.add(&stm);
    let routes = vec![crate::port::kv::routes(&kv), crate::port::stm::routes(&stm)];
    let tokens = Arc::new(Tokens::open(Settings::OFF, Arc::new(SystemClock)).expect("no tokens"));
    let config = HttpConfig {
        address: None,
        connections: 64,
        body_memory: ByteSize(32 << 20),
    };
    let port = ApiPort::open(
        runtime.handle(),
        &config,
        SocketAddr::from(([127, 0, 0, 1], 0)),
        (Arc::new(roster), routes),
        &tokens,
        life.clone(),
    )
    .expect("a port");
    let line = port.lines().remove(0);
    let url = line.split_whitespace().nth(1).expect("a URL");
    let at = url.trim_start_matches("http://").parse().expect("an address");
    Rig {
        runtime,
        life,
        kv,
        stm,
        port,
        at,
    }
}

fn store(directory: &FaultDirectory) -> Store {
    let config = Config {
        durability: Some(Durability::Full),
        background: false,
        ..Config::default()
    };
    Store::open(config, Arc::new(directory.clone()), Arc::new(SystemClock)).expect("a store")
}

#[test]
fn readiness_follows_the_server_through_its_life_and_one_engines_trouble_stays_its_own() {
    let Rig {
        runtime,
        life,
        kv,
        stm,
        mut port,
        at,
    } = rig();
    let (status, body) = ready(at);
    assert_eq!((status, &body["state"]), (503, &json!("recovering")), "{body}");
    assert_eq!(
        body["engines"]["kv"],
        json!({ "state": "recovering", "reason": "kv is recovering" })
    );
    let (status, head, _) = call(at, "PUT", "/v1/kv/0/a", &json!(1));
    assert!(status == 503 && head.contains("retry-after: 1"), "{head}");

    let faults = FaultDirectory::new(Arc::new(MemDirectory::new()));
    kv.fill(Arc::new(KvEngine::new(store(&faults), 0)));
    let (status, body) = ready(at);
    assert_eq!(status, 503, "stm is not there yet: {body}");
    assert_eq!(body["engines"]["kv"]["state"], "ready");
    let dir = tempfile::tempdir().expect("a directory");
    let durability = Durability::Interval;
    let part = stm::start(&StmConfig { durability }, dir.path(), &stm).expect("contexts");
    life.enter(Stage::Serving);
    let (status, body) = ready(at);
    assert_eq!((status, &body["state"]), (200, &json!("ready")), "{body}");
    assert_eq!(call(at, "PUT", "/v1/kv/0/a", &json!(1)).0, 200);

    // The disk under the keys fails.
    faults.fail_from(0, Fault::Io);
    let (status, _, refused) = call(at, "PUT", "/v1/kv/0/b", &json!(2));
    assert_eq!(status, 503, "{refused}");
    let (status, body) = ready(at);
    assert_eq!((status, &body["state"]), (503, &json!("degraded")), "{body}");
    assert_eq!(body["engines"]["kv"]["state"], "poisoned");
    let reason = body["engines"]["kv"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("input/output error"), "{reason}");
    // Reads of what is safe go on, and the other engine takes writes.
    let (status, _, value) = call(at, "GET", "/v1/kv/0/a", &Value::Null);
    assert_eq!((status, &value["value"]), (200, &json!(1)), "{value}");
    assert_eq!(body["engines"]["stm"]["state"], "ready");
    for n in 0..20 {
        let request = json!({ "ops": [{ "set": { "n": n } }] });
        assert_eq!(call(at, "POST", "/v1/stm/c/transact", &request).0, 200);
        assert_eq!(call(at, "PUT", "/v1/kv/0/b", &json!(n)).0, 503);
    }

    // A request that was under way when the drain began is told of it.
    let mut under_way = send(at, "GET /readyz HTTP/1.0\r\n");
    assert_eq!(
        call(at, "GET", "/livez", &Value::Null).0,
        200,
        "so the other is accepted"
    );
    life.enter(Stage::Draining);
    under_way.write_all(b"\r\n").expect("sent");
    let (status, _, body) = answer(&mut under_way);
    assert_eq!((status, &body["state"]), (503, &json!("draining")), "{body}");
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(20));
    port.drain(deadline).expect("drained");
    Box::new(part).close().expect("closed");
    runtime.shutdown_background();
}

#[test]
fn an_engine_without_room_is_full_and_the_server_not_ready() {
    let rig = rig();
    let directory = FaultDirectory::new(Arc::new(MemDirectory::new()));
    let store = store(&directory);
    store.set("k", "some value").expect("stored");
    rig.kv.fill(Arc::new(KvEngine::new(store, 1)));
    let dir = tempfile::tempdir().expect("a directory");
    let durability = Durability::Interval;
    let _part = stm::start(&StmConfig { durability }, dir.path(), &rig.stm).expect("contexts");
    rig.life.enter(Stage::Serving);
    let (status, body) = ready(rig.at);
    assert_eq!(status, 503);
    assert_eq!(body["engines"]["kv"]["state"], "full", "{body}");
    assert!(
        body["engines"]["kv"]["reason"]
            .as_str()
            .expect("a reason")
            .contains("in use")
    );
    drop(rig.port);
    rig.runtime.shutdown_background();
}
