//! Which shard a message goes to: by its key, in turn, or by a rule of the caller's.

use crate::ShardId;
use std::num::NonZeroUsize;

/// Chooses the shard of a message. Each port has its own router, so a router may keep state.
pub trait Router<M> {
    /// The shard of `message`, below `shards`; another one is refused by the port.
    fn route(&mut self, message: &M, shards: NonZeroUsize) -> ShardId;
}

/// By the hash of a key: messages with equal keys meet at one shard. Holds the function that finds the key.
#[derive(Clone, Copy, Debug)]
pub struct ByKey<F>(pub F);

impl<M, F: Fn(&M) -> &[u8]> Router<M> for ByKey<F> {
    fn route(&mut self, message: &M, shards: NonZeroUsize) -> ShardId {
        shard_of((self.0)(message), shards)
    }
}

/// One shard after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin {
    next: usize,
}

impl<M> Router<M> for RoundRobin {
    fn route(&mut self, _message: &M, shards: NonZeroUsize) -> ShardId {
        let shard = self.next % shards;
        self.next = shard + 1;
        ShardId(shard)
    }
}

/// By a rule of the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Own<F>(pub F);

impl<M, F: FnMut(&M, NonZeroUsize) -> ShardId> Router<M> for Own<F> {
    fn route(&mut self, message: &M, shards: NonZeroUsize) -> ShardId {
        (self.0)(message, shards)
    }
}

/// The shard that owns `key`. The same on every machine and in every release, since stored data lies by it.
///
/// FNV-1a over the bytes, mixed by the finaliser of splitmix64, scaled to the number of shards.
#[must_use]
pub fn shard_of(key: &[u8], shards: NonZeroUsize) -> ShardId {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    ShardId(((u128::from(hash) * shards.get() as u128) >> 64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_where_stored_data_expects_them() {
        let eight = NonZeroUsize::new(8).unwrap();
        let shards: Vec<usize> = (0..8_u64).map(|n| shard_of(&n.to_le_bytes(), eight).0).collect();
        assert_eq!(shards, PLACES);
    }

    const PLACES: [usize; 8] = [4, 2, 3, 5, 3, 0, 1, 5];

    #[test]
    fn keys_spread_evenly() {
        let shards = NonZeroUsize::new(7).unwrap();
        let mut counts = [0_usize; 7];
        for n in 0..70_000_u64 {
            counts[shard_of(&n.to_le_bytes(), shards).0] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
    }
}
