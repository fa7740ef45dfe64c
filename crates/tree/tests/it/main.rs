//! The tree from outside, through its public items only.

mod rules;
