//! A block's record: 24 bytes under its 32-byte digest that say where the content lies and how long it is.
//!
//! All numbers little-endian (docs/disk-format.md, section "Blocks"):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | size class, 0 to 7 |
//! | 2 | 2 | flags, 0 |
//! | 4 | 4 | content length in bytes |
//! | 8 | 8 | block number: the content begins at number × 4096 × 2^class |
//! | 16 | 4 | how many locks the block has |
//! | 20 | 4 | CRC-32 (IEEE) over the digest and bytes 0 to 19 |

use crate::{BlockError, Digest};
use quintet_core::{BlockAddress, SizeClass};

const VERSION: u8 = 1;

/// Where a named block lies and how many of its bytes are content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The block.
    pub address: BlockAddress,
    /// The content's length, 1 to the block's size.
    pub len_bytes: u32,
    /// How many [locks](crate::Lock) keep the block from being deleted.
    pub locks: u32,
}

impl Record {
    /// The length of an encoded record.
    pub const LEN_BYTES: usize = 24;

    /// The record's bytes under `digest`.
    #[must_use]
    pub fn encode(&self, digest: &Digest) -> [u8; Self::LEN_BYTES] {
        let mut bytes = [0; Self::LEN_BYTES];
        bytes[0] = VERSION;
        bytes[1] = self.address.class.index();
        bytes[4..8].copy_from_slice(&self.len_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.address.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.locks.to_le_bytes());
        let crc = checksum(digest, &bytes);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the record stored under `digest`.
    ///
    /// # Errors
    /// [`BlockError::Corrupted`] naming the digest and the field that is wrong.
    pub fn decode(digest: &Digest, bytes: &[u8]) -> Result<Self, BlockError> {
        let refuse = |fault: String| BlockError::corrupted(format!("the record of {digest}"), fault);
        let bytes: &[u8; Self::LEN_BYTES] = bytes
            .try_into()
            .map_err(|_| refuse(format!("{} bytes long, not {}", bytes.len(), Self::LEN_BYTES)))?;
        let [version, class, flag_low, flag_high, l0, l1, l2, l3, n @ ..] = bytes;
        let [n0, n1, n2, n3, n4, n5, n6, n7, k0, k1, k2, k3, c0, c1, c2, c3] = n;
        if checksum(digest, bytes) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
            return Err(refuse("its checksum does not match".into()));
        }
        if *version != VERSION {
            return Err(refuse(format!("version {version}, this build reads {VERSION}")));
        }
        if [*flag_low, *flag_high] != [0; 2] {
            return Err(refuse("flags are not zero".into()));
        }
        let class = SizeClass::from_index(*class)
            .ok_or_else(|| refuse(format!("size class {class}, the last is 7")))?;
        let len_bytes = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
        if len_bytes == 0 || u64::from(len_bytes) > class.size_bytes() {
            return Err(refuse(format!(
                "{len_bytes} bytes of content in a block of {class}"
            )));
        }
        let number = u64::from_le_bytes([*n0, *n1, *n2, *n3, *n4, *n5, *n6, *n7]);
        if number > u64::MAX / SizeClass::LARGEST.size_bytes() / 2 {
            return Err(refuse(format!("block number {number} is beyond any file")));
        }
        Ok(Self {
            address: BlockAddress { class, number },
            len_bytes,
            locks: u32::from_le_bytes([*k0, *k1, *k2, *k3]),
        })
    }
}

fn checksum(digest: &Digest, bytes: &[u8; Record::LEN_BYTES]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&digest.0);
    hasher.update(&bytes[..20]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_what_the_document_says() {
        let record = Record {
            address: BlockAddress {
                class: SizeClass::ALL[3],
                number: 0x0102_0304_0506,
            },
            len_bytes: 0x7FFF,
            locks: 0x0102,
        };
        let bytes = record.encode(&Digest([7; 32]));
        assert_eq!(
            &bytes[..20],
            &[1, 3, 0, 0, 0xFF, 0x7F, 0, 0, 6, 5, 4, 3, 2, 1, 0, 0, 2, 1, 0, 0]
        );
        assert_eq!(Record::decode(&Digest([7; 32]), &bytes).unwrap(), record);
        assert!(
            Record::decode(&Digest([8; 32]), &bytes).is_err(),
            "another block's record"
        );
    }

    proptest! {
        #[test]
        fn every_record_comes_back_and_every_damaged_one_is_refused(
            class in 0_u8..8, number in 0_u64..1 << 40, len in 1_u32..=4096, locks in 0_u32..9, bit in 0_usize..192, cut in 0_usize..24,
        ) {
            let class = SizeClass::from_index(class).unwrap();
            let digest = Digest([class.index(); 32]);
            let record = Record { address: BlockAddress { class, number }, len_bytes: len, locks };
            let mut bytes = record.encode(&digest);
            prop_assert_eq!(Record::decode(&digest, &bytes).unwrap(), record);
            prop_assert!(Record::decode(&digest, &bytes[..cut]).is_err());
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Record::decode(&digest, &bytes).is_err());
        }

        #[test]
        fn garbage_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Record::decode(&Digest([0; 32]), &bytes).is_err());
        }
    }
}
