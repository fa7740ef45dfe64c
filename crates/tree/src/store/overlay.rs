//! [`Overlay`]: changes that are not on the disk yet, and [`Layered`]: rows with an overlay on top.
//!
//! Invariant: ranges are removed first, then rows are set; so setting a row again inside a removed range is seen. Two
//! layers make undo free: a message works on a layer of its own, which is merged into the batch's or dropped.

use super::{Rows, Visit};
use crate::TreeError;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    iter::Peekable,
    ops::{Bound, ControlFlow},
};

/// Removed ranges, and rows on top of them (`None` = removed).
#[derive(Default)]
pub(crate) struct Overlay {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// From the first key to the key after the last; they do not overlap.
    removed: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Overlay {
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.removed.clear();
    }

    pub(crate) fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.rows.insert(key, value);
    }

    /// Sets rows in the order of their keys: where there are none yet, in one go.
    pub(crate) fn set_all(&mut self, rows: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
        if self.rows.is_empty() {
            self.rows = rows.collect();
        } else {
            self.rows.extend(rows);
        }
    }

    /// Removes what is there from `low` up to but not including `high`.
    pub(crate) fn remove_range(&mut self, low: &[u8], high: &[u8]) {
        let within: Vec<Vec<u8>> = self
            .rows
            .range::<[u8], _>(bounds(low, high))
            .map(|(key, _)| key.clone())
            .collect();
        for key in within {
            self.rows.remove(&key);
        }
        let (mut low, mut high) = (low.to_vec(), high.to_vec());
        // Those that begin before this one's end and do not end before its beginning become one with it.
        while let Some((begin, end)) = self.removed.range::<[u8], _>(up_to(&high)).next_back() {
            if *end < low {
                break;
            }
            let (begin, end) = (begin.clone(), end.clone());
            self.removed.remove(&begin);
            low = low.min(begin);
            high = high.max(end);
        }
        self.removed.insert(low, high);
    }

    /// Puts `later` changes on top of these.
    pub(crate) fn absorb(&mut self, later: Self) {
        for (low, high) in &later.removed {
            self.remove_range(low, high);
        }
        if self.rows.is_empty() {
            self.rows = later.rows;
        } else {
            self.rows.extend(later.rows);
        }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    pub(crate) fn removed(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.removed
            .iter()
            .map(|(low, high)| (low.as_slice(), high.as_slice()))
    }

    /// The end of the removed range that `key` is in.
    fn removed_until(&self, key: &[u8]) -> Option<&[u8]> {
        let (_, end) = self.removed.range::<[u8], _>(up_to(key)).next_back()?;
        (key < end.as_slice()).then_some(end)
    }

    /// The beginning of the removed range that `key` is in.
    fn removed_since(&self, key: &[u8]) -> Option<&[u8]> {
        let (begin, end) = self.removed.range::<[u8], _>(up_to(key)).next_back()?;
        (key < end.as_slice()).then_some(begin)
    }
}

fn up_to(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(key))
}

fn bounds<'a>(low: &'a [u8], high: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    // A map refuses a range that ends before it begins.
    (Bound::Included(low), Bound::Excluded(high.max(low)))
}

/// `base` with the changes of `top`.
pub(crate) struct Layered<'a> {
    pub(crate) base: &'a dyn Rows,
    pub(crate) top: &'a Overlay,
}

impl Rows for Layered<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, TreeError> {
        match self.top.rows.get(key) {
            Some(value) => Ok(value.as_deref().map(Cow::Borrowed)),
            None if self.top.removed_until(key).is_some() => Ok(None),
            None => self.base.get(key),
        }
    }

    fn scan(&self, low: &[u8], high: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>, TreeError> {
        if low >= high {
            return Ok(ControlFlow::Continue(()));
        }
        let mut above = self.top.rows.range::<[u8], _>(bounds(low, high)).peekable();
        let mut from = Cow::Borrowed(low);
        loop {
            let mut resume = None;
            let mut ended = ControlFlow::Continue(());
            let _stopped = self.base.scan(&from, high, &mut |key, value| {
                ended = before(&mut above, |top| top < key, visit)?;
                if ended.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if above.peek().is_some_and(|(top, _)| top.as_slice() == key) {
                    // It comes with the next ones.
                    return Ok(ControlFlow::Continue(()));
                }
                if let Some(end) = self.top.removed_until(key) {
                    resume = Some(end.to_vec());
                    return Ok(ControlFlow::Break(()));
                }
                ended = visit(key, value)?;
                Ok(ended)
            })?;
            if ended.is_break() {
                return Ok(ended);
            }
            match resume {
                Some(end) if end.as_slice() < high => from = Cow::Owned(end),
                _ => return before(&mut above, |_| true, visit),
            }
        }
    }

    fn scan_back(
        &self,
        low: &[u8],
        high: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, TreeError> {
        if low >= high {
            return Ok(ControlFlow::Continue(()));
        }
        let mut above = self.top.rows.range::<[u8], _>(bounds(low, high)).rev().peekable();
        let mut until = Cow::Borrowed(high);
        loop {
            let mut resume = None;
            let mut ended = ControlFlow::Continue(());
            let _stopped = self.base.scan_back(low, &until, &mut |key, value| {
                ended = before(&mut above, |top| top > key, visit)?;
                if ended.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if above.peek().is_some_and(|(top, _)| top.as_slice() == key) {
                    return Ok(ControlFlow::Continue(()));
                }
                if let Some(begin) = self.top.removed_since(key) {
                    resume = Some(begin.to_vec());
                    return Ok(ControlFlow::Break(()));
                }
                ended = visit(key, value)?;
                Ok(ended)
            })?;
            if ended.is_break() {
                return Ok(ended);
            }
            match resume {
                Some(begin) if begin.as_slice() > low => until = Cow::Owned(begin),
                _ => return before(&mut above, |_| true, visit),
            }
        }
    }
}

/// Visits the overlay's rows that come `first`.
fn before<'a>(
    above: &mut Peekable<impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>>,
    first: impl Fn(&[u8]) -> bool,
    visit: &mut Visit<'_>,
) -> Result<ControlFlow<()>, TreeError> {
    while let Some((key, value)) = above.next_if(|(key, _)| first(key)) {
        if let Some(value) = value
            && visit(key, value)?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
