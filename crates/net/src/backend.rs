//! Which backend a loop runs on, and whether it can here.

use quintet_core::{Error, ErrorKind, Result};

/// How a loop talks to the kernel. Protocols cannot tell the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Readiness by epoll: works everywhere.
    #[default]
    Epoll,
    /// Completions by io_uring: needs the feature `uring`, Linux 6.1 or later, and a system that permits it, which
    /// containers often do not.
    Uring,
}

impl Backend {
    /// `epoll` or `uring`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Uring => "uring",
        }
    }

    /// Whether a loop on this backend can start here. For io_uring it sets up a small ring and asks the kernel for each
    /// operation that the loop uses: a dozen system calls.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] that says why not.
    pub fn available(self) -> Result<()> {
        match self {
            Self::Epoll => Ok(()),
            #[cfg(all(feature = "uring", target_os = "linux"))]
            Self::Uring => crate::event_loop::uring_available(),
            #[cfg(not(all(feature = "uring", target_os = "linux")))]
            Self::Uring => Err(not_built_in()),
        }
    }

    /// io_uring if it is available, else epoll, and the reason in words.
    ///
    /// ```
    /// let (backend, reason) = quintet_net::Backend::best();
    /// assert!(backend.available().is_ok() && !reason.is_empty());
    /// ```
    #[must_use]
    pub fn best() -> (Self, String) {
        match Self::Uring.available() {
            Ok(()) => (Self::Uring, "the kernel has all that is needed".to_owned()),
            Err(error) => (Self::Epoll, error.context().to_owned()),
        }
    }
}

#[cfg(not(all(feature = "uring", target_os = "linux")))]
pub(crate) fn not_built_in() -> Error {
    Error::new(ErrorKind::Unsupported, "this build has no io_uring backend")
}

/// Names the step of starting io_uring that failed.
#[cfg(all(feature = "uring", target_os = "linux"))]
pub(crate) fn unavailable(step: &str, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let why = match error.kind() {
        Io::PermissionDenied => "the system does not permit it".to_owned(),
        Io::Unsupported => "the kernel does not have it".to_owned(),
        Io::InvalidInput => "the kernel is older than Linux 6.1".to_owned(),
        _ => error.to_string(),
    };
    Error::new(ErrorKind::Unsupported, format!("io_uring: {step}: {why}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(feature = "uring", target_os = "linux"))]
    #[test]
    fn the_reason_names_the_step_and_the_cause() {
        for (errno, cause) in [
            (libc::EPERM, "does not permit"),
            (libc::ENOSYS, "does not have it"),
            (libc::EINVAL, "older than Linux 6.1"),
            (libc::EMFILE, "Too many open files"),
        ] {
            let error = unavailable("setup", std::io::Error::from_raw_os_error(errno));
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let text = error.context();
            assert!(
                text.starts_with("io_uring: setup: ") && text.contains(cause),
                "{text}"
            );
        }
    }

    #[test]
    fn the_best_backend_is_the_one_that_is_available() {
        let (backend, reason) = Backend::best();
        match Backend::Uring.available() {
            Ok(()) => assert_eq!(backend, Backend::Uring),
            Err(error) => assert_eq!((backend, reason.as_str()), (Backend::Epoll, error.context())),
        }
    }
}
