//! What is written to each engine, and how it is found again: one write a number, through the port that a user would use.

use super::{
    client::{Connection, Reply},
    server::Addresses,
};
use crate::cli::Proven;
use serde_json::{Value, json};
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Mutex, sync::PoisonError};

/// How many are asked for at once.
const BATCH: u64 = 500;

/// What an operation comes to: an error of the connection outside, what is wrong with the answer inside.
type Outcome<T> = io::Result<Result<T, String>>;

/// One engine's way. `store` acknowledges `number` of client `who`; `check` finds 1 to `acknowledged`, and says whether the
/// one after it is there too.
pub(super) trait Load: Sync {
    fn address(&self, addresses: &Addresses) -> Option<SocketAddr>;
    fn prepare(&self, connection: &mut Connection) -> Outcome<()>;
    fn store(&self, connection: &mut Connection, who: usize, number: u64) -> Outcome<()>;
    fn check(&self, connection: &mut Connection, who: usize, acknowledged: u64) -> Outcome<bool>;
}

/// The load of an engine.
pub(super) fn of(engine: Proven) -> Box<dyn Load> {
    match engine {
        Proven::Blocks => Box::new(Blocks::default()),
        Proven::Kv => Box::new(Keys),
        Proven::Vectors => Box::new(Vectors),
        Proven::Stm => Box::new(Transactions),
        Proven::Tree => Box::new(Tree),
    }
}

/// What is right, as an outcome.
fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn accepted(reply: &Reply) -> Result<(), String> {
    expect(reply.status < 300, || {
        format!(
            "answer {}: {}",
            reply.status,
            String::from_utf8_lossy(&reply.body)
        )
    })
}

fn json_of(reply: &Reply) -> Result<Value, String> {
    accepted(reply)?;
    serde_json::from_slice(&reply.body).map_err(|error| error.to_string())
}

/// `SET` by a Redis client.
struct Keys;

impl Load for Keys {
    fn address(&self, addresses: &Addresses) -> Option<SocketAddr> {
        addresses.resp
    }

    fn prepare(&self, _connection: &mut Connection) -> Outcome<()> {
        Ok(Ok(()))
    }

    fn store(&self, connection: &mut Connection, who: usize, number: u64) -> Outcome<()> {
        connection.send(format!("SET {who}:{number} value-{number}\r\n").as_bytes())?;
        let line = connection.line()?;
        Ok(expect(line == "+OK", || format!("SET answered {line}")))
    }

    fn check(&self, connection: &mut Connection, who: usize, acknowledged: u64) -> Outcome<bool> {
        let mut is_there = true;
        for first in (1..=acknowledged + 1).step_by(BATCH as usize) {
            let numbers = first..(first + BATCH).min(acknowledged + 2);
            let asked: String = numbers
                .clone()
                .map(|number| format!("GET {who}:{number}\r\n"))
                .collect();
            connection.send(asked.as_bytes())?;
            for number in numbers {
                let head = connection.line()?;
                is_there = head != "$-1";
                let value = if is_there {
                    connection.line()?
                } else {
                    String::new()
                };
                if number <= acknowledged && value != format!("value-{number}") {
                    return Ok(Err(format!("GET {who}:{number} answers {head} {value:?}")));
                }
            }
        }
        Ok(Ok(is_there))
    }
}

/// One point a write.
struct Vectors;

impl Vectors {
    fn vector(who: usize, number: u64) -> Value {
        json!([number as f32, who as f32, 1.0, 0.5])
    }
}

impl Load for Vectors {
    fn address(&self, addresses: &Addresses) -> Option<SocketAddr> {
        addresses.api
    }

    fn prepare(&self, connection: &mut Connection) -> Outcome<()> {
        let spec = br#"{"dimension":4,"metric":"l2","budget_bytes":8589934592}"#;
        connection
            .call("PUT", "/v1/vectors/prove", spec)
            .map(|reply| accepted(&reply))
    }

    fn store(&self, connection: &mut Connection, who: usize, number: u64) -> Outcome<()> {
        let id = format!("{who}:{number}");
        let points = json!({ "points": [{ "id": id, "vector": Self::vector(who, number) }] });
        let reply = connection.call("PUT", "/v1/vectors/prove/points", points.to_string().as_bytes())?;
        Ok(json_of(&reply).and_then(|answer| expect(answer["stored"] == 1, || answer.to_string())))
    }

    fn check(&self, connection: &mut Connection, who: usize, acknowledged: u64) -> Outcome<bool> {
        let mut is_there = true;
        for first in (1..=acknowledged + 1).step_by(BATCH as usize) {
            let numbers = first..(first + BATCH).min(acknowledged + 2);
            let ids: Vec<String> = numbers.clone().map(|number| format!("{who}:{number}")).collect();
            let asked = json!({ "ids": ids, "with": ["vector"] }).to_string();
            let reply = connection.call("POST", "/v1/vectors/prove/get", asked.as_bytes())?;
            let answer = match json_of(&reply) {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            for (at, number) in numbers.enumerate() {
                let point = &answer["points"][at];
                is_there = !point.is_null();
                if number <= acknowledged && point["vector"] != Self::vector(who, number) {
                    return Ok(Err(format!("point {who}:{number} is {point}")));
                }
            }
        }
        Ok(Ok(is_there))
    }
}

/// Two values in one transaction.
struct Transactions;

impl Load for Transactions {
    fn address(&self, addresses: &Addresses) -> Option<SocketAddr> {
        addresses.api
    }

