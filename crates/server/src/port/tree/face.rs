//! [`Face`]: what every handler of the tree's port has, and the steps that every request takes: who is asking, the body, the
//! answer.

use super::{
    BODY_BYTES,
    params::{Params, Print},
};
use crate::{
    auth::Tokens,
    config::TreeConfig,
    engine::tree::TreeEngine,
    port::{
        body::{Body as Received, BodyBudget},
        life::Life,
        problem::Problem,
    },
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use quintet_core::{
    Deadline, Error, ErrorKind, SystemClock,
    auth::{Authenticator, Principal, bearer},
};
use quintet_tree::{Guard, Priority, Reader, Value, Write, parse_json};
use std::{sync::Arc, time::Duration};

/// Documents up to this size are parsed where they come in; larger ones would hold up other connections.
const INLINE_BYTES: usize = 64 << 10;
/// How long a read may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

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
    makes_tokens: bool,
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
                makes_tokens: config.makes_tokens,
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

    /// Whether `/auth/token` makes tokens for anybody.
    pub(super) fn makes_tokens(&self) -> bool {
        self.inner.makes_tokens
    }

    /// Who asks: by the `Authorization` header, or else by the parameter.
    pub(super) fn principal(&self, headers: &HeaderMap, params: &Params) -> Result<Principal, Problem> {
        let header = headers.get(header::AUTHORIZATION).map(|value| {
            value.to_str().ok().and_then(bearer).ok_or_else(|| {
                Error::new(
                    ErrorKind::Unauthenticated,
                    "the Authorization header is not `Bearer` and a token",
                )
            })
        });
        // With authentication off nothing that is presented is looked at, not even whether it has a shape.
        let presented = match header {
            Some(Err(error)) if self.inner.tokens.mode() != crate::auth::Mode::Off => {
                return Err(error.into());
            }
            Some(Ok(token)) => Some(token),
            _ => params.token.as_deref(),
        };
        Ok(self.inner.tokens.authenticate(presented)?)
    }

    /// Who asks, with what decides about reading; without rules the role does.
    pub(super) fn to_read(&self, headers: &HeaderMap, params: &Params) -> Result<Access, Problem> {
        let access = self.access(headers, params)?;
        if access.guard.is_none() {
            access.principal.check_read()?;
        }
        Ok(access)
    }

    /// Who asks, with what decides about writing.
    pub(super) fn to_write(&self, headers: &HeaderMap, params: &Params) -> Result<Access, Problem> {
        let access = self.access(headers, params)?;
        if access.guard.is_none() {
            access.principal.check_write()?;
        }
        Ok(access)
    }

    fn access(&self, headers: &HeaderMap, params: &Params) -> Result<Access, Problem> {
        let principal = self.principal(headers, params)?;
        let guard = self.inner.engine.guard(&principal)?;
        Ok(Access { principal, guard })
    }

    /// Runs a read on the tree's pool.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<R, Problem> + Send + 'static,
    ) -> Result<R, Problem> {
        let pool = self.inner.engine.tree().pool();
        pool.run(Priority::Read, Some(Deadline::after(&SystemClock, PATIENCE)), job)?
            .await?
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
        self.read(move || document(&body)).await
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

/// A value as the answer of a request.
pub(super) fn answer(print: Print, value: &Value) -> Response {
    let text = match print {
        Print::Silent => return StatusCode::NO_CONTENT.into_response(),
        Print::Plain => value.to_string(),
        Print::Pretty => format!("{value:#}"),
    };
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], Body::from(text)).into_response()
}
