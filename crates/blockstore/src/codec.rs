//! Recorded traffic between workers and a controller: what a handler was asked and what it answered, step by step, so that
//! a trace from a running store can be replayed into a fresh handler and compared.
//!
//! One step is a format byte and a bincode body; a trace is steps with a little-endian length before each. Only traces
//! use this: nothing that a user must read in ten years does. The wire types are this module's own, so that a change of
//! the messages is a change of the format that the compiler points at.

use crate::{BlockError, BlockMessage, BlockReply, Digest, Record};
use bincode::config;
use quintet_core::{BlockAddress, ErrorKind, SizeClass};
use serde::{Deserialize, Serialize};

/// The format of the bytes after it.
const FORMAT: u8 = 2;

/// The largest step: an `Allocate` of every block that one message may be about takes far less.
pub const MAX_STEP_BYTES: usize = 64 << 10;

/// One step of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A message was handled.
    Handled {
        /// What was asked.
        message: BlockMessage,
        /// What was answered; of an error, its kind.
        reply: Result<BlockReply, ErrorKind>,
    },
    /// A batch was committed.
    Committed,
}

#[derive(Serialize, Deserialize)]
struct WireAddress(u8, u64);

#[derive(Serialize, Deserialize)]
enum WireMessage {
    GetAddress([u8; 32]),
    Release([u8; 32]),
    Return(Vec<WireAddress>),
    Allocate(u8, u32),
    Occupy([u8; 32], WireAddress, u32),
    Lock([u8; 32], Vec<u8>, Vec<u8>),
    Unlock([u8; 32], Vec<u8>),
    Trim,
    Punch(u64),
}

#[derive(Serialize, Deserialize)]
enum WireReply {
    Address(WireAddress, u32, u32),
    Released,
    Returned,
    Granted(Vec<WireAddress>),
    Occupied(Option<WireAddress>),
    Refused(u8),
    Locked,
    Unlocked,
    Trimmed(u64),
    Punched(Option<u64>, u64),
}

#[derive(Serialize, Deserialize)]
enum WireStep {
    Handled(WireMessage, WireReply),
    Committed,
}

/// The bytes of one step.
///
/// # Errors
/// [`BlockError::TooLarge`] above [`MAX_STEP_BYTES`]: a message beyond [`BlockMessage::MAX_COUNT`].
pub fn encode(step: &Step) -> Result<Vec<u8>, BlockError> {
    let mut bytes = vec![FORMAT];
    let settings = config::standard().with_limit::<MAX_STEP_BYTES>();
    let refuse = |fault: bincode::error::EncodeError| damaged(fault.to_string());
    bytes.extend(bincode::serde::encode_to_vec(wire_step(step), settings).map_err(refuse)?);
    if bytes.len() > MAX_STEP_BYTES {
        let (len_bytes, max_bytes) = (bytes.len() as u64, MAX_STEP_BYTES as u64);
        return Err(BlockError::TooLarge {
            what: "a step of a trace",
            len_bytes,
            max_bytes,
        });
    }
    Ok(bytes)
}

/// Reads one step. Never panics; memory is bounded by [`MAX_STEP_BYTES`].
///
/// # Errors
/// [`BlockError::Corrupted`] for another format, a prefix of a step, bytes after it, or anything that is not one.
pub fn decode(bytes: &[u8]) -> Result<Step, BlockError> {
    let Some((&FORMAT, body)) = bytes.split_first() else {
        return Err(damaged(format!("it does not begin with format byte {FORMAT}")));
    };
    let settings = config::standard().with_limit::<MAX_STEP_BYTES>();
    let (step, len): (WireStep, usize) =
        bincode::serde::decode_from_slice(body, settings).map_err(|fault| damaged(fault.to_string()))?;
    if len != body.len() {
        return Err(damaged(format!("{} bytes after its end", body.len() - len)));
    }
    step_of(step).ok_or_else(|| damaged("a size class or error kind that does not exist".to_owned()))
}

/// Appends a step to a trace.
///
/// # Errors
/// As [`encode`].
pub fn append(trace: &mut Vec<u8>, step: &Step) -> Result<(), BlockError> {
    let bytes = encode(step)?;
    trace.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    trace.extend_from_slice(&bytes);
    Ok(())
}

/// The steps of a trace, in order, up to the first that is damaged.
pub fn steps(trace: &[u8]) -> impl Iterator<Item = Result<Step, BlockError>> {
    let mut rest = Some(trace).filter(|trace| !trace.is_empty());
    std::iter::from_fn(move || {
        let (step, after) = split(rest.take()?);
        rest = after;
        Some(step)
    })
}

fn split(trace: &[u8]) -> (Result<Step, BlockError>, Option<&[u8]>) {
    let Some((len, rest)) = trace.split_first_chunk::<4>() else {
        return (Err(damaged("it ends inside a length".to_owned())), None);
    };
    let len = u32::from_le_bytes(*len) as usize;
    let Some((step, rest)) = rest.split_at_checked(len).filter(|_| len <= MAX_STEP_BYTES) else {
        return (
            Err(damaged(format!(
                "a step of {len} bytes where {} are left",
                rest.len()
            ))),
            None,
        );
    };
    let step = decode(step);
    let after = (step.is_ok() && !rest.is_empty()).then_some(rest);
    (step, after)
}

