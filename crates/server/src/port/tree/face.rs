//! [`Face`]: what every handler of the tree's port has, and the steps that every request takes: who is asking, the body, the
//! answer.

use super::{
    BODY_BYTES,
    params::{Params, Print},
    prompt::Prompt,
};
use crate::{
    auth::{Mode, Tokens},
    config::TreeConfig,
    engine::tree::TreeEngine,
    port::{
        body::{Body as Received, BodyBudget},
        life::Life,
        problem::Problem,
    },
};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use quintet_core::{
    Clock, Deadline, ErrorKind, SystemClock,
    auth::{Authenticator, Principal, bearer},
};
use quintet_tree::{Guard, Outcome, Path, Priority, Reader, Value, Write, parse_json};
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// Documents up to this size are parsed where they come in; larger ones would hold up other connections.
const INLINE_BYTES: usize = 64 << 10;
/// How long a read may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Reads of at most this much are done where they come in: that is shorter than the way to another thread.
const NOW_BYTES: u64 = 64 << 10;
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The port's shared state. Clones share it.
#[derive(Clone)]
pub(crate) struct Face {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<TreeEngine>,
    tokens: Arc<Tokens>,
    life: Life,
    bodies: BodyBudget,
    /// For answers that are not sent yet, apart: who does not read holds up no write.
    answers: BodyBudget,
    makes_tokens: bool,
    prompt: Prompt,
}

/// Who asks, and what decides about it.
pub(super) struct Access {
    pub(super) principal: Principal,
    pub(super) guard: Option<Arc<dyn Guard>>,
}

