//! Claims on a directory: one writer, or any number of readers, whichever handle or process asks.

use quintet_core::ErrorKind;
use quintet_log::{Claim, Directory, OsDirectory};

#[test]
fn a_writer_is_alone_and_readers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let open = || OsDirectory::open(folder.path()).unwrap();
    assert!(
        !open().claim(Claim::Readers).unwrap().is_held(),
        "nobody ever wrote here"
    );
    let writer = open().claim(Claim::Alone).unwrap();
    for claim in [Claim::Alone, Claim::Readers] {
        let error = open().claim(claim).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let path = folder.path().display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
    }
    drop(writer);
    let readers = [
        open().claim(Claim::Readers).unwrap(),
        open().claim(Claim::Readers).unwrap(),
    ];
    assert!(readers.iter().all(quintet_log::ClaimGuard::is_held));
    assert_eq!(
        open().claim(Claim::Alone).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    drop(readers);
    assert!(open().claim(Claim::Alone).unwrap().is_held());
}
