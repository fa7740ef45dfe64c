//! Locks: named reasons why a block must not be deleted, each with a few bytes of its owner's.
//!
//! A lock is an entry of the record table, under the block's digest followed by the resource's name; the block's record
//! counts its locks, and both change in one commit. So a deletion looks at nothing but the record, and the locks of a block lie
//! side by side. The value (docs/disk-format.md, section "Blocks"), all numbers little-endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 3 | reserved, 0 |
//! | 4 | 4 | CRC-32 (IEEE) over the key, bytes 0 to 3 and the body |
//! | 8 | | the body, at most 4096 bytes |

use crate::{BlockError, Digest, Record, meta::TableReader};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8;

/// The longest body of a lock, in bytes.
pub const MAX_LOCK_BYTES: usize = 4096;
/// The longest name of a resource, in bytes.
pub const MAX_RESOURCE_BYTES: usize = 255;
/// How many locks one block may have.
pub const MAX_LOCKS: u32 = 256;

/// One lock of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Who holds it: any bytes, 1 to [`MAX_RESOURCE_BYTES`].
    pub resource: Vec<u8>,
    /// What its holder keeps with it, at most [`MAX_LOCK_BYTES`].
    pub body: Vec<u8>,
}

/// Whether a key of the record table is a lock's, and not a record's.
pub(crate) fn is_lock(key: &[u8]) -> bool {
    key.len() > Digest::LEN_BYTES
}

/// Refuses a name that a resource cannot have.
pub(crate) fn check_resource(resource: &[u8]) -> Result<(), BlockError> {
    if resource.is_empty() {
        return Err(BlockError::EmptyResource);
    }
    limit("the name of a resource", resource.len(), MAX_RESOURCE_BYTES)
}

/// Refuses a body that is too long.
pub(crate) fn check_body(body: &[u8]) -> Result<(), BlockError> {
    limit("the body of a lock", body.len(), MAX_LOCK_BYTES)
}

fn limit(what: &'static str, len: usize, max: usize) -> Result<(), BlockError> {
    if len <= max {
        return Ok(());
    }
    let (len_bytes, max_bytes) = (len as u64, max as u64);
    Err(BlockError::TooLarge {
        what,
        len_bytes,
        max_bytes,
    })
}

/// The key of a lock.
pub(crate) fn key(digest: &Digest, resource: &[u8]) -> Vec<u8> {
    [&digest.0, resource].concat()
}

/// The value under `key`.
pub(crate) fn encode(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut value = vec![0; HEADER_BYTES];
    value[0] = VERSION;
    value.extend_from_slice(body);
    let crc = checksum(key, &value);
    value[4..8].copy_from_slice(&crc.to_le_bytes());
    value
}

/// Reads one lock's entry.
///
/// # Errors
/// [`BlockError::Corrupted`] naming the block and what is wrong.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<(Digest, Lock), BlockError> {
    let refuse = |fault: &str| {
        let name = key.escape_ascii();
        BlockError::corrupted(format!("the lock under {name}"), fault)
    };
    let Some((digest, resource)) = key.split_first_chunk() else {
        return Err(refuse("its key is too short"));
    };
    let Some((header, body)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err(refuse("its value is too short"));
    };
    let [version, r0, r1, r2, c0, c1, c2, c3] = *header;
    if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(key, value) {
        return Err(refuse("its checksum does not match"));
    }
    if version != VERSION || [r0, r1, r2] != [0; 3] {
        return Err(refuse("another version, or reserved bytes that are not zero"));
    }
    check_resource(resource)?;
    check_body(body)?;
    let lock = Lock {
        resource: resource.to_vec(),
        body: body.to_vec(),
    };
    Ok((Digest(*digest), lock))
}

/// The durable locks of a block; `None` = there is no such block.
pub(crate) fn of_block(records: &TableReader, digest: &Digest) -> Result<Option<Vec<Lock>>, BlockError> {
    let Some(record) = records.get(&digest.0)? else {
        return Ok(None);
    };
    let mut locks = Vec::new();
    if Record::decode(digest, &record)?.locks > 0 {
        records.scan_prefix(&digest.0, &mut |key, value| {
            if is_lock(key) {
                locks.push(decode(key, value)?.1);
            }
            Ok(())
        })?;
    }
    locks.sort_unstable_by(|a, b| a.resource.cmp(&b.resource));
    Ok(Some(locks))
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&value[..4]);
    hasher.update(&value[HEADER_BYTES..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_what_the_document_says() {
        let digest = Digest([7; 32]);
        let key = key(&digest, b"backup");
        assert_eq!((&key[..32], &key[32..]), (&[7; 32][..], &b"backup"[..]));
        assert!(is_lock(&key) && !is_lock(&digest.0));
        let value = encode(&key, b"until noon");
        assert_eq!(
            (&value[..4], &value[8..]),
            (&[1, 0, 0, 0][..], &b"until noon"[..])
        );
        let mut other = key.clone();
        other[3] ^= 1;
        assert!(decode(&other, &value).is_err(), "another block's lock");
    }

    proptest! {
        #[test]
        fn every_lock_comes_back_and_every_damaged_one_is_refused(
            resource in prop::collection::vec(any::<u8>(), 1..40), body in prop::collection::vec(any::<u8>(), 0..60),
            bit in 0_usize..64, cut in 0_usize..8,
        ) {
            let digest = Digest([3; 32]);
            let key = key(&digest, &resource);
            let mut value = encode(&key, &body);
            prop_assert_eq!(decode(&key, &value).unwrap(), (digest, Lock { resource, body }));
            prop_assert!(decode(&key, &value[..cut]).is_err());
            value[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&key, &value).is_err());
        }

        #[test]
        fn garbage_is_refused_without_a_panic(
            key in prop::collection::vec(any::<u8>(), 0..64), value in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            prop_assert!(decode(&key, &value).is_err());
        }
    }
}
