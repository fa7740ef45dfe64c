//! Stands in for `wide` on processors for which there is none.

use super::Group;

pub(super) const LANES: usize = 16;

pub(super) type States = [[u32; LANES]; 8];

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wide {}

impl Wide {
    pub(super) const fn detect() -> Option<Self> {
        None
    }

    pub(super) const fn compress(self, _: &mut States, _: &[&[Group]; LANES]) {
        match self {}
    }
}
