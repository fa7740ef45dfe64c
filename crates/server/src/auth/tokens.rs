//! [`Tokens`]: the authenticator of `quintet serve`.
//!
//! A presented token is the admin token, the read-only token, or a signed token with `exp` and a `uid` (or `sub`). Anything
//! else is refused with the reason: a bad token never becomes nobody. With the mode `off` nothing is looked at.

use super::{
    hs256,
    secret::{SIGNING_BYTES_MIN, Secret, Source, TOKEN_BYTES_MIN},
    site::Site,
};
use crate::failure::Failure;
use arc_swap::ArcSwap;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind as TokenFault,
};
use quintet_core::{
    Clock, Error, ErrorKind, Result,
    auth::{Authenticator, Principal, same_secret},
};
use serde_json::{Map, Value as Json};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    task::Waker,
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::watch;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// The longest user id, in bytes.
const UID_BYTES_MAX: usize = 128;
/// The word with which clients of emulators present themselves as administrators.
const OWNER: &str = "owner";

/// Whether a client has to present something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Nobody is asked, and what is presented is not looked at
    Off,
    /// Without a token a client is anonymous: rules decide, and ports without rules refuse
    Optional,
    /// Every request needs a valid token
    Require,
}

/// What the flags say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// Signs and verifies tokens.
    pub(crate) secret: Option<Source>,
    pub(crate) admin: Option<Source>,
    pub(crate) read_only: Option<Source>,
    /// The `iss` that a token must have.
    pub(crate) issuer: Option<String>,
    /// The `aud` that a token must have.
    pub(crate) audience: Option<String>,
    /// Whether the word `owner` is an admin token, as emulators have it.
    pub(crate) owner: bool,
    /// Which pages may call where nobody is asked for a token.
    pub(crate) site: Site,
}

impl Settings {
    /// Authentication off.
    #[cfg(test)]
    pub(crate) const OFF: Self = Self {
        mode: Mode::Off,
        secret: None,
        admin: None,
        read_only: None,
        issuer: None,
        audience: None,
        owner: false,
        site: Site {
            hosts: Vec::new(),
            any_name: false,
        },
    };
}

/// The authenticator. Shared by every port.
pub(crate) struct Tokens {
    settings: Settings,
    keys: ArcSwap<Keys>,
    /// Counts how often the keys were read again; who keeps a stream open waits for it.
    changes: watch::Sender<u64>,
    /// The same, for who only looks.
    generation: AtomicU64,
    /// One of each thread of the ports that are no tasks.
    wakers: Mutex<Vec<Waker>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Keys {
    signing: Option<(DecodingKey, EncodingKey)>,
    admin: Option<Secret>,
    read_only: Option<Secret>,
}

impl Tokens {
    /// Reads the secrets.
    ///
    /// # Errors
    /// A usage failure that names the flag: a secret that cannot be read or is too short, or a mode other than `off` with
    /// nothing that could be accepted.
    pub(crate) fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        hs256::install();
        let keys = Keys::read(&settings)?;
        if settings.mode != Mode::Off
            && keys.signing.is_none()
            && keys.admin.is_none()
            && keys.read_only.is_none()
            && !settings.owner
        {
            return Err(
                Failure::usage("--auth asks for tokens, but no token could be accepted")
                    .hint("--auth-secret-file for signed tokens, or --auth-admin-token-file for one token"),
            );
        }
        Ok(Self {
            settings,
            keys: ArcSwap::from_pointee(keys),
            changes: watch::Sender::new(0),
            generation: AtomicU64::new(0),
            wakers: Mutex::default(),
            clock,
        })
    }

    /// Reads the secrets again; those in force stay if one cannot be read.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn reload(&self) -> Result<(), Failure> {
        self.keys.store(Arc::new(Keys::read(&self.settings)?));
        self.generation.fetch_add(1, Release);
        let wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.iter().for_each(Waker::wake_by_ref);
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Tells when what was accepted may be accepted no longer.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether a client has to present something.
    pub(crate) const fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// Signs a token for `uid` that is valid for `lifetime`; `claims` are added to it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] without a secret; [`ErrorKind::InvalidInput`] for a `uid` that no token may have.
    pub(crate) fn sign(
        &self,
        uid: &str,
        mut claims: Map<String, Json>,
        lifetime: Duration,
    ) -> Result<String> {
        check_uid(uid).map_err(|why| Error::new(ErrorKind::InvalidInput, why))?;
        let keys = self.keys.load();
        let Some((_, key)) = &keys.signing else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the server has no secret to sign tokens with",
            ));
        };
        let now_s = self.now_s();
        let mut put = |name: &str, value: Json| claims.insert(name.to_owned(), value);
        put("uid", uid.into());
        put("sub", uid.into());
        put("iat", now_s.into());
        put("exp", (now_s + lifetime.as_secs()).into());
        if let Some(issuer) = &self.settings.issuer {
            put("iss", issuer.as_str().into());
        }
        if let Some(audience) = &self.settings.audience {
            put("aud", audience.as_str().into());
        }
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, key).map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("the claims cannot be signed: {error}"),
            )
        })
    }

    fn now_s(&self) -> u64 {
        self.clock
            .wall()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    fn verify(&self, token: &str, key: &DecodingKey) -> Result<Principal> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked below, against the server's own clock and without leeway.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        validation.validate_aud = self.settings.audience.is_some();
        if let Some(issuer) = &self.settings.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if let Some(audience) = &self.settings.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        let claims = jsonwebtoken::decode::<Map<String, Json>>(token, key, &validation)
            .map_err(|error| refused(why(error.kind())))?
            .claims;
        let now_s = self.now_s();
        let Some(expires_s) = seconds(&claims, "exp")? else {
            return Err(refused(
                "the token has no `exp`; one that never expires is not accepted",
            ));
        };
        if now_s >= expires_s {
            return Err(refused("the token has expired"));
        }
        if seconds(&claims, "nbf")?.is_some_and(|from_s| now_s < from_s) {
            return Err(refused("the token is not valid yet"));
        }
        let uid = ["uid", "user_id", "sub"]
            .iter()
            .find_map(|name| claims.get(*name))
            .and_then(Json::as_str)
            .ok_or_else(|| refused("the token names nobody: it has no `uid` and no `sub`"))?
            .to_owned();
        check_uid(&uid).map_err(refused)?;
        let expires = UNIX_EPOCH
            .checked_add(Duration::from_secs(expires_s))
            .ok_or_else(|| refused("the token's `exp` is beyond time"))?;
        Ok(Principal::user(uid, Json::Object(claims).to_string()).until(expires))
    }
}

