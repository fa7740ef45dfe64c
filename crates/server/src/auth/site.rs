//! [`Site`]: which web pages may call a server that asks nobody for a token.
//!
//! A browser sends what any page tells it to, also to the loopback address, and adds the page's `Origin`. A page may also
//! have its own name resolve to this machine, and then is of the same origin to the browser; but its name stands in `Host`.
//! So both headers are held to this machine's addresses and to the names that the operator lists. Programs send no `Origin`
//! and call by address. With tokens this is not needed: a page does not have them.

use quintet_core::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr};

/// How much of a refused name is told, in characters.
const SHOWN: usize = 100;

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Site {
    /// Names beside this machine's own; `*` stands for every one.
    pub(crate) hosts: Vec<String>,
    /// Whether ports on addresses that others reach may be called by any name, as their users do.
    pub(crate) any_name: bool,
}

impl Site {
    /// Checks both headers of a request.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] that names the header.
    pub(crate) fn check(&self, host: Option<&str>, origin: Option<&str>) -> Result<()> {
        if host.is_none() && origin.is_none() {
            return Ok(());
        }
        let host = host.unwrap_or_default().trim();
        let name = name_of(host);
        let is_known =
            (is_bare(name) && !host.contains('.')) || is_address(name) || is_local(name) || self.lists(name);
        if !(is_known || self.any_name) {
            return Err(refused("Host", host));
        }
        let Some(origin) = origin.map(str::trim) else {
            return Ok(());
        };
        let page = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .unwrap_or_default();
        let is_own = !host.is_empty() && page.eq_ignore_ascii_case(host);
        if is_own || is_local(name_of(page)) || self.lists(name_of(page)) {
            return Ok(());
        }
        Err(refused("Origin", origin))
    }

    fn lists(&self, name: &str) -> bool {
        let mut hosts = self.hosts.iter();
        hosts.any(|host| host == "*" || host.eq_ignore_ascii_case(name))
    }
}

/// Without the port, and without the dot that ends an absolute name.
fn name_of(authority: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (name.ends_with(']') || !name.contains(':')) => name,
        _ => authority,
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn v6(name: &str) -> Option<Ipv6Addr> {
    name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// A name without a dot is the local network's: no stranger's server answers for it.
fn is_bare(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// An address says itself where it leads.
fn is_address(name: &str) -> bool {
    name.parse::<Ipv4Addr>().is_ok() || v6(name).is_some()
}

/// This machine, by its address or by the name that browsers resolve themselves.
fn is_local(name: &str) -> bool {
    let top = name.rsplit('.').next().unwrap_or_default();
    top.eq_ignore_ascii_case("localhost")
        || name
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
        || v6(name).is_some_and(|address| address.is_loopback())
}

fn refused(header: &str, value: &str) -> Error {
    let shown: String = value.chars().take(SHOWN).flat_map(char::escape_default).collect();
    Error::new(
        ErrorKind::PermissionDenied,
        format!(
            "{header}: {shown} is not known here, and a page of any site could send it; --allow-host names those that may \
             call, --auth require asks everybody for a token"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_served_and_other_sites_are_not() {
        let site = Site::default();
        for (host, origin) in [
            (None, None),
            (Some("127.0.0.1:8080"), None),
            (Some("192.168.1.5"), None),
            (Some("[::1]:8080"), Some("http://[::1]:8080")),
            (Some("LOCALHOST:8080"), Some("http://localhost:3000")),
            (Some("app.localhost."), Some("https://127.0.0.1")),
            (Some("192.168.1.5:8080"), Some("http://192.168.1.5:8080")),
            (Some(""), None),
            (Some("database:8080"), None),
        ] {
            assert!(site.check(host, origin).is_ok(), "{host:?} {origin:?}");
        }
        let local = Some("127.0.0.1:8080");
        for (host, origin, header) in [
            (Some("evil.example:8080"), None, "Host"),
            (Some("evil.example"), Some("http://evil.example"), "Host"),
            (Some("localhost.evil.example"), None, "Host"),
            (Some("127.0.0.1.evil.example"), None, "Host"),
            (Some("user@localhost:x"), None, "Host"),
            (Some("com."), Some("http://com."), "Host"),
            (Some("database"), Some("http://page"), "Origin"),
            (local, Some("https://evil.example"), "Origin"),
            (local, Some("null"), "Origin"),
            (local, Some(""), "Origin"),
            (local, Some("http://203.0.113.5"), "Origin"),
            (local, Some("http://localhost.evil.example"), "Origin"),
            (local, Some("file://localhost"), "Origin"),
            (None, Some("https://evil.example"), "Origin"),
            (
                Some("192.168.1.5:8080"),
                Some("http://192.168.1.5:3000"),
                "Origin",
            ),
        ] {
            let error = site.check(host, origin).expect_err("a stranger");
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(
                error.context().starts_with(header),
                "{host:?} {origin:?}: {error}"
            );
        }
    }

    #[test]
    fn names_that_the_operator_lists_are_served() {
        let site = |hosts: &[&str], any_name| Site {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            any_name,
        };
        let (host, origin) = (Some("db.example"), Some("https://app.example"));
        assert!(
            site(&["DB.example", "app.example"], false)
                .check(host, origin)
                .is_ok()
        );
        assert!(site(&["db.example"], false).check(host, origin).is_err());
        assert!(site(&["*"], false).check(host, Some("null")).is_ok());
        // Reached by others on purpose: by any name, but still not from other sites' pages.
        assert!(site(&[], true).check(host, None).is_ok());
        assert!(site(&[], true).check(host, origin).is_err());
        assert!(site(&[], true).check(host, Some("http://db.example")).is_ok());
    }
}