    fn prepare(&self, connection: &mut Connection) -> Outcome<()> {
        let request = br#"{"ops":[{"set":{"began":true}}]}"#;
        connection
            .call("POST", "/v1/stm/prove/transact", request)
            .map(|reply| accepted(&reply))
    }

    fn store(&self, connection: &mut Connection, who: usize, number: u64) -> Outcome<()> {
        let request = json!({ "isolation": "safe", "ops": [
            { "set": { format!("c{who}.n{number:012}"): number } },
            { "increment": { format!("count.c{who}"): 1 } },
        ] });
        let reply = connection.call("POST", "/v1/stm/prove/transact", request.to_string().as_bytes())?;
        Ok(accepted(&reply))
    }

    fn check(&self, connection: &mut Connection, who: usize, acknowledged: u64) -> Outcome<bool> {
        let (mut found, mut after) = (0, String::new());
        loop {
            let path = format!("/v1/stm/prove/c{who}?limit=10000{after}");
            let reply = connection.call("GET", &path, b"")?;
            if reply.status == 404 && acknowledged == 0 {
                return Ok(Ok(false));
            }
            let page = match json_of(&reply) {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            // In the order of their numbers.
            for (path, value) in page["values"].as_object().into_iter().flatten() {
                found += 1;
                if *value != found {
                    return Ok(Err(format!("{path} is {value}, and {found} is missing")));
                }
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let reply = connection.call("GET", &format!("/v1/stm/prove/count.c{who}"), b"")?;
        let count = json_of(&reply).map(|count| count["value"].clone());
        Ok(count.and_then(|count| {
            expect(count == found, || {
                format!("half a transaction: {found} values, counted {count}")
            })?;
            expect(found >= acknowledged, || format!("{found} are there"))?;
            Ok(found > acknowledged)
        }))
    }
}

/// A document a write.
struct Tree;

impl Load for Tree {
    fn address(&self, addresses: &Addresses) -> Option<SocketAddr> {
        addresses.tree
    }

    fn prepare(&self, _connection: &mut Connection) -> Outcome<()> {
        Ok(Ok(()))
    }

    fn store(&self, connection: &mut Connection, who: usize, number: u64) -> Outcome<()> {
        let path = format!("/prove/c{who}/n{number:012}.json");
        let document = json!({ "number": number, "again": number }).to_string();
        let reply = connection.call("PUT", &path, document.as_bytes())?;
        Ok(accepted(&reply))
    }

    fn check(&self, connection: &mut Connection, who: usize, acknowledged: u64) -> Outcome<bool> {
        let reply = connection.call("GET", &format!("/prove/c{who}.json"), b"")?;
        let documents = match json_of(&reply) {
            Ok(documents) => documents,
            Err(error) => return Ok(Err(error)),
        };
        let mut found = 0;
        // In the order of their numbers.
        for (name, document) in documents.as_object().into_iter().flatten() {
            found += 1;
            if document["number"] != found || document["again"] != found {
                return Ok(Err(format!(
                    "{name} is {document}, and {found} is missing or half"
                )));
            }
        }
        Ok(expect(found >= acknowledged, || format!("{found} are there")).map(|()| found > acknowledged))
    }
}

/// Blocks whose content follows from their number; the names are what the server answered.
#[derive(Default)]
struct Blocks {
    names: Mutex<BTreeMap<(usize, u64), String>>,
}

impl Blocks {
    /// 1 to 64 KiB, mostly small.
    fn content(who: usize, number: u64) -> Vec<u8> {
        let length = 1 + (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize;
        format!("{who}:{number} ")
            .into_bytes()
            .into_iter()
            .cycle()
            .take(length)
            .collect()
    }
}

impl Load for Blocks {
    fn address(&self, addresses: &Addresses) -> Option<SocketAddr> {
        addresses.blocks
    }

    fn prepare(&self, _connection: &mut Connection) -> Outcome<()> {
        Ok(Ok(()))
    }

    fn store(&self, connection: &mut Connection, who: usize, number: u64) -> Outcome<()> {
        let reply = connection.call("PUT", "/block", &Self::content(who, number))?;
        if let Err(refused) = accepted(&reply) {
            return Ok(Err(refused));
        }
        let name = String::from_utf8_lossy(&reply.body).into_owned();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert((who, number), name);
        Ok(Ok(()))
    }

    fn check(&self, connection: &mut Connection, who: usize, acknowledged: u64) -> Outcome<bool> {
        for number in 1..=acknowledged {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let name = names.get(&(who, number)).cloned().unwrap_or_default();
            drop(names);
            let reply = connection.call("GET", &format!("/block/{name}"), b"")?;
            if reply.status != 200 || reply.body != Self::content(who, number) {
                return Ok(Err(format!("block {number}, {name}: answer {}", reply.status)));
            }
        }
        // Nobody was told the name of the one after it; a client writes it again.
        Ok(Ok(false))
    }
}
