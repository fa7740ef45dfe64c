//! [`Stage`]: the changes of one message, over what the batch has so far, with keys of any length.
//!
//! Invariant: a piece is there if and only if something is in it. Called by `edit`.

use super::{
    NEXT_PIECE_MARK, Rows,
    long::{self, CUT, Way, head, link, linked, rows_of},
    overlay::{Layered, Overlay},
    read_mark,
};
use crate::TreeError;
use std::ops::ControlFlow;

/// What one message changes.
pub(crate) struct Stage<'a> {
    pub(crate) base: &'a dyn Rows,
    pub(crate) changes: Overlay,
    /// The size of what was set.
    pub(crate) set_bytes: u64,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(base: &'a dyn Rows) -> Self {
        Self {
            base,
            changes: Overlay::default(),
            set_bytes: 0,
        }
    }

    /// What the tree will be.
    pub(crate) fn rows(&self) -> Layered<'_> {
        Layered {
            base: self.base,
            top: &self.changes,
        }
    }

    /// Sets one key.
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), TreeError> {
        self.set_bytes += (key.len() + value.len()) as u64;
        if key.len() <= CUT {
            self.changes.set(key, Some(value));
            return Ok(());
        }
        let (mut head_bytes, mut rest) = (Vec::new(), key.as_slice());
        while rest.len() > CUT {
            let (first, after) = rest.split_at(CUT);
            let row = [&head_bytes, first].concat();
            let found = match self.rows().get(&row)? {
                Some(value) => linked(&value)?,
                None => None,
            };
            let piece = match found {
                Some(piece) => piece,
                None => self.new_piece(row)?,
            };
            (head_bytes, rest) = (head(piece), after);
        }
        self.changes.set([&head_bytes, rest].concat(), Some(value));
        Ok(())
    }

    /// Sets many keys, in their order.
    pub(crate) fn put_all(
        &mut self,
        rows: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<(), TreeError> {
        let mut long = Vec::new();
        let set_bytes = &mut self.set_bytes;
        self.changes.set_all(rows.filter_map(|(key, value)| {
            if key.len() > CUT {
                long.push((key, value));
                return None;
            }
            *set_bytes += (key.len() + value.len()) as u64;
            Some((key, Some(value)))
        }));
        long.into_iter().try_for_each(|(key, value)| self.put(key, value))
    }

    fn new_piece(&mut self, row: Vec<u8>) -> Result<u64, TreeError> {
        let piece = read_mark(&self.rows(), NEXT_PIECE_MARK)?;
        self.changes
            .set(NEXT_PIECE_MARK.to_vec(), Some((piece + 1).to_be_bytes().to_vec()));
        self.changes.set(row, Some(link(piece)));
        Ok(piece)
    }

    /// Removes one key, if it is there.
    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<(), TreeError> {
        if key.len() <= CUT {
            self.changes.set(key.to_vec(), None);
            return Ok(());
        }
        // The shortest key after this one.
        let after = [key, &[0]].concat();
        self.delete_range(key, &after)
    }

    /// Removes the keys from `low` up to but not including `high`.
    pub(crate) fn delete_range(&mut self, low: &[u8], high: &[u8]) -> Result<(), TreeError> {
        self.delete_piece_range(None, low, Some(high))
    }

    fn delete_piece_range(
        &mut self,
        piece: Option<u64>,
        low: &[u8],
        high: Option<&[u8]>,
    ) -> Result<(), TreeError> {
        let head_bytes = piece.map(head).unwrap_or_default();
        let (begin, end) = rows_of(&head_bytes, piece, low, high);
        // No key was ever too long in most trees: then nothing can lead on.
        if read_mark(&self.rows(), NEXT_PIECE_MARK)? == 0 {
            self.changes.remove_range(&begin, &end);
            return Ok(());
        }
        let mut links = Vec::new();
        let _all = self.rows().scan(&begin, &end, &mut |key, value| {
            if let Some(next) = linked(value)? {
                links.push((key.to_vec(), next));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        // A bound longer than the cut lies within a piece. The row at the cut is not in the range itself: it is a leaf
        // before it, or leads to the piece.
        let begin = if low.len() > CUT {
            [&begin[..], &[0]].concat()
        } else {
            begin
        };
        let mut kept = Vec::new();
        for (row, next) in links {
            let rest = row[head_bytes.len()..].to_vec();
            let low = low.strip_prefix(rest.as_slice()).unwrap_or_default();
            let high = high.and_then(|high| high.strip_prefix(rest.as_slice()));
            self.delete_piece_range(Some(next), low, high)?;
            if self.is_empty(next)? {
                self.changes.set(row, None);
            } else {
                kept.push((row, next));
            }
        }
        self.changes.remove_range(&begin, &end);
        for (row, next) in kept {
            self.changes.set(row, Some(link(next)));
        }
        Ok(())
    }

    fn is_empty(&self, piece: u64) -> Result<bool, TreeError> {
        let ended = self.rows().scan(&head(piece), &head(piece + 1), &mut |_, _| {
            Ok(ControlFlow::Break(()))
        })?;
        Ok(ended.is_continue())
    }
}

/// The first key of a range, in the order of `way`.
pub(crate) fn first(
    rows: &dyn Rows,
    low: &[u8],
    high: &[u8],
    way: Way,
) -> Result<Option<Vec<u8>>, TreeError> {
    let mut found = None;
    let _stopped = long::scan(rows, low, high, way, &mut |key, _| {
        found = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}
