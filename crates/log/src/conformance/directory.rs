//! The file seam's clauses. Each takes an empty directory and panics with what is wrong.

use crate::{Directory, OpenMode};
use quintet_core::{ErrorKind, Result};

fn fine<T>(what: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}

fn refused<T>(what: &str, result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("{what} was accepted"),
        Err(error) => assert_eq!(error.kind(), kind, "{what}: {error}"),
    }
}

/// Each [`OpenMode`] finds, creates or refuses as documented.
///
/// # Panics
/// When the clause does not hold.
pub fn open_modes(directory: &dyn Directory) {
    for mode in [OpenMode::Read, OpenMode::Write] {
        refused(
            "opening what is not there",
            directory.open("a", mode),
            ErrorKind::NotFound,
        );
    }
    let file = fine("create", directory.open("a", OpenMode::Create));
    fine("write", file.write_at(b"kept", 0));
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
        let again = fine("open", directory.open("a", mode));
        assert_eq!(fine("length", again.len()), 4, "{mode:?} keeps the bytes");
    }
    let twice = directory.open("a", OpenMode::CreateNew);
    refused("creating what is there", twice, ErrorKind::AlreadyExists);
    fine("create new", directory.open("b", OpenMode::CreateNew));
    let reader = fine("open", directory.open("a", OpenMode::Read));
    assert!(reader.write_at(b"x", 0).is_err(), "a reader must not write");
}

/// A name is one path component.
///
/// # Panics
/// When the clause does not hold.
pub fn names_stay_inside(directory: &dyn Directory) {
    for name in ["", ".", "..", "a/b", "/etc/passwd", "a\0b"] {
        refused(
            name,
            directory.open(name, OpenMode::Create),
            ErrorKind::InvalidInput,
        );
        refused(name, directory.remove(name), ErrorKind::InvalidInput);
        refused(name, directory.rename(name, "x"), ErrorKind::InvalidInput);
        refused(name, directory.rename("x", name), ErrorKind::InvalidInput);
    }
}

/// Reads stop at the end, writes extend with zeros, handles see each other's bytes.
///
/// # Panics
/// When the clause does not hold.
pub fn positioned_reads_and_writes(directory: &dyn Directory) {
    let file = fine("create", directory.open("a", OpenMode::Create));
    let other = fine("open", directory.open("a", OpenMode::Read));
    let mut buf = [9; 8];
    assert_eq!(
        fine("read", other.read_at(&mut buf, 0)),
        0,
        "an empty file has nothing to read"
    );
    fine("write", file.write_at(b"xyz", 5));
    assert_eq!(fine("read", other.read_at(&mut buf, 0)), 8);
    assert_eq!(&buf, b"\0\0\0\0\0xyz");
    assert_eq!(
        fine("read", other.read_at(&mut buf, 6)),
        2,
        "a read stops at the end"
    );
    assert_eq!(&buf[..2], b"yz");
    assert_eq!(fine("read", other.read_at(&mut buf, 1 << 40)), 0);
    fine("overwrite", file.write_at(b"ab", 6));
    fine("read", other.read_exact_at(&mut buf[..3], 5));
    assert_eq!(&buf[..3], b"xab");
    refused(
        "reading too much",
        other.read_exact_at(&mut buf, 1),
        ErrorKind::Corrupted,
    );
    fine("empty write", file.write_at(b"", 100));
    assert_eq!(fine("length", file.len()), 8, "an empty write extends nothing");
}

/// Lengths change as told, and what appears is zero.
///
/// # Panics
/// When the clause does not hold.
pub fn lengths_and_space(directory: &dyn Directory) {
    let file = fine("create", directory.open("a", OpenMode::Create));
    assert!(fine("empty", file.is_empty()));
    fine("write", file.write_at(&[7; 10_000], 0));
    fine("cut", file.set_len(10));
    fine("extend", file.set_len(20));
    let mut buf = [9; 20];
    fine("read", file.read_exact_at(&mut buf, 0));
    assert_eq!((&buf[..10], &buf[10..]), (&[7; 10][..], &[0; 10][..]));
    fine("allocate", file.allocate(15, 10_000));
    assert_eq!(fine("length", file.len()), 10_015);
    fine("allocate inside", file.allocate(0, 100));
    assert_eq!(fine("length", file.len()), 10_015, "allocating never cuts");
    fine("read", file.read_exact_at(&mut buf, 5));
    assert_eq!(&buf[..5], &[7; 5], "allocating keeps the bytes");
    fine("write", file.write_at(&[8; 10_015], 0));
    fine("punch", file.punch_hole(4096, 100_000));
    assert_eq!(fine("length", file.len()), 10_015, "a hole keeps the length");
    fine("read", file.read_exact_at(&mut buf, 4086));
    assert_eq!((&buf[..10], &buf[10..]), (&[8; 10][..], &[0; 10][..]));
    fine("sync", file.sync_data());
}

