//! The file seam's clauses on every implementation.

use quintet_log::{CrashDirectory, Directory, FaultDirectory, MemDirectory, OsDirectory, directory_clauses};
use std::sync::Arc;

type Clause = fn(&dyn Directory);

directory_clauses!(memory, |clause: Clause| clause(&MemDirectory::new()));
directory_clauses!(faulty, |clause: Clause| clause(&FaultDirectory::new(Arc::new(
    MemDirectory::new()
))));
directory_clauses!(crashing, |clause: Clause| clause(&CrashDirectory::new()));
directory_clauses!(operating_system, |clause: Clause| {
    let path = tempfile::tempdir().unwrap();
    clause(&OsDirectory::open(path.path()).unwrap());
});
