//! What each client does: a sequence of writes that a seed decides, so that the state after each of them is known. And what
//! the load notes in the recording.

use quintet_tree::{Path, TreeError, Value, Write};
use serde_json::json;
use std::collections::BTreeMap;

/// Clients of a load. Each has a child of the root to itself.
pub(crate) const CLIENTS: u8 = 3;
/// Writes of each.
pub(crate) const WRITES: u32 = 120;
/// Names that a client's documents have.
const NAMES: u64 = 12;

/// How far a write got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begun = 1,
    Acknowledged = 2,
    /// Told that there is no room: nothing of it may be there.
    Refused = 3,
}

/// A step of one write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) step: Step,
    pub(crate) client: u8,
    pub(crate) write: u32,
}

impl Note {
    pub(crate) fn encode(self) -> [u8; 6] {
        let mut bytes = [self.step as u8, self.client, 0, 0, 0, 0];
        bytes[2..].copy_from_slice(&self.write.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(note: &[u8]) -> Option<Self> {
        let [step, client, write @ ..] = note else {
            return None;
        };
        let step = [Step::Begun, Step::Acknowledged, Step::Refused]
            .into_iter()
            .find(|known| *known as u8 == *step)?;
        let write = u32::from_le_bytes(write.try_into().ok()?);
        Some(Self {
            step,
            client: *client,
            write,
        })
    }
}

/// A small generator (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A client's documents: the number of the name, and what is there.
pub(crate) type State = BTreeMap<u64, Value>;

/// Where a client's document is. Some paths are longer than a row's key can be.
pub(crate) fn place(name: u64) -> Result<Path, TreeError> {
    let long = "long".repeat(90);
    match name % 4 {
        0 => Path::from_names([long.as_str(), long.as_str(), &format!("n{name}")]),
        1 => Path::from_names(["deep", "er", &format!("n{name}"), "leaf"]),
        _ => Path::from_names([format!("n{name}").as_str()]),
    }
}

/// The changes that a client's nth write makes, in places of its own.
pub(crate) fn changes(seed: u64, client: u8, write: u32) -> State {
    let mut random = Random(seed.wrapping_mul(1000) + u64::from(client) * 100_000 + u64::from(write));
    let count = 1 + random.below(3);
    (0..count)
        .map(|change| {
            let name = random.below(NAMES);
            let stamp = json!([write, change]);
            let value = match random.below(6) {
                0 => json!(null),
                1 => json!({"stamp": stamp, "text": "x".repeat(random.below(30_000) as usize + 1)}),
                2 => json!({"stamp": stamp, "list": (0..random.below(300)).collect::<Vec<_>>(), "end": 1}),
                _ => json!({"stamp": stamp}),
            };
            (name, value)
        })
        .collect()
}

/// The same as a write: several places are one update.
pub(crate) fn write(client: u8, changes: &State) -> Result<Write, TreeError> {
    let home = home(client)?;
    let places: Vec<(Path, Value)> = changes
        .iter()
        .map(|(name, value)| Ok((place(*name)?, value.clone())))
        .collect::<Result<_, TreeError>>()?;
    match places.as_slice() {
        [(path, value)] => Ok(Write::set(home.join(path)?, value.clone())),
        _ => Ok(Write::update(home, places)),
    }
}

/// The client's child of the root.
pub(crate) fn home(client: u8) -> Result<Path, TreeError> {
    Path::from_names([format!("client{client}").as_str()])
}

/// Makes the changes.
pub(crate) fn apply(state: &mut State, changes: State) {
    state.extend(changes);
    state.retain(|_, value| !value.is_null());
}
