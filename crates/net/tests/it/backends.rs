//! One test body, two backends: each body named in `on_both_backends!` becomes a test in `epoll` and one in `uring`.
//!
//! Where io_uring is not available its tests say so on standard error, past the capture of the test runner, and pass.

use quintet_net::Backend;
use std::io::Write;

/// Whether tests can run on the backend; says why not.
pub(crate) fn is_here(backend: Backend) -> bool {
    match backend.available() {
        Ok(()) => true,
        Err(error) => {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            let _unheard = writeln!(std::io::stderr(), "SKIPPED {name}: {error}");
            false
        }
    }
}

/// Makes a test per backend of each named function.
#[macro_export]
macro_rules! on_both_backends {
    ($($name:ident),+ $(,)?) => {
        mod epoll {
            $(#[test]
            fn $name() {
                super::$name(quintet_net::Backend::Epoll);
            })+
        }
        mod uring {
            $(#[test]
            fn $name() {
                if $crate::backends::is_here(quintet_net::Backend::Uring) {
                    super::$name(quintet_net::Backend::Uring);
                }
            })+
        }
    };
}
