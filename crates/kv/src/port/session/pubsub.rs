//! Subscriptions of a connection, and publishing.

use super::Session;
use crate::{
    port::{command::Fail, reply::Reply},
    value::Bytes,
};

/// Channels and patterns that one connection may have.
const MAX_SUBSCRIPTIONS: usize = 1 << 16;

impl Session {
    pub(super) fn pubsub(&mut self, name: &[u8], arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        match name {
            b"SUBSCRIBE" => self.subscribe(false, &arguments[1..], reply),
            b"PSUBSCRIBE" => self.subscribe(true, &arguments[1..], reply),
            b"UNSUBSCRIBE" => {
                self.unsubscribe(false, &arguments[1..], reply);
                Ok(())
            }
            b"PUNSUBSCRIBE" => {
                self.unsubscribe(true, &arguments[1..], reply);
                Ok(())
            }
            b"PUBLISH" => {
                reply.count(self.shared.hub.publish(&arguments[1], &arguments[2]));
                Ok(())
            }
            _ => self.survey(arguments, reply),
        }
    }

    fn subscribe(&mut self, by_pattern: bool, names: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        if self.channels.len() + self.patterns.len() + names.len() > MAX_SUBSCRIPTIONS {
            return Err(Fail::Line("ERR too many subscriptions".into()));
        }
        for name in names {
            let mine = if by_pattern {
                &mut self.patterns
            } else {
                &mut self.channels
            };
            if mine.insert(name.to_vec()) {
                self.shared
                    .hub
                    .subscribe(by_pattern, name, (self.worker, self.id));
            }
            let kind = if by_pattern { "psubscribe" } else { "subscribe" };
            self.confirm(kind, Some(name), reply);
        }
        Ok(())
    }

    /// Without names, all of the kind.
    fn unsubscribe(&mut self, by_pattern: bool, names: &[Bytes], reply: &mut Reply) {
        let kind = if by_pattern { "punsubscribe" } else { "unsubscribe" };
        let mine = if by_pattern {
            &self.patterns
        } else {
            &self.channels
        };
        let names: Vec<Vec<u8>> = if names.is_empty() {
            mine.iter().cloned().collect()
        } else {
            names.iter().map(|name| name.to_vec()).collect()
        };
        if names.is_empty() {
            self.confirm(kind, None, reply);
        }
        for name in names {
            let mine = if by_pattern {
                &mut self.patterns
            } else {
                &mut self.channels
            };
            if mine.remove(&name) {
                self.shared
                    .hub
                    .unsubscribe(by_pattern, &name, (self.worker, self.id));
            }
            self.confirm(kind, Some(&name), reply);
        }
    }

    fn confirm(&self, kind: &str, name: Option<&[u8]>, reply: &mut Reply) {
        reply.push(3);
        reply.bulk(kind.as_bytes());
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.count(self.channels.len() + self.patterns.len());
    }

    fn survey(&self, arguments: &[Bytes], reply: &mut Reply) -> Result<(), Fail> {
        let word = arguments[1].to_ascii_uppercase();
        match (word.as_slice(), &arguments[2..]) {
            (b"CHANNELS", globs @ ([] | [_])) => {
                let channels = self.shared.hub.channels(globs.first().map_or(b"*", |glob| glob));
                reply.array(channels.len());
                channels.iter().for_each(|channel| reply.bulk(channel));
            }
            (b"NUMSUB", channels) => {
                reply.array(2 * channels.len());
                for channel in channels {
                    reply.bulk(channel);
                    reply.count(self.shared.hub.readers(channel));
                }
            }
            (b"NUMPAT", []) => reply.count(self.shared.hub.patterns()),
            _ => {
                let word = arguments[1].escape_ascii();
                let text = format!(
                    "ERR unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
                );
                return Err(Fail::Line(text.into()));
            }
        }
        Ok(())
    }
}
