//! SIGKILL under load through the Redis port and the API port, over and over: every change that was acknowledged is there
//! after the restart, at each engine's default durability.
//!
//! Each client owns its keys and counts up: what it was last told is the least that must be there, and one more is the
//! most, because the last request may have been done without its answer. `CRASH_ROUNDS` asks for more rounds than three.

use crate::client::Client;
use crate::process::Server;
use serde_json::{Value, json};
use std::{
    io,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// What one client does again and again, and how its last success is found.
trait Load: Send + Sync {
    /// Where it connects.
    fn address(&self, server: &Server) -> SocketAddr;
    /// Stores `number` for the client; an error when the connection breaks.
    fn store(&self, client: &mut Client, who: usize, number: u64) -> io::Result<()>;
    /// The number that is there, and whether everything about it fits.
    fn stored(&self, client: &mut Client, who: usize) -> u64;
}

fn done(reply: crate::client::Reply) -> Value {
    assert!(reply.status < 300, "{}", reply.text());
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// `INCR` by a Redis client.
struct Resp;

impl Load for Resp {
    fn address(&self, server: &Server) -> SocketAddr {
        server.resp()
    }

    fn store(&self, client: &mut Client, who: usize, number: u64) -> io::Result<()> {
        client.send(format!("INCR count-{who}\r\nRPUSH list-{who} {number}\r\n").as_bytes())?;
        assert_eq!(client.line()?, format!(":{number}"));
        client
            .line()
            .map(|length| assert_eq!(length, format!(":{number}")))
    }

    fn stored(&self, client: &mut Client, who: usize) -> u64 {
        client
            .send(format!("INCRBY count-{who} 0\r\nLLEN list-{who}\r\n").as_bytes())
            .expect("sent");
        let numbers: Vec<u64> = (0..2)
            .map(|_| client.line().expect("an answer")[1..].parse().expect("a number"))
            .collect();
        // The second command of the last pair may be missing; it is made up for, so that both go on as one.
        assert!(
            numbers[0] == numbers[1] || numbers[0] == numbers[1] + 1,
            "{numbers:?}"
        );
        if numbers[0] > numbers[1] {
            client
                .send(format!("RPUSH list-{who} x\r\n").as_bytes())
                .expect("sent");
            client.line().expect("an answer");
        }
        numbers[0]
    }
}

/// A batch of two points, all or nothing within a shard.
struct Vectors;

impl Load for Vectors {
    fn address(&self, server: &Server) -> SocketAddr {
        server.api()
    }

    fn store(&self, client: &mut Client, who: usize, number: u64) -> io::Result<()> {
        let points = json!({ "points": [{
            "id": format!("{who}-{number}"), "vector": [number as f64, who as f64, 1.0], "payload": { "who": who },
        }] });
        let reply = client.call("PUT", "/v1/vectors/c/points", Some(points.to_string().as_bytes()))?;
        assert_eq!(done(reply)["stored"], 1);
        Ok(())
    }

    fn stored(&self, client: &mut Client, who: usize) -> u64 {
        let filter = json!({ "filter": { "field": "who", "equal": who } }).to_string();
        let reply = client
            .call("POST", "/v1/vectors/c/count", Some(filter.as_bytes()))
            .expect("an answer");
        let count = done(reply)["count"].as_u64().expect("a count");
        // The newest is found by its own vector, with nothing missing before it.
        if count > 0 {
            let query = json!({ "vector": [count as f64, who as f64, 1.0], "k": 1 }).to_string();
            let reply = client
                .call("POST", "/v1/vectors/c/search", Some(query.as_bytes()))
                .expect("an answer");
            assert_eq!(done(reply)["hits"][0]["id"], format!("{who}-{count}"));
        }
        count
    }
}

/// Two values that one transaction changes.
struct Stm;

impl Load for Stm {
    fn address(&self, server: &Server) -> SocketAddr {
        server.api()
    }

    fn store(&self, client: &mut Client, who: usize, number: u64) -> io::Result<()> {
        let request = json!({ "isolation": "safe", "ops": [
            { "increment": { format!("count.c{who}"): 1 } },
            { "set": { format!("last.c{who}"): number } },
        ] });
        let reply = client.call(
            "POST",
            "/v1/stm/shop/transact",
            Some(request.to_string().as_bytes()),
        )?;
        assert!(done(reply)["version"].as_u64() > Some(0));
        Ok(())
    }

    fn stored(&self, client: &mut Client, who: usize) -> u64 {
        let mut value = |branch: &str| {
            let path = format!("/v1/stm/shop/{branch}.c{who}");
            let reply = client.call("GET", &path, None).expect("an answer");
            if reply.status == 404 {
                0
            } else {
                done(reply)["value"].as_u64().expect("a number")
            }
        };
        let (count, last) = (value("count"), value("last"));
        assert_eq!(count, last, "half a transaction");
        count
    }
}

const CLIENTS: usize = 4;

fn rounds(load: &dyn Load, data: &Path, prepare: impl Fn(&mut Client)) {
    let count = std::env::var("CRASH_ROUNDS").map_or(3, |text| text.parse().expect("a whole number"));
    let flags = ["--without", "blocks"];
    let mut known = [0_u64; CLIENTS];
    for round in 0..count {
        let server = Server::start_with(data, &flags, &[]);
        let address = load.address(&server);
        let mut client = Client::connect(address).expect("connected");
        if round == 0 {
            prepare(&mut client);
        }
        check(load, &mut client, &mut known);
        thread::scope(|scope| {
            for (who, last) in known.iter_mut().enumerate() {
                scope.spawn(move || {
                    let mut client = Client::connect(address).expect("connected");
                    while load.store(&mut client, who, *last + 1).is_ok() {
                        *last += 1;
                    }
                });
            }
            // The random moment is the point; nothing is waited for.
            let moment =
                Instant::now() + Duration::from_millis(150 + u64::from(std::process::id()) * 7 % 150);
            while let Some(left) = moment.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
            server.kill();
        });
    }
    let server = Server::start_with(data, &flags, &[]);
    let mut client = Client::connect(load.address(&server)).expect("connected");
    check(load, &mut client, &mut known);
    assert!(known.iter().all(|last| *last > 0), "no load: {known:?}");
    server.stop();
}

/// Everything acknowledged is there; at most the one request that was on its way is there besides.
fn check(load: &dyn Load, client: &mut Client, known: &mut [u64]) {
    for (who, last) in known.iter_mut().enumerate() {
        let found = load.stored(client, who);
        assert!(
            found == *last || found == *last + 1,
            "client {who} was told {last}, there is {found}"
        );
        *last = found;
    }
}

#[test]
fn crash_sigkill_loses_no_acknowledged_command() {
    let dir = tempfile::tempdir().expect("a directory");
    rounds(&Resp, dir.path(), |_| {});
}

#[test]
fn crash_sigkill_loses_no_acknowledged_point() {
    let dir = tempfile::tempdir().expect("a directory");
    rounds(&Vectors, dir.path(), |client| {
        let spec = br#"{"dimension":3,"metric":"l2"}"#;
        assert_eq!(
            client
                .call("PUT", "/v1/vectors/c", Some(spec))
                .expect("an answer")
                .status,
            201
        );
    });
}

#[test]
fn crash_sigkill_loses_no_acknowledged_transaction() {
    let dir = tempfile::tempdir().expect("a directory");
    rounds(&Stm, dir.path(), |client| {
        let request = br#"{"ops":[{"set":{"began":true}}]}"#;
        let reply = client
            .call("POST", "/v1/stm/shop/transact", Some(request))
            .expect("an answer");
        assert_eq!(reply.status, 200);
    });
}
