//! The `quintet` binary: everything is in the library beside it.
use std::process::ExitCode;

fn main() -> ExitCode {
    quintet_server::run(std::env::args_os())
}
