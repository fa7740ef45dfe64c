//! Who is asking: one principal and one authenticator for every port.
//!
//! A port hands what a client presented (a bearer token, RESP's `AUTH` password) to the [`Authenticator`] that it was
//! served with and gets a [`Principal`] back. What the principal may do is decided by the port: by [`Principal::may_read`]
//! and [`Principal::may_write`] where there are no rules, by the tree's rules where there are. Verifying tokens needs
//! cryptography and lives in the server; here are the words, and the two authenticators that need none.

use crate::{Error, ErrorKind, Result};
use std::{fmt, sync::Arc, task::Waker, time::SystemTime};

/// What a principal is, which is what decides where there are no rules.
///
/// | role | came from | ports without rules | the tree's rules |
/// |---|---|---|---|
/// | `Unchecked` | authentication is off | everything | apply, with `auth` null |
/// | `Anonymous` | authentication is optional and nothing was presented | nothing | apply, with `auth` null |
/// | `User` | a valid token | reads and writes | apply, with `auth` from the token |
/// | `ReadOnly` | the read-only token | reads | passed for reads, writes are refused |
/// | `Admin` | the admin token | everything | passed |
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Authentication is off: nobody was asked for anything.
    Unchecked,
    /// Authentication is optional and the client presented nothing.
    Anonymous,
    /// The bearer of a valid token.
    User,
    /// The bearer of the static read-only token.
    ReadOnly,
    /// The bearer of the static admin token.
    Admin,
}

impl Role {
    /// Every role, least able first except [`Role::Unchecked`], which stands for no authentication at all.
    pub const ALL: [Self; 5] = [
        Self::Unchecked,
        Self::Anonymous,
        Self::User,
        Self::ReadOnly,
        Self::Admin,
    ];
}

/// Somebody who asks for something. Cloning shares the strings.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    role: Role,
    uid: Option<Arc<str>>,
    claims: Option<Arc<str>>,
    expires: Option<SystemTime>,
}

impl Principal {
    /// Nobody in particular, where authentication is off.
    #[must_use]
    pub const fn unchecked() -> Self {
        Self::of(Role::Unchecked)
    }

    /// Nobody in particular, where authentication is optional.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self::of(Role::Anonymous)
    }

    /// The bearer of the read-only token.
    #[must_use]
    pub const fn read_only() -> Self {
        Self::of(Role::ReadOnly)
    }

    /// The bearer of the admin token.
    #[must_use]
    pub const fn admin() -> Self {
        Self::of(Role::Admin)
    }

    /// The bearer of a token for `uid`, whose claims are the JSON object `claims`.
    #[must_use]
    pub fn user(uid: impl Into<Arc<str>>, claims: impl Into<Arc<str>>) -> Self {
        Self {
            uid: Some(uid.into()),
            claims: Some(claims.into()),
            ..Self::of(Role::User)
        }
    }

    /// The same principal, until `expires`: a port that keeps a stream open ends it then.
    #[must_use]
    pub fn until(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    const fn of(role: Role) -> Self {
        Self {
            role,
            uid: None,
            claims: None,
            expires: None,
        }
    }

    /// What it is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The user's id; only [`Role::User`] has one.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The token's claims as the text of one JSON object; only [`Role::User`] has them.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// When it stops being valid; `None` = never.
    #[must_use]
    pub const fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Whether it has stopped being valid at the time of day `wall`. The instant of expiry itself is too late.
    #[must_use]
    pub fn is_expired(&self, wall: SystemTime) -> bool {
        self.expires.is_some_and(|expires| wall >= expires)
    }

    /// Whether it may read where no rules decide.
    #[must_use]
    pub const fn may_read(&self) -> bool {
        !matches!(self.role, Role::Anonymous)
    }

    /// Whether it may write where no rules decide.
    #[must_use]
    pub const fn may_write(&self) -> bool {
        matches!(self.role, Role::Unchecked | Role::User | Role::Admin)
    }

    /// Whether it may change settings (rules, limits), empty whole engines, or stop the server.
    #[must_use]
    pub const fn may_administer(&self) -> bool {
        matches!(self.role, Role::Unchecked | Role::Admin)
    }

    /// `Ok` when it may read where no rules decide.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] for an anonymous one.
    pub fn check_read(&self) -> Result<()> {
        if self.may_read() {
            Ok(())
        } else {
            Err(self.refusal("read"))
        }
    }

    /// `Ok` when it may write where no rules decide.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] for an anonymous one, [`ErrorKind::PermissionDenied`] for a read-only one.
    pub fn check_write(&self) -> Result<()> {
        if self.may_write() {
            Ok(())
        } else {
            Err(self.refusal("write"))
        }
    }

    /// `Ok` when it may administer.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] for an anonymous one, [`ErrorKind::PermissionDenied`] for any other.
    pub fn check_administer(&self) -> Result<()> {
        if self.may_administer() {
            Ok(())
        } else {
            Err(self.refusal("administer"))
        }
    }

    fn refusal(&self, what: &str) -> Error {
        match self.role {
            Role::Anonymous => Error::new(
                ErrorKind::Unauthenticated,
                format!("a token is needed to {what} here"),
            ),
            Role::ReadOnly => Error::new(
                ErrorKind::PermissionDenied,
                format!("the read-only token may not {what}"),
            ),
            _ => Error::new(
                ErrorKind::PermissionDenied,
                format!("this token may not {what}; the admin token may"),
            ),
        }
    }
}

