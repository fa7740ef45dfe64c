//! What a shard's log and snapshots hold, byte by byte: docs/disk-format.md says the same in tables.
//!
//! Little-endian throughout. The frames around it carry the checksums; a record that does not decode all the same is
//! damage or a bug, and is reported, never skipped.

use crate::vector::{Payload, Point, PointId, VectorError};
use quintet_core::Result;
use std::sync::Arc;

const VERSION: u8 = 1;
const UPSERT: u8 = 1;
const DELETE: u8 = 2;
const HEAD_BYTES: usize = 20;
const NO_PAYLOAD: u32 = u32::MAX;

/// A change of one collection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Upsert(Vec<Point>),
    Delete(Vec<PointId>),
}

/// The bytes a point takes in a record.
pub(crate) fn point_bytes(point: &Point, payload_bytes: usize) -> usize {
    id_bytes(&point.id) + 4 + payload_bytes + 4 * point.vector.len()
}

pub(crate) fn id_bytes(id: &PointId) -> usize {
    match id {
        PointId::Number(_) => 9,
        PointId::Name(name) => 3 + name.len(),
    }
}

/// A record in the making.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn upsert(collection: u64, dimension: usize, count: usize) -> Self {
        Self::new(UPSERT, collection, dimension, count)
    }

    pub(crate) fn delete(collection: u64, count: usize) -> Self {
        Self::new(DELETE, collection, 0, count)
    }

    fn new(kind: u8, collection: u64, dimension: usize, count: usize) -> Self {
        let mut bytes = vec![VERSION, kind, 0, 0];
        bytes.extend_from_slice(&(count as u32).to_le_bytes());
        bytes.extend_from_slice(&collection.to_le_bytes());
        bytes.extend_from_slice(&(dimension as u32).to_le_bytes());
        Self { bytes }
    }

    pub(crate) fn id(&mut self, id: &PointId) {
        match id {
            PointId::Number(number) => {
                self.bytes.push(0);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
            PointId::Name(name) => {
                self.bytes.push(1);
                self.bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
                self.bytes.extend_from_slice(name.as_bytes());
            }
        }
    }

    pub(crate) fn point(&mut self, id: &PointId, vector: &[f32], payload: Option<&Payload>) -> Result<()> {
        self.id(id);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&NO_PAYLOAD.to_le_bytes());
        if let Some(payload) = payload {
            serde_json::to_writer(&mut self.bytes, payload)
                .map_err(|error| VectorError::field("payload", error.to_string()))?;
            let len = (self.bytes.len() - at - 4) as u32;
            self.bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
        }
        for number in vector {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        Ok(())
    }

    /// How long it is by now.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Adds what is kept of a point beside its vector.
pub(crate) fn encode_text(bytes: &mut Vec<u8>, id: &PointId, payload: Option<&Payload>) -> Result<()> {
    let mut writer = Writer {
        bytes: std::mem::take(bytes),
    };
    let written = writer.point(id, &[], payload);
    *bytes = writer.bytes;
    written
}

/// Reads it back: a point without a vector, and its payload's length as text.
pub(crate) fn decode_text(text: &[u8]) -> Result<(Point, usize)> {
    let mut reader = Reader { rest: text };
    let point = reader.point(0)?;
    if !reader.rest.is_empty() {
        return Err(damaged(format!("{} bytes are left over", reader.rest.len())));
    }
    let payload_bytes = text.len() - id_bytes(&point.id) - 4;
    Ok((point, payload_bytes))
}

/// Reads a record: the collection's number, the dimension (0 for deletes) and the change.
pub(crate) fn decode(record: &[u8]) -> Result<(u64, usize, Change)> {
    let mut reader = Reader { rest: record };
    let (version, kind) = (reader.take(1)?[0], reader.take(1)?[0]);
    if version != VERSION {
        return Err(damaged(format!("version {version}")));
    }
    reader.take(2)?;
    let count = reader.u32()? as usize;
    let collection = reader.u64()?;
    let dimension = reader.u32()? as usize;
    debug_assert_eq!(record.len() - reader.rest.len(), HEAD_BYTES);
    let change = match kind {
        UPSERT => Change::Upsert(reader.many(count, |reader| reader.point(dimension))?),
        DELETE => Change::Delete(reader.many(count, Reader::id)?),
        _ => return Err(damaged(format!("kind {kind}"))),
    };
    if !reader.rest.is_empty() {
        return Err(damaged(format!("{} bytes are left over", reader.rest.len())));
    }
    Ok((collection, dimension, change))
}

fn damaged(reason: impl Into<String>) -> quintet_core::Error {
    VectorError::damaged("a record", reason)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| damaged(format!("it ends {} bytes early", len - self.rest.len())))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| damaged("it ends early"))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Memory grows with what is there, not with what a count claims.
    fn many<T>(&mut self, count: usize, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..count).map(|_| one(self)).collect()
    }

    fn id(&mut self) -> Result<PointId> {
        match self.take(1)?[0] {
            0 => self.u64().map(PointId::Number),
            1 => {
                let len = u16::from_le_bytes(self.array()?);
                let name = std::str::from_utf8(self.take(usize::from(len))?)
                    .map_err(|error| damaged(format!("an id is not UTF-8: {error}")))?;
                Ok(PointId::from(name))
            }
            tag => Err(damaged(format!("an id has tag {tag}"))),
        }
    }

    fn point(&mut self, dimension: usize) -> Result<Point> {
        let id = self.id()?;
        let payload = match self.u32()? {
            NO_PAYLOAD => None,
            len => {
                let text = self.take(len as usize)?;
                let payload: Payload = serde_json::from_slice(text)
                    .map_err(|error| damaged(format!("the payload of {id}: {error}")))?;
                Some(Arc::new(payload))
            }
        };
        let numbers = self.take(4 * dimension)?.chunks_exact(4);
        let vector = numbers
            .map(|n| f32::from_le_bytes([n[0], n[1], n[2], n[3]]))
            .collect();
        Ok(Point { id, vector, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut writer = Writer::upsert(9, 2, 2);
        let payload = serde_json::json!({"a": [1, "x"]});
        writer
            .point(&7.into(), &[1.0, -2.5], payload.as_object())
            .unwrap();
        writer
            .point(&"name".into(), &[0.0, f32::MIN_POSITIVE], None)
            .unwrap();
        writer.finish()
    }

    #[test]
    fn what_was_written_is_read() {
        let (collection, dimension, change) = decode(&written()).unwrap();
        assert_eq!((collection, dimension), (9, 2));
        let Change::Upsert(points) = change else {
            panic!("{change:?}")
        };
        assert_eq!(points[0].payload.as_ref().unwrap()["a"][1], "x");
        assert_eq!(points[1], Point::new("name", vec![0.0, f32::MIN_POSITIVE]));
        let mut writer = Writer::delete(3, 1);
        writer.id(&"gone".into());
        assert_eq!(
            decode(&writer.finish()).unwrap().2,
            Change::Delete(vec!["gone".into()])
        );
    }

    #[test]
    fn a_record_cut_anywhere_is_damage() {
        let record = written();
        for len in 0..record.len() {
            let error = decode(&record[..len]).unwrap_err();
            assert_eq!(error.kind(), quintet_core::ErrorKind::Corrupted, "{len}");
        }
        let longer = [record, vec![0]].concat();
        assert!(decode(&longer).unwrap_err().to_string().contains("left over"));
    }
}
