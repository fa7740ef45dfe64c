//! Errors: the one table of HTTP statuses, the text, the cause, and that a clone is the same error.

use quintet_core::{Closed, Error, ErrorKind, PopError, PushError};
use std::{collections::BTreeSet, error::Error as _, io};

#[test]
fn every_kind_has_its_status_and_its_words() {
    let table = [
        (ErrorKind::InvalidInput, 400, "invalid input"),
        (ErrorKind::NotFound, 404, "not found"),
        (ErrorKind::AlreadyExists, 409, "already exists"),
        (ErrorKind::Conflict, 409, "conflict"),
        (ErrorKind::Full, 507, "no space left"),
        (ErrorKind::TooLarge, 413, "too large"),
        (ErrorKind::Unavailable, 503, "unavailable"),
        (ErrorKind::TimedOut, 504, "timed out"),
        (ErrorKind::Closed, 503, "closed"),
        (ErrorKind::Unauthenticated, 401, "unauthenticated"),
        (ErrorKind::PermissionDenied, 403, "permission denied"),
        (ErrorKind::Unsupported, 501, "unsupported"),
        (ErrorKind::Corrupted, 500, "corrupted"),
        (ErrorKind::Io, 500, "i/o error"),
        (ErrorKind::Poisoned, 503, "poisoned"),
    ];
    assert_eq!(table.map(|(kind, ..)| kind), ErrorKind::ALL);
    for (kind, status, words) in table {
        assert_eq!(kind.http_status(), status, "{kind:?}");
        assert_eq!(kind.to_string(), words);
        assert_eq!(Error::from(kind).to_string(), words);
        assert_eq!(Error::new(kind, "why").to_string(), format!("{words}: why"));
    }
    let words: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), ErrorKind::ALL.len());
}

#[test]
fn a_clone_has_the_same_kind_context_and_cause() {
    let cause = io::Error::other("the disk is on fire");
    let error = Error::new(ErrorKind::Io, "writing the log").with_source(cause);
    let clone = error.clone();
    assert_eq!(clone.kind(), ErrorKind::Io);
    assert_eq!(clone.context(), "writing the log");
    assert_eq!(clone.to_string(), "i/o error: writing the log");
    assert_eq!(clone.source().unwrap().to_string(), "the disk is on fire");
    assert!(Error::from(ErrorKind::Io).source().is_none());
    assert!(
        format!("{error:?}").contains("on fire"),
        "the cause is in the debug text"
    );
}

#[test]
fn an_error_of_the_system_keeps_its_text_and_a_full_disk_is_full() {
    for (os, kind) in [
        (io::ErrorKind::StorageFull, ErrorKind::Full),
        (io::ErrorKind::QuotaExceeded, ErrorKind::Full),
        (io::ErrorKind::FileTooLarge, ErrorKind::Full),
        (io::ErrorKind::NotFound, ErrorKind::Io),
        (io::ErrorKind::PermissionDenied, ErrorKind::Io),
    ] {
        let error = Error::from(io::Error::new(os, "some text"));
        assert_eq!(error.kind(), kind, "{os:?}");
        assert!(error.to_string().ends_with("some text"), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
fn refusals_say_what_happened_without_their_item() {
    struct Opaque;
    assert_eq!(format!("{:?}", PushError::Full(Opaque)), "Full(..)");
    assert_eq!(PushError::Full(Opaque).to_string(), "the queue is full");
    assert_eq!(PushError::Closed(7).into_inner(), 7);
    assert_eq!(PopError::Empty.to_string(), "the queue is empty");
    assert_eq!(Error::from(Closed).kind(), ErrorKind::Closed);
}

#[test]
fn results_stay_small_where_nothing_goes_wrong() {
    assert_eq!(size_of::<Error>(), 16);
    assert_eq!(size_of::<Result<(), Error>>(), 16);
}

#[test]
fn a_cause_is_kept_with_and_without_a_sentence_and_shared_by_clones() {
    for context in ["", "the log"] {
        let error = Error::new(ErrorKind::Io, context).with_source(std::io::Error::other("gone"));
        let clone = error.clone();
        assert_eq!(clone.kind(), ErrorKind::Io);
        assert_eq!(clone.context(), context);
        assert_eq!(clone.source().unwrap().to_string(), "gone");
    }
}
