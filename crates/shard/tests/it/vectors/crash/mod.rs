//! Crashes of the vector store: power cuts and failing disks through the file seam, SIGKILL on a real directory, random
//! histories. `cargo xtask crash vectors` runs these with many more cases.

mod disk;
mod interval;
mod kill;
mod model;

use super::{config, in_one, open, spec};

/// How much to try: `few` in an ordinary run, as many as the environment asks for in a long one.
pub(super) fn cases(few: u32) -> u32 {
    from_environment("PROPTEST_CASES", few)
}

pub(super) fn from_environment(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a whole number"))
}
