//! Who is asking: tokens verified once for every port.
//!
//! `quintet serve` builds one [`Tokens`] from its flags and gives it to each port as `core`'s
//! [`Authenticator`](quintet_core::auth::Authenticator). Secrets come from files or the environment, never from the
//! command line, and are read again on SIGHUP; a file that cannot be read then leaves the old ones in force.
//!
//! | file | role |
//! |---|---|
//! | `tokens` | what is accepted: signed tokens, and the static admin and read-only tokens |
//! | `hs256` | the one signature there is |
//! | `secret` | a secret in memory and where it came from |
//! | `site` | which web pages may call where nobody is asked |

mod hs256;
mod secret;
mod site;
mod tokens;

pub(crate) use secret::{Secret, Source};
pub(crate) use site::Site;
pub(crate) use tokens::{Mode, Settings, Tokens};
