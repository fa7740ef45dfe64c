//! `--io-backend`: how sockets are served, decided once before anything is opened.
//!
//! `auto` takes io_uring where the build, the kernel and the system allow it, and says why not otherwise. What was asked for
//! by name is used or refused; nothing is replaced silently.

use crate::{cli::IoBackend, failure::Failure};
use quintet_net::Backend;
use std::fmt;

/// A backend, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What the ports run on.
    pub backend: Backend,
    /// For people: a phrase.
    pub reason: String,
}

impl Chosen {
    /// # Errors
    /// io_uring was asked for and is not available: a usage error that says why.
    pub fn from_flag(flag: IoBackend) -> Result<Self, Failure> {
        let (backend, reason) = match flag {
            IoBackend::Auto => {
                let (backend, reason) = Backend::best();
                (backend, format!("auto: {reason}"))
            }
            IoBackend::Uring => {
                Backend::Uring.available().map_err(|error| {
                    Failure::usage(format!("--io-backend uring: {}", error.context()))
                        .hint("--io-backend auto, which picks epoll here")
                })?;
                (Backend::Uring, "asked for".to_owned())
            }
            IoBackend::Epoll => (Backend::Epoll, "asked for".to_owned()),
        };
        Ok(Self { backend, reason })
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.backend.name(), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_decides_and_auto_never_fails() {
        let epoll = Chosen::from_flag(IoBackend::Epoll).expect("epoll is everywhere");
        assert_eq!(epoll.to_string(), "epoll (asked for)");
        let auto = Chosen::from_flag(IoBackend::Auto).expect("auto falls back");
        match (Backend::Uring.available(), Chosen::from_flag(IoBackend::Uring)) {
            (Ok(()), Ok(uring)) => {
                assert_eq!(uring.to_string(), "uring (asked for)");
                assert_eq!(auto.backend, Backend::Uring);
            }
            (Err(error), Err(failure)) => {
                assert!(failure.to_string().contains(error.context()), "{failure}");
                assert_eq!(auto.backend, Backend::Epoll);
                assert!(auto.reason.contains(error.context()), "{auto}");
            }
            (available, chosen) => panic!("{available:?} but {chosen:?}"),
        }
    }
}
