//! The engines of a data directory that nobody has open, as sources of a backup: each is opened for as long as its copy
//! takes, as a start would open it.

use super::make::Source;
use crate::failure::Failure;
use std::path::Path;

/// Every engine, and whether this build has it.
const ALL: [(&str, bool); 5] = [
    ("blocks", cfg!(feature = "blockstore")),
    ("kv", cfg!(feature = "kv")),
    ("vectors", cfg!(feature = "shard")),
    ("stm", cfg!(feature = "stm")),
    ("tree", cfg!(feature = "tree")),
];

/// Those that have a folder in `data_dir`, but for the `open` ones.
///
/// # Errors
/// When there is data of an engine that is not built in: a backup without it would not be one.
pub(crate) fn sources(data_dir: &Path, open: &[&str]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for (name, is_built) in ALL {
        let folder = data_dir.join(name);
        if open.contains(&name) || !folder.exists() {
            continue;
        }
        if !is_built {
            let why = format!("{} has data that this build cannot copy", folder.display());
            return Err(Failure::new(why).hint("a build with every engine; see --version --verbose"));
        }
        let found = match name {
            #[cfg(feature = "blockstore")]
            "blocks" => crate::engine::blocks::at_rest(data_dir),
            #[cfg(feature = "kv")]
            "kv" => crate::engine::kv::at_rest(data_dir),
            #[cfg(feature = "shard")]
            "vectors" => crate::engine::vectors::at_rest(data_dir),
            #[cfg(feature = "stm")]
            "stm" => crate::engine::stm::at_rest(data_dir),
            #[cfg(feature = "tree")]
            "tree" => crate::engine::tree::at_rest(data_dir),
            _ => continue,
        };
        sources.push(found);
    }
    Ok(sources)
}