impl Face {
    pub(crate) fn new(engine: Arc<TreeEngine>, tokens: Arc<Tokens>, life: Life, config: &TreeConfig) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine,
                tokens,
                life,
                bodies: BodyBudget::new(config.body_memory.0),
                answers: BodyBudget::new(config.body_memory.0),
                makes_tokens: config.makes_tokens,
                prompt: Prompt::new(SystemClock.now()),
            }),
        }
    }

    pub(super) fn engine(&self) -> &Arc<TreeEngine> {
        &self.inner.engine
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    pub(super) fn life(&self) -> &Life {
        &self.inner.life
    }

    pub(super) fn bodies(&self) -> &BodyBudget {
        &self.inner.bodies
    }

    /// Room for an answer until it is sent, where it is a large one; all there is for one that is larger than that.
    pub(super) fn room(&self, bytes: usize) -> Result<Option<Room>, Problem> {
        let bytes = (bytes as u64).min(self.inner.answers.bytes());
        if bytes <= NOW_BYTES {
            return Ok(None);
        }
        let why = "answers that are not read yet take all memory set aside for answers; try again";
        let room = self.inner.answers.take(bytes);
        room.map(Some)
            .ok_or_else(|| Problem::new(ErrorKind::Unavailable, why))
    }

    /// A value's text as the answer of a request.
    pub(super) fn text(&self, text: impl Into<Vec<u8>>) -> Result<Response, Problem> {
        let text = text.into();
        let bytes = match self.room(text.len())? {
            None => Bytes::from(text),
            Some(room) => Bytes::from_owner(Held { text, _room: room }),
        };
        Ok(([(header::CONTENT_TYPE, JSON)], Body::from(bytes)).into_response())
    }

    /// A value as the answer of a request.
    pub(super) fn answer(&self, print: Print, value: &Value) -> Result<Response, Problem> {
        match print {
            Print::Silent => Ok(StatusCode::NO_CONTENT.into_response()),
            Print::Plain => self.text(value.to_string()),
            Print::Pretty => self.text(format!("{value:#}")),
        }
    }

    /// Whether `/auth/token` makes tokens for anybody.
    pub(super) fn makes_tokens(&self) -> bool {
        self.inner.makes_tokens
    }

    /// What is presented: in the `Authorization` header, or else in the parameter. With authentication off nothing is
    /// looked at, not even whether it has a shape.
    pub(super) fn presented<'r>(
        &self,
        headers: &'r HeaderMap,
        params: &'r Params,
    ) -> Result<Option<&'r str>, Problem> {
        if self.inner.tokens.mode() == Mode::Off {
            return Ok(None);
        }
        let Some(header) = headers.get(header::AUTHORIZATION) else {
            return Ok(params.token.as_deref());
        };
        match header.to_str().ok().and_then(bearer) {
            Some(token) => Ok(Some(token)),
            None => Err(Problem::new(
                ErrorKind::Unauthenticated,
                "the Authorization header is not `Bearer` and a token",
            )),
        }
    }

    /// Who asks.
    pub(super) fn principal(&self, headers: &HeaderMap, params: &Params) -> Result<Principal, Problem> {
        let presented = self.presented(headers, params)?;
        Ok(self.inner.tokens.authenticate(presented)?)
    }

    /// Who asks, with what decides about reading; without rules the role does.
    pub(super) fn to_read(&self, headers: &HeaderMap, params: &Params) -> Result<Access, Problem> {
        self.to_read_as(self.principal(headers, params)?)
    }

    /// The same about somebody who is known.
    pub(super) fn to_read_as(&self, principal: Principal) -> Result<Access, Problem> {
        let guard = self.inner.engine.guard(&principal)?;
        if guard.is_none() {
            principal.check_read()?;
        }
        Ok(Access { principal, guard })
    }

    /// Who asks, with what decides about writing.
    pub(super) fn to_write(&self, headers: &HeaderMap, params: &Params) -> Result<Access, Problem> {
        let principal = self.principal(headers, params)?;
        let guard = self.inner.engine.guard(&principal)?;
        if guard.is_none() {
            principal.check_write()?;
        }
        Ok(Access { principal, guard })
    }

    /// Runs a read, or what prepares a write, on the tree's pool.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        priority: Priority,
        job: impl FnOnce() -> Result<R, Problem> + Send + 'static,
    ) -> Result<R, Problem> {
        let pool = self.inner.engine.tree().pool();
        pool.run(priority, Some(Deadline::after(&SystemClock, PATIENCE)), job)?
            .await?
    }

    /// Writes, and answers when it is on stable storage. A large document is prepared by the tree's pool: it would hold up
    /// other connections.
    pub(super) async fn write(&self, write: Write) -> Result<Outcome, Problem> {
        let tree = self.inner.engine.tree();
        if write.bytes() <= INLINE_BYTES as u64 {
            return Ok(tree.write(write).await?);
        }
        let engine = Arc::clone(&self.inner.engine);
        let prepared = self.read(Priority::Write, move || Ok(engine.tree().prepare(write)?));
        Ok(tree.write(prepared.await?).await?)
    }

    /// The document as text, where it is small and reads have been quick; otherwise it is for the pool, at this priority.
    pub(super) fn read_now(
        &self,
        reader: &Reader,
        path: &Path,
    ) -> Result<Result<Vec<u8>, Problem>, Priority> {
        let prompt = &self.inner.prompt;
        let begun = SystemClock.now();
        if !prompt.is_now(begun) {
            return Err(Priority::Read);
        }
        let answer = reader.get_small_json(path, NOW_BYTES);
        prompt.took(begun, SystemClock.now());
        // A large one is not to hold up small ones there.
        let answer = answer.map_err(Problem::from).transpose();
        answer.ok_or(Priority::Bulk)
    }

    /// The whole body as JSON.
    pub(super) async fn document(&self, request: Request) -> Result<Value, Problem> {
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(Problem::of_status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported media type",
                "the body is encoded; send it as it is",
            ));
        }
        let body = Received::read(request, &self.inner.bodies, BODY_BYTES).await?;
        if body.bytes().len() <= INLINE_BYTES {
            return document(&body);
        }
        self.read(Priority::Write, move || document(&body)).await
    }
}

fn document(body: &Received) -> Result<Value, Problem> {
    if body.bytes().is_empty() {
        return Err(Problem::invalid(
            "the body is empty; to remove a value, DELETE it or send null",
        ));
    }
    parse_json(body.bytes()).map_err(|error| {
        Problem::invalid(format!(
            "Invalid data; couldn't parse JSON object, array, or value. {error}"
        ))
    })
}

/// Room in memory, given back when this is dropped.
pub(super) type Room = OwnedSemaphorePermit;

/// A text with its room: both go when the last byte is sent.
struct Held {
    text: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Access {
    /// A reader that asks first.
    pub(super) fn reader(&self, engine: &TreeEngine) -> Reader {
        let reader = engine.tree().reader();
        match &self.guard {
            Some(guard) => reader.guarded(Arc::clone(guard)),
            None => reader.clone(),
        }
    }

    /// A write that asks first.
    pub(super) fn write(&self, write: Write) -> Write {
        match &self.guard {
            Some(guard) => write.guarded(Arc::clone(guard)),
            None => write,
        }
    }
}