/// What is left out as zeros is zeros, and every other byte is found.
///
/// # Panics
/// When the clause does not hold.
pub fn stretches_of_zeros(directory: &dyn Directory) {
    let file = fine("create", directory.open("a", OpenMode::Create));
    assert_eq!(fine("look in an empty file", file.next_data(0)), None);
    fine("allocate", file.allocate(0, 1 << 20));
    let written = [5, 300_000, 300_001, 800_000];
    for offset in written {
        fine("write", file.write_at(&[7], offset));
    }
    fine("punch", file.punch_hole(5, 1));
    let check = |from: u64, to: u64| {
        assert!(from <= to, "{to} comes before {from}");
        let mut skipped = vec![9; (to - from) as usize];
        fine("read", file.read_exact_at(&mut skipped, from));
        let lost = skipped.iter().position(|byte| *byte != 0);
        assert_eq!(lost, None, "{from} to {to} was left out");
    };
    for is_synced in [false, true] {
        let mut at = 0;
        while let Some(data) = fine("look", file.next_data(at)) {
            check(at, data);
            // As whoever asks seldom would: in the middle of what is there.
            at = data + 100;
        }
        check(at.min(1 << 20), 1 << 20);
        assert!(at > 800_000, "{is_synced}: the last byte is not found, {at}");
        fine("sync", file.sync_data());
    }
    assert_eq!(fine("look behind the end", file.next_data(1 << 20)), None);
}

/// A rename replaces its target, a removal frees the name, open handles stay usable, the list is sorted.
///
/// # Panics
/// When the clause does not hold.
pub fn entries(directory: &dyn Directory) {
    for name in ["b", "a", "c"] {
        let file = fine("create", directory.open(name, OpenMode::CreateNew));
        fine("write", file.write_at(name.as_bytes(), 0));
    }
    assert_eq!(fine("list", directory.list()), ["a", "b", "c"]);
    let old = fine("open", directory.open("a", OpenMode::Read));
    fine("rename", directory.rename("b", "a"));
    assert_eq!(fine("list", directory.list()), ["a", "c"]);
    let mut buf = [0];
    fine("read", old.read_exact_at(&mut buf, 0));
    assert_eq!(&buf, b"a", "a replaced file stays readable through its handle");
    let new = fine("open", directory.open("a", OpenMode::Write));
    fine("read", new.read_exact_at(&mut buf, 0));
    assert_eq!(&buf, b"b");
    fine("remove", directory.remove("a"));
    fine("write to what was removed", new.write_at(b"z", 0));
    refused("removing twice", directory.remove("a"), ErrorKind::NotFound);
    refused(
        "renaming what is gone",
        directory.rename("a", "d"),
        ErrorKind::NotFound,
    );
    fine("sync", directory.sync());
    assert_eq!(fine("list", directory.list()), ["c"]);
}

/// Makes every clause a `#[test]`: `directory_clauses!(name, expression)`, where the expression gives a closure that
/// runs a `fn(&dyn Directory)` on an empty directory.
///
/// ```
/// # #[cfg(test)]
/// quintet_log::directory_clauses!(memory, |clause: fn(&dyn quintet_log::Directory)| {
///     clause(&quintet_log::MemDirectory::new())
/// });
/// ```
#[macro_export]
macro_rules! directory_clauses {
    ($name:ident, $run:expr) => {
        mod $name {
            use super::*;
            $crate::directory_clauses!(@each $run;
                open_modes names_stay_inside positioned_reads_and_writes lengths_and_space stretches_of_zeros entries);
        }
    };
    (@each $run:expr; $($clause:ident)*) => {
        $(
            #[test]
            fn $clause() {
                let run = $run;
                run($crate::conformance::directory::$clause);
            }
        )*
    };
}
