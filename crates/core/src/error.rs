//! The error that crosses every trait in this crate: a kind to act on, a sentence for people, and what caused it.
//!
//! Engines have their own typed errors with named fields; each converts into this one at the trait boundary. It is
//! `Clone` because one failed commit answers many requests.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

/// What went wrong, for code to act on. Never match on an error's text.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong; sending it again cannot help.
    InvalidInput,
    /// There is nothing under that name.
    NotFound,
    /// There is something under that name already.
    AlreadyExists,
    /// The state is not the one the request was made for, for example a version that moved on.
    Conflict,
    /// No space is left in the store.
    Full,
    /// One item is larger than a stated limit.
    TooLarge,
    /// Not now: a queue is full, no credit is left, or the engine is recovering. Try again.
    Unavailable,
    /// The deadline passed first.
    TimedOut,
    /// The other side is gone. For a request that was in flight the outcome is unknown.
    Closed,
    /// The caller presented no token where one is needed, or one that is not valid.
    Unauthenticated,
    /// The caller may not do this.
    PermissionDenied,
    /// This build, engine or platform cannot do this.
    Unsupported,
    /// Stored bytes are not what was written.
    Corrupted,
    /// The operating system refused an operation.
    Io,
    /// An earlier flush or commit failed, so the durable state is unknown: writes are refused until a restart.
    Poisoned,
}

impl ErrorKind {
    /// Every kind, for tables and for tests that must cover them all.
    pub const ALL: [Self; 15] = [
        Self::InvalidInput,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::Full,
        Self::TooLarge,
        Self::Unavailable,
        Self::TimedOut,
        Self::Closed,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::Unsupported,
        Self::Corrupted,
        Self::Io,
        Self::Poisoned,
    ];

    /// The status code that every HTTP port answers for this kind. The only such table in the workspace.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidInput => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Corrupted | Self::Io => 500,
            Self::Unsupported => 501,
            Self::Unavailable | Self::Closed | Self::Poisoned => 503,
            Self::TimedOut => 504,
            Self::Full => 507,
        }
    }

    /// The kind in lower-case words, as it begins an error's text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid input",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::Full => "no space left",
            Self::TooLarge => "too large",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed out",
            Self::Closed => "closed",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission denied",
            Self::Unsupported => "unsupported",
            Self::Corrupted => "corrupted",
            Self::Io => "i/o error",
            Self::Poisoned => "poisoned",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An [`ErrorKind`], one sentence of context, and the cause if there is one. Cloning shares the cause.
///
/// ```
/// use quintet_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Full, "a block of 4096 bytes does not fit, 0 bytes are free");
/// assert_eq!(error.to_string(), "no space left: a block of 4096 bytes does not fit, 0 bytes are free");
/// assert_eq!(error.kind().http_status(), 507);
/// ```
#[derive(Clone)]
pub struct Error(Form);

/// Two words, so that results stay small where nothing goes wrong: they are moved far more often than errors are made.
#[derive(Clone)]
enum Form {
    Plain(ErrorKind),
    Told(Arc<Told>),
}

#[derive(Clone)]
struct Told {
    kind: ErrorKind,
    context: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without a cause. `context` is one line that names what was wrong and where; it may be empty. Allocates,
    /// except for an empty context.
    #[must_use]
    pub fn new(kind: ErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        let context = context.into();
        if context.is_empty() {
            return Self(Form::Plain(kind));
        }
        Self::told(kind, context, None)
    }

    fn told(
        kind: ErrorKind,
        context: Cow<'static, str>,
        source: Option<Arc<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Form::Told(Arc::new(Told {
            kind,
            context,
            source,
        })))
    }

    /// The same error with the one that caused it.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        let kind = self.kind();
        let context = match self.0 {
            Form::Plain(_) => Cow::Borrowed(""),
            Form::Told(told) => Arc::unwrap_or_clone(told).context,
        };
        Self::told(kind, context, Some(Arc::new(source)))
    }

    /// What to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0 {
            Form::Plain(kind) => *kind,
            Form::Told(told) => told.kind,
        }
    }

    /// The sentence that was given at construction, without the kind.
    #[must_use]
    pub fn context(&self) -> &str {
        match &self.0 {
            Form::Plain(_) => "",
            Form::Told(told) => &told.context,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())?;
        if !self.context().is_empty() {
            write!(f, ": {}", self.context())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Error");
        text.field("kind", &self.kind()).field("context", &self.context());
        if let Some(source) = self.source() {
            text.field("source", &source);
        }
        text.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Form::Plain(_) => None,
            Form::Told(told) => told
                .source
                .as_deref()
                .map(|source| source as &(dyn StdError + 'static)),
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind, "")
    }
}

impl From<std::io::Error> for Error {
    /// Keeps the operating system's error as the source. A full disk, a quota or a limit on file size that is reached
    /// is [`ErrorKind::Full`], all else [`ErrorKind::Io`].
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Os;
        let kind = match error.kind() {
            Os::StorageFull | Os::QuotaExceeded | Os::FileTooLarge => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
