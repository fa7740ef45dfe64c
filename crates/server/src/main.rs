//! The `quintet` binary: everything is in the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    quintet_server::run(std::env::args_os())
}