impl fmt::Debug for Principal {
    /// Without the claims, which may be private: what is debug-printed ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("role", &self.role)
            .field("uid", &self.uid)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Turns what a client presented into a [`Principal`]. Shared by all ports and threads; never blocks.
pub trait Authenticator: Send + Sync + 'static {
    /// Who presents `token`; `None` = the client presented nothing.
    ///
    /// An implementation compares secrets in constant time, and never turns a bad token into an anonymous principal.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`]: nothing was presented where something is required, or what was presented is
    /// malformed, forged, expired or not yet valid. The text names the reason and never the token.
    fn authenticate(&self, token: Option<&str>) -> Result<Principal>;

    /// Counts how often what is accepted may have changed: a port that keeps connections asks again who presents their tokens
    /// when it is another. Unless overridden, it never changes. One atomic load.
    fn generation(&self) -> u64 {
        0
    }

    /// Has `waker` called each time that the generation changes, for as long as the authenticator lives: for ports whose
    /// connections may be silent. Unless overridden, it is dropped.
    fn on_change(&self, _waker: Waker) {}

    /// Asked by ports over HTTP of each request: [`ErrorKind::PermissionDenied`] for a page of another site, where tokens do
    /// not keep it out, as any browser carries requests for it. Unless overridden, all are served.
    #[expect(clippy::missing_errors_doc, reason = "the first sentence is about it")]
    fn check_site(&self, _host: Option<&str>, _origin: Option<&str>) -> Result<()> {
        Ok(())
    }
}

/// Authentication is off: everybody is [`Principal::unchecked`], and what they present is not looked at.
///
/// ```
/// use quintet_core::auth::{Authenticator, Open, Role};
/// assert_eq!(Open.authenticate(Some("anything")).unwrap().role(), Role::Unchecked);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Authenticator for Open {
    fn authenticate(&self, _token: Option<&str>) -> Result<Principal> {
        Ok(Principal::unchecked())
    }
}

/// The token of an `Authorization` header's value `Bearer …`; `None` when it is of another scheme or has none.
///
/// ```
/// use quintet_core::auth::bearer;
/// assert_eq!(bearer("Bearer abc"), Some("abc"));
/// assert_eq!(bearer("bearer  abc "), Some("abc"));
/// assert_eq!(bearer("Basic abc"), None);
/// assert_eq!(bearer("Bearer"), None);
/// ```
#[must_use]
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether two secrets are equal, in a time that depends on their lengths alone.
///
/// ```
/// use quintet_core::auth::same_secret;
/// assert!(same_secret(b"open sesame", b"open sesame"));
/// assert!(!same_secret(b"open sesame", b"open sesamf"));
/// assert!(!same_secret(b"", b"x"));
/// ```
#[must_use]
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    let mut difference = u8::from(a.len() != b.len());
    for (x, y) in a.iter().zip(b) {
        // The barrier keeps the compiler from leaving the loop at the first difference.
        difference = std::hint::black_box(difference | (x ^ y));
    }
    std::hint::black_box(difference) == 0
}

#[cfg(any(test, feature = "fake"))]
pub use fake::FakeAuthenticator;

#[cfg(any(test, feature = "fake"))]
mod fake;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn each_role_may_do_what_the_table_says() {
        for (role, read, write, administer) in [
            (Role::Unchecked, true, true, true),
            (Role::Anonymous, false, false, false),
            (Role::User, true, true, false),
            (Role::ReadOnly, true, false, false),
            (Role::Admin, true, true, true),
        ] {
            let principal = Principal::of(role);
            assert_eq!(
                (
                    principal.check_read().is_ok(),
                    principal.check_write().is_ok(),
                    principal.check_administer().is_ok()
                ),
                (read, write, administer),
                "{role:?}"
            );
        }
    }

    #[test]
    fn the_anonymous_are_asked_for_a_token_and_others_are_refused() {
        let kind = |result: Result<()>| result.expect_err("refused").kind();
        assert_eq!(
            kind(Principal::anonymous().check_read()),
            ErrorKind::Unauthenticated
        );
        assert_eq!(
            kind(Principal::read_only().check_write()),
            ErrorKind::PermissionDenied
        );
        assert_eq!(
            kind(Principal::user("ada", "{}").check_administer()),
            ErrorKind::PermissionDenied
        );
    }

    #[test]
    fn the_instant_of_expiry_is_too_late() {
        let noon = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ada = Principal::user("ada", "{}").until(noon);
        assert!(!ada.is_expired(noon - Duration::from_nanos(1)));
        assert!(ada.is_expired(noon));
        assert!(!Principal::admin().is_expired(noon));
    }

    #[test]
    fn claims_are_not_debug_printed() {
        let ada = Principal::user("ada", r#"{"email":"ada@example.org"}"#);
        assert!(!format!("{ada:?}").contains("example.org"));
        assert_eq!(ada.claims(), Some(r#"{"email":"ada@example.org"}"#));
        assert_eq!(ada.uid(), Some("ada"));
    }

    #[test]
    fn a_fake_refuses_what_it_does_not_know() {
        let fake = FakeAuthenticator::default().token_is("t", Principal::admin());
        assert_eq!(fake.authenticate(Some("t")).expect("known").role(), Role::Admin);
        for presented in [None, Some(""), Some("T"), Some("tt")] {
            let error = fake.authenticate(presented).expect_err("unknown");
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        }
    }
}
