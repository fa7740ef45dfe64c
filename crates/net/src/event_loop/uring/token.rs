//! What a completion is about, packed into the 64 bits that a request carries.
//!
//! Kind in the top 8 bits, index in the next 24 (a loop has at most 2^24 connections), generation in the low 32. A token of a
//! connection never matches a later one at the same index.

use crate::ConnectionId;

/// Names one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The read of the wake-up eventfd.
    Bell,
    /// The multishot accept.
    Accept,
    /// The multishot receive of a connection.
    Receive(ConnectionId),
    /// The watch for a broken connection that is not received from.
    Watch(ConnectionId),
    /// The send whose flight has this number.
    Send(u32),
    /// A cancellation or a close: nobody waits for it.
    Quiet,
}

const INDEX_MASK: u64 = (1 << 24) - 1;

impl Token {
    pub(super) fn encode(self) -> u64 {
        let of = |kind: u64, id: ConnectionId| {
            kind << 56 | (u64::from(id.index) & INDEX_MASK) << 32 | u64::from(id.generation)
        };
        match self {
            Self::Quiet => 0,
            Self::Bell => 1 << 56,
            Self::Accept => 2 << 56,
            Self::Receive(id) => of(3, id),
            Self::Watch(id) => of(4, id),
            Self::Send(flight) => 5 << 56 | u64::from(flight),
        }
    }

    pub(super) fn decode(bits: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
        let low = bits as u32;
        let id = ConnectionId {
            index: u32::try_from(bits >> 32 & INDEX_MASK).unwrap_or(u32::MAX),
            generation: low,
        };
        match bits >> 56 {
            1 => Self::Bell,
            2 => Self::Accept,
            3 => Self::Receive(id),
            4 => Self::Watch(id),
            5 => Self::Send(low),
            _ => Self::Quiet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_token_survives_the_kernel(kind in 0..6_u8, index in 0..1_u32 << 24, generation: u32) {
            let id = ConnectionId { index, generation };
            let token = match kind {
                0 => Token::Quiet,
                1 => Token::Bell,
                2 => Token::Accept,
                3 => Token::Receive(id),
                4 => Token::Watch(id),
                _ => Token::Send(generation),
            };
            prop_assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
