//! The engines of a data directory that nobody has open, as sources of a backup: each is opened for as long as its copy
//! takes, as a start would open it.

use super::make::Source;
use crate::failure::Failure;
use std::path::Path;

/// What makes a source of a data directory.
type AtRest = fn(&Path) -> Source;

/// Every engine, and how this build copies it, if it can.
const ALL: [(&str, Option<AtRest>); 5] = [
    #[cfg(feature = "blockstore")]
    ("blocks", Some(crate::engine::blocks::at_rest)),
    #[cfg(not(feature = "blockstore"))]
    ("blocks", None),
    #[cfg(feature = "kv")]
    ("kv", Some(crate::engine::kv::at_rest)),
    #[cfg(not(feature = "kv"))]
    ("kv", None),
    #[cfg(feature = "shard")]
    ("vectors", Some(crate::engine::vectors::at_rest)),
    #[cfg(not(feature = "shard"))]
    ("vectors", None),
    #[cfg(feature = "stm")]
    ("stm", Some(crate::engine::stm::at_rest)),
    #[cfg(not(feature = "stm"))]
    ("stm", None),
    #[cfg(feature = "tree")]
    ("tree", Some(crate::engine::tree::at_rest)),
    #[cfg(not(feature = "tree"))]
    ("tree", None),
];

/// Those that have a folder in `data_dir`, but for the `open` ones.
///
/// # Errors
/// When there is data of an engine that is not built in: a backup without it would not be one.
pub(crate) fn sources(data_dir: &Path, open: &[&str]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for (name, at_rest) in ALL {
        let folder = data_dir.join(name);
        if open.contains(&name) || !folder.exists() {
            continue;
        }
        let Some(at_rest) = at_rest else {
            let why = format!("{} has data that this build cannot copy", folder.display());
            return Err(Failure::new(why).hint("a build with every engine; see --version --verbose"));
        };
        sources.push(at_rest(data_dir));
    }
    Ok(sources)
}