fn damaged(fault: String) -> BlockError {
    BlockError::corrupted("a recorded step", fault)
}

fn wire(address: BlockAddress) -> WireAddress {
    WireAddress(address.class.index(), address.number)
}

fn address(WireAddress(class, number): WireAddress) -> Option<BlockAddress> {
    Some(BlockAddress {
        class: SizeClass::from_index(class)?,
        number,
    })
}

fn addresses(wire: Vec<WireAddress>) -> Option<Vec<BlockAddress>> {
    wire.into_iter().map(address).collect()
}

fn wire_step(step: &Step) -> WireStep {
    let Step::Handled { message, reply } = step else {
        return WireStep::Committed;
    };
    let message = match message {
        BlockMessage::GetAddress { digest } => WireMessage::GetAddress(digest.0),
        BlockMessage::Release { digest } => WireMessage::Release(digest.0),
        BlockMessage::Return { addresses } => {
            WireMessage::Return(addresses.iter().copied().map(wire).collect())
        }
        BlockMessage::Allocate { class, count } => WireMessage::Allocate(class.index(), *count),
        BlockMessage::Occupy {
            digest,
            address,
            len_bytes,
        } => WireMessage::Occupy(digest.0, wire(*address), *len_bytes),
        BlockMessage::Lock {
            digest,
            resource,
            body,
        } => WireMessage::Lock(digest.0, resource.clone(), body.clone()),
        BlockMessage::Unlock { digest, resource } => WireMessage::Unlock(digest.0, resource.clone()),
        BlockMessage::Trim => WireMessage::Trim,
        BlockMessage::Punch { from_block } => WireMessage::Punch(*from_block),
    };
    let reply = match reply {
        Ok(BlockReply::Address(record)) => {
            WireReply::Address(wire(record.address), record.len_bytes, record.locks)
        }
        Ok(BlockReply::Locked) => WireReply::Locked,
        Ok(BlockReply::Unlocked) => WireReply::Unlocked,
        Ok(BlockReply::Trimmed { file_bytes }) => WireReply::Trimmed(*file_bytes),
        Ok(BlockReply::Punched { next_block, bytes }) => WireReply::Punched(*next_block, *bytes),
        Ok(BlockReply::Released) => WireReply::Released,
        Ok(BlockReply::Returned) => WireReply::Returned,
        Ok(BlockReply::Granted(addresses)) => {
            WireReply::Granted(addresses.iter().copied().map(wire).collect())
        }
        Ok(BlockReply::Occupied { unused }) => WireReply::Occupied(unused.map(wire)),
        Err(kind) => {
            let at = ErrorKind::ALL.iter().position(|known| known == kind);
            WireReply::Refused(at.map_or(u8::MAX, |at| at as u8))
        }
    };
    WireStep::Handled(message, reply)
}

fn step_of(step: WireStep) -> Option<Step> {
    let WireStep::Handled(message, reply) = step else {
        return Some(Step::Committed);
    };
    let message = match message {
        WireMessage::GetAddress(digest) => BlockMessage::GetAddress {
            digest: Digest(digest),
        },
        WireMessage::Release(digest) => BlockMessage::Release {
            digest: Digest(digest),
        },
        WireMessage::Return(wire) => BlockMessage::Return {
            addresses: addresses(wire)?,
        },
        WireMessage::Allocate(class, count) => BlockMessage::Allocate {
            class: SizeClass::from_index(class)?,
            count,
        },
        WireMessage::Occupy(digest, wire, len_bytes) => BlockMessage::Occupy {
            digest: Digest(digest),
            address: address(wire)?,
            len_bytes,
        },
        WireMessage::Lock(digest, resource, body) => BlockMessage::Lock {
            digest: Digest(digest),
            resource,
            body,
        },
        WireMessage::Unlock(digest, resource) => BlockMessage::Unlock {
            digest: Digest(digest),
            resource,
        },
        WireMessage::Trim => BlockMessage::Trim,
        WireMessage::Punch(from_block) => BlockMessage::Punch { from_block },
    };
    let reply = match reply {
        WireReply::Address(wire, len_bytes, locks) => Ok(BlockReply::Address(Record {
            address: address(wire)?,
            len_bytes,
            locks,
        })),
        WireReply::Locked => Ok(BlockReply::Locked),
        WireReply::Unlocked => Ok(BlockReply::Unlocked),
        WireReply::Trimmed(file_bytes) => Ok(BlockReply::Trimmed { file_bytes }),
        WireReply::Punched(next_block, bytes) => Ok(BlockReply::Punched { next_block, bytes }),
        WireReply::Released => Ok(BlockReply::Released),
        WireReply::Returned => Ok(BlockReply::Returned),
        WireReply::Granted(wire) => Ok(BlockReply::Granted(addresses(wire)?)),
        WireReply::Occupied(None) => Ok(BlockReply::Occupied { unused: None }),
        WireReply::Occupied(Some(wire)) => Ok(BlockReply::Occupied {
            unused: Some(address(wire)?),
        }),
        WireReply::Refused(kind) => Err(*ErrorKind::ALL.get(usize::from(kind))?),
    };
    Some(Step::Handled { message, reply })
}
