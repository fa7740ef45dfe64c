//! What people at the terminal read: results on standard output, complaints on standard error.
//!
//! A reader that has gone away (a closed pipe) never stops a server, so failed writes are ignored.

use std::{
    fmt,
    io::{self, Write},
};

/// One line on standard output, visible at once even through a pipe.
pub fn say(line: impl fmt::Display) {
    let mut out = io::stdout().lock();
    let _reader_gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// One message on standard error.
pub fn complain(message: impl fmt::Display) {
    let _reader_gone = writeln!(io::stderr().lock(), "quintet: {message}");
}
