//! Keys of any length over rows whose keys are short: a key longer than [`CUT`] bytes is cut there, the first part leads to a
//! *piece* by its number, and the rest is a key within that piece, cut again if need be.
//!
//! Since every key is cut at the same place, the order of keys is kept, and what shares a beginning lies together: a range
//! is one scan, plus one for each piece that it leads to. A piece with nothing in it is not there, nor what leads to it.

use super::{PIECES, Rows};
use crate::TreeError;
use std::{borrow::Cow, ops::ControlFlow};

/// Where keys are cut. With the head of a piece, 9 bytes, that stays below LMDB's limit of 511.
pub(crate) const CUT: usize = 500;
/// The first byte of a value that leads to a piece; no leaf begins with it.
const LINK: u8 = 0xff;

/// Called with each whole key.
pub(crate) type VisitLong<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, TreeError> + 'v;

/// Which way a scan goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// The value that leads to a piece.
pub(super) fn link(piece: u64) -> Vec<u8> {
    let mut value = vec![LINK];
    value.extend_from_slice(&piece.to_be_bytes());
    value
}

/// The piece that a value leads to.
pub(crate) fn linked(value: &[u8]) -> Result<Option<u64>, TreeError> {
    if value.first() != Some(&LINK) {
        return Ok(None);
    }
    let number = value[1..]
        .try_into()
        .map_err(|_| TreeError::corrupted("LMDB", "what leads to a piece is not 9 bytes long"))?;
    Ok(Some(u64::from_be_bytes(number)))
}

/// What the keys within a piece begin with.
pub(crate) fn head(piece: u64) -> Vec<u8> {
    let mut head = vec![PIECES];
    head.extend_from_slice(&piece.to_be_bytes());
    head
}

/// The value of `key`.
pub(crate) fn get<'r>(rows: &'r dyn Rows, key: &[u8]) -> Result<Option<Cow<'r, [u8]>>, TreeError> {
    if key.len() <= CUT {
        let found = rows.get(key)?;
        // A key of exactly this length may be one that leads on.
        return Ok(found.filter(|value| value.first() != Some(&LINK)));
    }
    let (mut head_bytes, mut rest) = (Vec::new(), key);
    while rest.len() > CUT {
        let (first, after) = rest.split_at(CUT);
        let Some(value) = rows.get(&[&head_bytes, first].concat())? else {
            return Ok(None);
        };
        let Some(piece) = linked(&value)? else {
            return Ok(None);
        };
        (head_bytes, rest) = (head(piece), after);
    }
    let found = rows.get(&[&head_bytes, rest].concat())?;
    Ok(found.filter(|value| value.first() != Some(&LINK)))
}

/// Visits the keys from `low` up to but not including `high`.
pub(crate) fn scan(
    rows: &dyn Rows,
    low: &[u8],
    high: &[u8],
    way: Way,
    visit: &mut VisitLong<'_>,
) -> Result<ControlFlow<()>, TreeError> {
    let mut whole = Vec::new();
    scan_piece(rows, None, &mut whole, low, Some(high), way, visit)
}

/// `whole` is the key that leads here; `low` and `high` are counted from there.
fn scan_piece(
    rows: &dyn Rows,
    piece: Option<u64>,
    whole: &mut Vec<u8>,
    low: &[u8],
    high: Option<&[u8]>,
    way: Way,
    visit: &mut VisitLong<'_>,
) -> Result<ControlFlow<()>, TreeError> {
    let head_bytes = piece.map(head).unwrap_or_default();
    let depth = whole.len();
    let (begin, end) = rows_of(&head_bytes, piece, low, high);
    let mut each = |key: &[u8], value: &[u8]| {
        let rest = &key[head_bytes.len()..];
        whole.truncate(depth);
        whole.extend_from_slice(rest);
        let Some(next) = linked(value)? else {
            // A leaf exactly where a longer `low` is cut is before it.
            return if rest < low {
                Ok(ControlFlow::Continue(()))
            } else {
                visit(whole, value)
            };
        };
        let low = low.strip_prefix(rest).unwrap_or_default();
        let high = high.and_then(|high| high.strip_prefix(rest));
        scan_piece(rows, Some(next), whole, low, high, way, visit)
    };
    let ended = match way {
        Way::Up => rows.scan(&begin, &end, &mut each),
        Way::Down => rows.scan_back(&begin, &end, &mut each),
    };
    whole.truncate(depth);
    ended
}

/// The rows of one piece that a range may touch: what leads to keys within it is included.
pub(super) fn rows_of(
    head_bytes: &[u8],
    piece: Option<u64>,
    low: &[u8],
    high: Option<&[u8]>,
) -> (Vec<u8>, Vec<u8>) {
    let begin = [head_bytes, &low[..low.len().min(CUT)]].concat();
    let end = match high {
        Some(high) if high.len() <= CUT => [head_bytes, high].concat(),
        // Up to and including what leads to the rest of `high`.
        Some(high) => [head_bytes, &high[..CUT], &[0]].concat(),
        None => match piece {
            Some(piece) => head(piece + 1),
            None => vec![PIECES],
        },
    };
    (begin, end)
}
