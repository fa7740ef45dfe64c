//! [`Rows`]: an ordered map of short byte keys, to read. A snapshot of the disk is one; so is one with changes on top.

use crate::TreeError;
use std::{borrow::Cow, ops::ControlFlow};

/// What is called with each row; breaks to end the scan.
pub(crate) type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, TreeError> + 'v;

/// Keys of at most 511 bytes and their values, in the order of the keys.
pub(crate) trait Rows {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, TreeError>;

    /// Visits the rows from `low` up to but not including `high`, upwards.
    fn scan(&self, low: &[u8], high: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>, TreeError>;

    /// Visits the same rows downwards.
    fn scan_back(&self, low: &[u8], high: &[u8], visit: &mut Visit<'_>)
    -> Result<ControlFlow<()>, TreeError>;
}
