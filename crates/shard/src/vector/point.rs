//! A point: an id that is kept as it was given, a vector, and perhaps a JSON object.

use std::{fmt, sync::Arc};

/// A point's JSON object.
pub type Payload = serde_json::Map<String, serde_json::Value>;

/// A point's id. Numbers come before names; names are ordered by their bytes. Ties of a search break in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointId {
    /// A number.
    Number(u64),
    /// A name of 1 to 512 bytes.
    Name(Arc<str>),
}

impl PointId {
    /// The bytes by which the owner shard is chosen: stored data lies by them.
    pub(crate) fn routing_key(&self) -> ([u8; 8], Option<&str>) {
        match self {
            Self::Number(number) => (number.to_le_bytes(), None),
            Self::Name(name) => ([0; 8], Some(name)),
        }
    }

    /// The name's length, 0 for a number.
    pub(crate) fn name_bytes(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Name(name) => name.len(),
        }
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => write!(f, "{:?}", &**name),
        }
    }
}

impl From<u64> for PointId {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for PointId {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

/// What a collection stores. Cloning shares the payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Unique in its collection: an upsert replaces the point that had it.
    pub id: PointId,
    /// As many numbers as the collection has dimensions. Empty in an answer that was not asked for vectors.
    pub vector: Vec<f32>,
    /// What filters look at. Objects and lists nest at most 100 deep.
    pub payload: Option<Arc<Payload>>,
}

impl Point {
    /// A point without a payload.
    pub fn new(id: impl Into<PointId>, vector: Vec<f32>) -> Self {
        Self {
            id: id.into(),
            vector,
            payload: None,
        }
    }

    /// The same point with a payload.
    #[must_use]
    pub fn with_payload(mut self, payload: Payload) -> Self {
        self.payload = Some(Arc::new(payload));
        self
    }
}
