//! The flags about who may use the server. Secrets are never flags themselves: they come from files or the environment.

use crate::{
    auth::{Mode, Secret, Settings, Site, Source},
    failure::Failure,
};
use clap::Args;
use std::path::PathBuf;

/// The secrets that the environment may hold instead of files; they are no flags, so that they are never in argv.
pub const SECRETS: [&str; 3] = [
    "QUINTET_AUTH_SECRET",
    "QUINTET_AUTH_ADMIN_TOKEN",
    "QUINTET_AUTH_READONLY_TOKEN",
];
const HEADING: &str = "Authentication (every port)";

/// The flags.
#[derive(Args, Clone, Debug)]
pub struct AuthArgs {
    /// Whether clients have to present a token
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Off, env = "QUINTET_AUTH", hide_env_values = true, help_heading = HEADING)]
    auth: Mode,

    /// File with the secret that signs tokens (HS256), at least 32 bytes; or QUINTET_AUTH_SECRET
    #[arg(long, value_name = "FILE", env = "QUINTET_AUTH_SECRET_FILE", hide_env_values = true, help_heading = HEADING)]
    auth_secret_file: Option<PathBuf>,

    /// File with the token of administrators, at least 16 characters; or QUINTET_AUTH_ADMIN_TOKEN
    #[arg(long, value_name = "FILE", env = "QUINTET_AUTH_ADMIN_TOKEN_FILE", hide_env_values = true, help_heading = HEADING)]
    auth_admin_token_file: Option<PathBuf>,

    /// File with the token of those who may only read; or QUINTET_AUTH_READONLY_TOKEN
    #[arg(long, value_name = "FILE", env = "QUINTET_AUTH_READONLY_TOKEN_FILE", hide_env_values = true, help_heading = HEADING)]
    auth_readonly_token_file: Option<PathBuf>,

    /// The issuer (`iss`) that a signed token must have
    #[arg(long, value_name = "NAME", env = "QUINTET_AUTH_ISSUER", hide_env_values = true, help_heading = HEADING)]
    auth_issuer: Option<String>,

    /// The audience (`aud`) that a signed token must have
    #[arg(long, value_name = "NAME", env = "QUINTET_AUTH_AUDIENCE", hide_env_values = true, help_heading = HEADING)]
    auth_audience: Option<String>,

    /// Take the word `owner` for the admin token, as clients of emulators send it; for development
    #[arg(long, env = "QUINTET_AUTH_OWNER", hide_env_values = true, help_heading = HEADING)]
    auth_owner: bool,

    /// Make a signed token for anybody who asks at POST /auth/token; for development
    #[arg(long, env = "QUINTET_AUTH_ALLOW_TOKEN_CREATION", hide_env_values = true, help_heading = HEADING)]
    auth_allow_token_creation: bool,

    /// Names, beside this machine's own, by which a server without `--auth` may be called, and whose pages may call it,
    /// separated by commas; `*` = every one
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = host, env = "QUINTET_ALLOW_HOST", hide_env_values = true, help_heading = HEADING)]
    allow_host: Vec<String>,
}

/// A name without scheme, port and path.
fn host(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if text == "*" || !text.is_empty() && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("expected a name such as app.example, without scheme and port".to_owned())
    }
}

impl AuthArgs {
    /// What the flags and the environment say together, and `--insecure` with them.
    ///
    /// # Errors
    /// A usage failure when a secret comes from two places.
    pub(crate) fn settings(&self, is_insecure: bool) -> Result<Settings, Failure> {
        Ok(Settings {
            mode: self.auth,
            secret: source(
                "--auth-secret-file",
                self.auth_secret_file.as_ref(),
                "QUINTET_AUTH_SECRET",
            )?,
            admin: source(
                "--auth-admin-token-file",
                self.auth_admin_token_file.as_ref(),
                "QUINTET_AUTH_ADMIN_TOKEN",
            )?,
            read_only: source(
                "--auth-readonly-token-file",
                self.auth_readonly_token_file.as_ref(),
                "QUINTET_AUTH_READONLY_TOKEN",
            )?,
            issuer: self.auth_issuer.clone(),
            audience: self.auth_audience.clone(),
            owner: self.auth_owner,
            site: Site {
                hosts: self.allow_host.clone(),
                any_name: is_insecure,
            },
        })
    }

    /// Whether tokens are made for anybody who asks.
    pub(crate) const fn makes_tokens(&self) -> bool {
        self.auth_allow_token_creation
    }
}

fn source(flag: &str, file: Option<&PathBuf>, name: &'static str) -> Result<Option<Source>, Failure> {
    let value = std::env::var_os(name);
    match (file, value) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{flag} and {name} are both given; use one of them"
        ))),
        (Some(file), None) => Ok(Some(Source::File(file.clone()))),
        (None, Some(value)) => Ok(Some(Source::Environment {
            name,
            value: Secret::new(value.into_encoded_bytes()),
        })),
        (None, None) => Ok(None),
    }
}