impl Authenticator for Tokens {
    fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    fn on_change(&self, waker: Waker) {
        self.wakers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(waker);
    }

    fn check_site(&self, host: Option<&str>, origin: Option<&str>) -> Result<()> {
        match self.settings.mode {
            Mode::Off => self.settings.site.check(host, origin),
            // Who may do something without a token is what rules say, and they say it of every page.
            Mode::Optional | Mode::Require => Ok(()),
        }
    }

    fn authenticate(&self, token: Option<&str>) -> Result<Principal> {
        if self.settings.mode == Mode::Off {
            return Ok(Principal::unchecked());
        }
        let Some(token) = token else {
            return match self.settings.mode {
                Mode::Optional => Ok(Principal::anonymous()),
                _ => Err(refused("a token is needed; send it as `Authorization: Bearer …`")),
            };
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused("the token is longer than any that is accepted"));
        }
        let keys = self.keys.load();
        let is = |secret: &Option<Secret>| {
            secret
                .as_ref()
                .is_some_and(|secret| same_secret(secret.bytes(), token.as_bytes()))
        };
        if is(&keys.admin) || self.settings.owner && token == OWNER {
            return Ok(Principal::admin());
        }
        if is(&keys.read_only) {
            return Ok(Principal::read_only());
        }
        match &keys.signing {
            Some((key, _)) => self.verify(token, key),
            None => Err(refused("the token is not known")),
        }
    }
}

impl Keys {
    fn read(settings: &Settings) -> Result<Self, Failure> {
        let read = |source: &Option<Source>, flag, least| {
            source.as_ref().map(|source| source.read(flag, least)).transpose()
        };
        let signing = read(&settings.secret, "--auth-secret-file", SIGNING_BYTES_MIN)?;
        Ok(Self {
            signing: signing.map(|secret| {
                (
                    DecodingKey::from_secret(secret.bytes()),
                    EncodingKey::from_secret(secret.bytes()),
                )
            }),
            admin: read(&settings.admin, "--auth-admin-token-file", TOKEN_BYTES_MIN)?,
            read_only: read(&settings.read_only, "--auth-readonly-token-file", TOKEN_BYTES_MIN)?,
        })
    }
}

/// A claim that is a time. Whole seconds; a fraction counts as not yet over.
fn seconds(claims: &Map<String, Json>, name: &str) -> Result<Option<u64>> {
    match claims.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => match (value.as_u64(), value.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds)),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "finite, positive and small as just checked"
            )]
            (None, Some(seconds)) if (0.0..1e15).contains(&seconds) => Ok(Some(seconds as u64)),
            _ => Err(refused(format!("the token's `{name}` is not a time"))),
        },
    }
}

fn check_uid(uid: &str) -> Result<(), String> {
    if uid.is_empty() || uid.len() > UID_BYTES_MAX || uid.chars().any(char::is_control) {
        return Err(format!(
            "a uid has 1 to {UID_BYTES_MAX} bytes and no control characters"
        ));
    }
    Ok(())
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthenticated, why.into())
}

/// The library's fault in words that help and give nothing away.
fn why(fault: &TokenFault) -> &'static str {
    match fault {
        TokenFault::InvalidSignature => "the token's signature is wrong",
        TokenFault::InvalidAlgorithm | TokenFault::InvalidAlgorithmName => {
            "the token is not signed with HS256, the one algorithm accepted"
        }
        TokenFault::InvalidIssuer => "the token is from another issuer",
        TokenFault::InvalidAudience => "the token is for another audience",
        TokenFault::MissingRequiredClaim(_) => "the token lacks `iss` or `aud`, which this server asks for",
        _ => "this is not a token of this server",
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
