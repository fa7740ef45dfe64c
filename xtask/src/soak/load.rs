//! The clients: each owns places in one engine and rewrites them in turn, so that what must be there follows from a number.
//!
//! Write number n puts n into place n modulo [`PLACES`]. After n was acknowledged each place holds the last number that
//! belongs there; the one write that was under way may have taken place or not, whole.

use super::{
    client::{Connection, Reply},
    server::Addresses,
};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::{
    io,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// How many places a client has.
const PLACES: u64 = 200;

/// The engines, each with the port that its clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Blocks,
    Kv,
    Vectors,
    Stm,
    Tree,
}

pub(super) const ENGINES: [Engine; 5] = [
    Engine::Blocks,
    Engine::Kv,
    Engine::Vectors,
    Engine::Stm,
    Engine::Tree,
];

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Kv => "kv",
            Self::Vectors => "vectors",
            Self::Stm => "stm",
            Self::Tree => "tree",
        }
    }
}

/// An operation's outcome: an error of the connection outside, what is wrong with the answer inside.
type Outcome<T> = io::Result<Result<T, String>>;

/// One client, through all lives of the server.
pub(super) struct Seat {
    pub(super) engine: Engine,
    who: usize,
    /// The last write that was acknowledged.
    pub(super) acknowledged: u64,
    /// Values that were compared.
    pub(super) checked: u64,
    /// The names of the blocks in the places.
    names: Vec<String>,
}

impl Seat {
    pub(super) fn new(engine: Engine, who: usize) -> Self {
        Self {
            engine,
            who,
            acknowledged: 0,
            checked: 0,
            names: vec![String::new(); PLACES as usize],
        }
    }

    /// Compares everything, says so, then writes until the server has gone or it is over.
    pub(super) fn live(
        &mut self,
        addresses: &Addresses,
        is_over: &AtomicBool,
        checked: &AtomicUsize,
    ) -> Result<()> {
        let address = match self.engine {
            Engine::Blocks => addresses.blocks,
            Engine::Kv => addresses.resp,
            Engine::Tree => addresses.tree,
            Engine::Vectors | Engine::Stm => addresses.api,
        };
        let (name, who) = (self.engine.name(), self.who);
        let mut connection = Connection::open(address)?;
        match self.check(&mut connection) {
            Ok(Ok(())) => {}
            Ok(Err(what)) => bail!(
                "LOST: {name} client {who}: after {} acknowledged writes {what}",
                self.acknowledged
            ),
            Err(error) => bail!("{name} client {who}: the check was cut off: {error}"),
        }
        checked.fetch_add(1, Ordering::AcqRel);
        while !is_over.load(Ordering::Acquire) {
            let number = self.acknowledged + 1;
            match self.write(&mut connection, number) {
                Ok(Ok(())) => self.acknowledged = number,
                Ok(Err(what)) => bail!("{name} client {who}: write {number}: {what}"),
                Err(_the_end) => return Ok(()),
            }
        }
        Ok(())
    }

    fn write(&mut self, connection: &mut Connection, number: u64) -> Outcome<()> {
        let (who, place) = (self.who, number % PLACES);
        let reply = match self.engine {
            Engine::Kv => {
                connection.send(format!("SET {who}:{place} {number}\r\nGET {who}:{place}\r\n").as_bytes())?;
                let (set, head, value) = (connection.line()?, connection.line()?, connection.line()?);
                let is_right = set == "+OK" && value == number.to_string();
                return Ok(expect(is_right, || {
                    format!("SET answered {set}, GET {head} {value}")
                }));
            }
            Engine::Blocks => return self.write_block(connection, number),
            Engine::Vectors => {
                let points = json!({ "points": [{ "id": who as u64 * PLACES + place,
                    "vector": [place, who, 1.0, 0.5], "payload": { "n": number } }] });
                let stored =
                    connection.call("PUT", "/v1/vectors/soak/points", points.to_string().as_bytes())?;
                if stored.status >= 300 {
                    return Ok(accepted(&stored));
                }
                let search = json!({ "vector": [place, who, 1.0, 0.5], "k": 3 }).to_string();
                connection.call("POST", "/v1/vectors/soak/search", search.as_bytes())?
            }
            Engine::Stm => {
                let ops = json!({ "ops": [{ "set": { format!("c{who}.p{place}"): number } },
                    { "set": { format!("last.c{who}"): number } }] });
                connection.call("POST", "/v1/stm/soak/transact", ops.to_string().as_bytes())?
            }
            Engine::Tree => {
                let path = format!("/soak/c{who}/p{place}.json");
                connection.call("PUT", &path, number.to_string().as_bytes())?
            }
        };
        Ok(accepted(&reply))
    }

