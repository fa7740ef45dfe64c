//! CLIENT: what a connection says and learns about itself and the others.

use super::Session;
use crate::{
    port::{command::Fail, command::fail, lobby::ClientFacts, reply::Reply},
    value::Bytes,
};
use std::fmt::Write as _;

impl Session {
    pub(super) fn client(&mut self, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        let word = arguments
            .get(1)
            .map_or_else(Vec::new, |word| word.to_ascii_uppercase());
        match (word.as_slice(), arguments.get(2..).unwrap_or(&[])) {
            (b"ID", []) => reply.int(i64::try_from(self.number).unwrap_or(i64::MAX)),
            (b"GETNAME", []) if self.name.is_empty() => reply.null(),
            (b"GETNAME", []) => reply.bulk(&self.name),
            (b"SETNAME", [name]) => {
                self.set_name(name)?;
                self.publish_facts(reply.resp3);
                reply.ok();
            }
            (b"SETINFO", [_, _]) => reply.ok(),
            (b"NO-EVICT", [word]) if is(word, "ON") || is(word, "OFF") => reply.ok(),
            (b"INFO", []) => {
                let line = self
                    .shared
                    .clients()
                    .get(&self.number)
                    .map(|facts| self.line(self.number, facts));
                reply.bulk(line.unwrap_or_default().as_bytes());
            }
            (b"LIST", []) => {
                let clients = self.shared.clients().clone();
                let lines = clients.iter().map(|(number, facts)| self.line(*number, facts));
                reply.bulk(lines.collect::<String>().as_bytes());
            }
            (b"KILL", [word, number]) if is(word, "ID") => {
                let number = crate::port::command::parse_int(number)
                    .and_then(|number| u64::try_from(number).ok())
                    .ok_or_else(|| fail("ERR client-id should be greater than 0"))?;
                reply.bool(self.kill(number));
            }
            _ => {
                let word = arguments.get(1).map_or(&[][..], |word| word).escape_ascii();
                let text = format!(
                    "ERR unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP."
                );
                return Err(Fail::Line(text.into()));
            }
        }
        Ok(())
    }

    /// Ends a connection, this one after its answer; whether it was there.
    fn kill(&mut self, number: u64) -> bool {
        if number == self.number {
            self.closing = true;
            return true;
        }
        let found = self
            .shared
            .clients()
            .get(&number)
            .map(|facts| (facts.worker, facts.id));
        if let Some((worker, id)) = found {
            self.shared.hub.cut(worker, id);
        }
        found.is_some()
    }

    fn line(&self, number: u64, facts: &ClientFacts) -> String {
        let age = self.now().saturating_duration_since(facts.since).as_secs();
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            line,
            "id={number} addr={} name={} age={age} db={} resp={} user=default",
            facts.peer,
            facts.name.escape_ascii(),
            facts.database,
            if facts.resp3 { 3 } else { 2 }
        );
        line
    }

    /// Keeps what others see of this connection up to date.
    pub(super) fn publish_facts(&self, resp3: bool) {
        if let Some(facts) = self.shared.clients().get_mut(&self.number) {
            facts.name.clone_from(&self.name);
            facts.database = self.database;
            facts.resp3 = resp3;
        }
    }
}

fn is(word: &[u8], expected: &str) -> bool {
    word.eq_ignore_ascii_case(expected.as_bytes())
}
