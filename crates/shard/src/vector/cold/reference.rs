//! What a snapshot says of a block that lies in a file: which file, its checksum, and which of its points are left.

use crate::vector::{VectorError, block::Block};
use quintet_core::Result;

/// In a change's place for its kind, see `record.rs`.
const KIND: u8 = 3;
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 32;

/// A block in a file, as an item of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) collection: u64,
    pub(crate) number: u64,
    pub(crate) checksum: u32,
    pub(crate) live: Vec<u64>,
}

impl Reference {
    /// Of a block that lies in a file.
    pub(crate) fn of(collection: u64, block: &Block) -> Option<Self> {
        let (number, checksum) = block.file()?;
        Some(Self {
            collection,
            number,
            checksum,
            live: block.live_words().collect(),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, KIND, 0, 0];
        bytes.extend_from_slice(&(self.live.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.collection.to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        self.live
            .iter()
            .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes
    }

    /// Reads an item; `None` = it is something else.
    pub(crate) fn decode(item: &[u8]) -> Result<Option<Self>> {
        if item.get(1) != Some(&KIND) {
            return Ok(None);
        }
        let damaged = |reason: &str| VectorError::damaged("a snapshot's item", reason);
        if item[0] != VERSION {
            return Err(damaged(&format!("version {}", item[0])));
        }
        let (Some(head), Some((words, []))) = (
            item.first_chunk::<HEAD_BYTES>(),
            item.get(HEAD_BYTES..).map(<[u8]>::as_chunks::<8>),
        ) else {
            return Err(damaged("its length is no block's"));
        };
        let (numbers, _) = head.as_chunks::<4>();
        let number = |at: usize| u32::from_le_bytes(numbers[at]);
        let wide = |at: usize| u64::from(number(at)) | u64::from(number(at + 1)) << 32;
        if number(1) as usize != words.len() {
            return Err(damaged("it does not have as many words as it says"));
        }
        Ok(Some(Self {
            collection: wide(2),
            checksum: number(4),
            number: wide(6),
            live: words.iter().map(|word| u64::from_le_bytes(*word)).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_nothing_shorter_or_longer() {
        let reference = Reference {
            collection: u64::MAX - 1,
            number: 7 << 40,
            checksum: 0xdead_beef,
            live: vec![1, u64::MAX],
        };
        let item = reference.encode();
        assert_eq!(Reference::decode(&item).unwrap(), Some(reference));
        for len in 2..item.len() {
            assert!(Reference::decode(&item[..len]).is_err(), "{len}");
        }
        assert!(Reference::decode(&[item, vec![0]].concat()).is_err());
        assert_eq!(Reference::decode(&[1, 1, 0, 0]).unwrap(), None);
    }
}