    /// The block that was in the place is deleted when the new one is there.
    fn write_block(&mut self, connection: &mut Connection, number: u64) -> Outcome<()> {
        let reply = connection.call("PUT", "/block", &content(self.who, number))?;
        if reply.status != 200 {
            return Ok(accepted(&reply));
        }
        let name = String::from_utf8_lossy(&reply.body).trim().to_owned();
        let place = (number % PLACES) as usize;
        let old = std::mem::replace(&mut self.names[place], name);
        if !old.is_empty() && old != self.names[place] {
            let reply = connection.call("DELETE", &format!("/block/{old}"), b"")?;
            // Gone already when the write is done again after a life that ended in it.
            if reply.status >= 300 && reply.status != 404 {
                return Ok(accepted(&reply));
            }
        }
        Ok(Ok(()))
    }

    fn check(&mut self, connection: &mut Connection) -> Outcome<()> {
        if self.acknowledged == 0 && self.engine == Engine::Vectors {
            let spec = br#"{"dimension":4,"metric":"l2"}"#;
            let made = connection.call("PUT", "/v1/vectors/soak", spec)?;
            if made.status != 409 && made.status >= 300 {
                return Ok(accepted(&made));
            }
        }
        let places: Vec<u64> = (0..PLACES).filter(|place| self.expected(*place) > 0).collect();
        for place in places {
            if self.engine == Engine::Blocks {
                if let Err(what) = self.check_block(connection, place)? {
                    return Ok(Err(what));
                }
                continue;
            }
            let found = match self.read(connection, place)? {
                Ok(found) => found,
                Err(what) => return Ok(Err(what)),
            };
            self.checked += 1;
            let (expected, tried) = (self.expected(place), self.acknowledged + 1);
            let is_right = found == expected || (found == tried && tried % PLACES == place);
            if !is_right {
                return Ok(Err(format!("place {place} holds {found}, not {expected}")));
            }
        }
        Ok(Ok(()))
    }

    /// The last acknowledged number that belongs into a place; 0 = none.
    fn expected(&self, place: u64) -> u64 {
        let back = (self.acknowledged + PLACES - place) % PLACES;
        self.acknowledged.saturating_sub(back)
    }

    fn read(&self, connection: &mut Connection, place: u64) -> Outcome<u64> {
        let who = self.who;
        let number = |value: &Value| {
            value
                .as_u64()
                .ok_or_else(|| format!("place {place} answers {value}"))
        };
        match self.engine {
            Engine::Kv => {
                connection.send(format!("GET {who}:{place}\r\n").as_bytes())?;
                let head = connection.line()?;
                if head == "$-1" {
                    return Ok(Err(format!("place {place} is empty")));
                }
                let value = connection.line()?;
                Ok(value
                    .parse()
                    .map_err(|_| format!("place {place} holds {value:?}")))
            }
            Engine::Vectors => {
                let asked = json!({ "ids": [who as u64 * PLACES + place], "with": ["payload"] });
                let reply = connection.call("POST", "/v1/vectors/soak/get", asked.to_string().as_bytes())?;
                Ok(json_of(&reply).and_then(|answer| number(&answer["points"][0]["payload"]["n"])))
            }
            Engine::Stm => {
                let reply = connection.call("GET", &format!("/v1/stm/soak/c{who}.p{place}"), b"")?;
                Ok(json_of(&reply).and_then(|answer| number(&answer["value"])))
            }
            Engine::Tree => {
                let reply = connection.call("GET", &format!("/soak/c{who}/p{place}.json"), b"")?;
                Ok(json_of(&reply).and_then(|answer| number(&answer)))
            }
            Engine::Blocks => Ok(Err("a block is not a number".into())),
        }
    }

    /// The place's block is there, unless the write under way has just replaced it.
    fn check_block(&mut self, connection: &mut Connection, place: u64) -> Outcome<()> {
        let (expected, name) = (self.expected(place), &self.names[place as usize]);
        let tried = self.acknowledged + 1;
        let reply = connection.call("GET", &format!("/block/{name}"), b"")?;
        self.checked += 1;
        let is_right = reply.status == 200
            && (reply.body == content(self.who, expected)
                || (tried % PLACES == place && reply.body == content(self.who, tried)));
        Ok(expect(is_right, || {
            format!(
                "place {place}: block {name} of write {expected} answers {}",
                reply.status
            )
        }))
    }
}

/// 1 byte to 32 KiB, another one for each write.
fn content(who: usize, number: u64) -> Vec<u8> {
    let length = 24 + (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 49) as usize;
    let text = format!("{who}:{number} ");
    text.into_bytes().into_iter().cycle().take(length).collect()
}

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
