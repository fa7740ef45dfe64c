//! [`Document`]: a YAML file as a tree of nodes that know where they stand.

use super::{Problem, Problems};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    Location, Spanned,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};
use std::fmt;

/// The largest file, in bytes.
pub(super) const MAX_BYTES: usize = 2 << 20;
/// How deep lists and maps may nest.
const MAX_DEPTH: usize = 48;
/// How many nodes, those that aliases repeat included.
const MAX_NODES: usize = 150_000;
const MAX_ALIASES: usize = 1_000;
/// What the deepest file takes, several times over, also in a build without optimisation.
const STACK_BYTES: usize = 16 << 20;

/// Where something stands. Lines and columns begin at 1; columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// How many characters to underline, at least 1.
    pub(crate) width: u32,
}

impl Place {
    fn of(location: Location) -> Self {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: narrow(location.line()),
            column: narrow(location.column()),
            width: narrow(location.span().len()).max(1),
        }
    }

    /// The place some characters further on the same line.
    pub(crate) fn moved(self, characters: u32, width: u32) -> Self {
        Self {
            column: self.column.saturating_add(characters),
            width: width.max(1),
            ..self
        }
    }
}

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Node {
    /// What it is, for errors.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Int(_) => "a whole number",
            Data::Float(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Data>::deserialize(deserializer)?;
        Ok(Self {
            place: Place::of(spanned.referenced),
            data: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        Data::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Data, E> {
        i64::try_from(value)
            .map(Data::Int)
            .map_err(|_| E::custom(format!("{value} is beyond a 64-bit whole number")))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(Data::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Data, E> {
        Ok(Data::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element::<Node>()? {
            list.push(node);
        }
        Ok(Data::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        while let Some(key) = access.next_key::<Node>()? {
            let text = match key.data {
                Data::Text(text) => text,
                Data::Int(number) => number.to_string(),
                Data::Bool(set) => set.to_string(),
                _ => return Err(A::Error::custom("a key must be text")),
            };
            let value = access.next_value::<Node>()?;
            map.push((
                Key {
                    place: key.place,
                    text,
                },
                value,
            ));
        }
        Ok(Data::Map(map))
    }
}

/// A whole file.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Node,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// One problem: what the YAML itself breaks.
    pub(crate) fn parse(source: &str) -> Result<Self, Problems> {
        if source.len() > MAX_BYTES {
            let message = format!("the file has {} bytes, the limit is {MAX_BYTES}", source.len());
            return Err(Problems::one(source, Problem::new(Place::default(), message)));
        }
        let root = deserialize(source).map_err(|error| {
            let error = error.without_snippet();
            let place = error.location().map(Place::of).unwrap_or_default();
            let message = error.to_string();
            // The parser ends its own text with the place, which is shown beside it here.
            let message = match message.rsplit_once(" at line ") {
                Some((text, place))
                    if place
                        .chars()
                        .all(|c| c.is_ascii_digit() || ", column".contains(c)) =>
                {
                    text.to_owned()
                }
                _ => message,
            };
            Problems::one(source, Problem::new(place.moved(0, 1), message))
        })?;
        Ok(Self { root })
    }
}

/// Reading is recursive, and the caller's stack may be small: it happens on a thread that has room for it.
fn deserialize(source: &str) -> Result<Node, serde_saphyr::Error> {
    let read = || {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: MAX_DEPTH,
                flow_nesting_limit: MAX_DEPTH,
                max_nodes: MAX_NODES,
                max_events: 3 * MAX_NODES,
                max_aliases: MAX_ALIASES,
                max_anchors: MAX_ALIASES,
                max_recorded_anchor_events: MAX_NODES,
                max_recorded_anchor_bytes: MAX_BYTES,
                max_documents: 1,
                max_merge_keys: 0,
            },
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: MAX_NODES / 4,
                max_replay_stack_depth: 16,
            },
            duplicate_keys: DuplicateKeyPolicy::Error,
            merge_keys: MergeKeyPolicy::Error,
            strict_booleans: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options::<Node>(source, options)
    };
    let refused = |why: &str| Err(serde::de::Error::custom(why));
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(STACK_BYTES);
        match reader.spawn_scoped(scope, read).map(|reader| reader.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(_panicked)) => refused("the file cannot be read"),
            Err(_no_thread) => refused("the system has no thread left to read the file with"),
        }
    })
}
