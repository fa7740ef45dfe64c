//! Where a port listens, as a flag gives it: `ADDRESS:PORT`, or `off`.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

/// The value of an `--…-addr` flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// The port is not opened, and its engine not started.
    Off,
    /// Listen here; port 0 picks a free one.
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    /// Resolves a host name if one is given, so this may block on the resolver.
    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected ADDRESS:PORT such as 127.0.0.1:10001 or [::]:10001, or `off`";
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::At(address));
        }
        let named = text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(':') && port.parse::<u16>().is_ok()
        });
        if !named {
            return Err(EXPECTED.into());
        }
        text.to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .map(Self::At)
            .ok_or_else(|| format!("the host name is not known here; {EXPECTED}"))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_off() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        for text in ["127.0.0.1:0", "[::1]:10001", "0.0.0.0:80"] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.to_string(), text);
        }
        let named: Listen = "localhost:7".parse().expect("localhost resolves");
        assert!(
            matches!(named, Listen::At(at) if at.port() == 7 && at.ip().is_loopback()),
            "{named}"
        );
        for text in [
            "",
            "OFF!",
            "10001",
            ":10001",
            "127.0.0.1",
            "127.0.0.1:99999",
            "::1:80:x",
        ] {
            let error = text.parse::<Listen>().expect_err(text);
            assert!(error.contains("127.0.0.1:10001"), "{text}: {error}");
        }
    }
}
