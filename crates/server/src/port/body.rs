//! Request bodies: read with a limit of their route, a limit for all together, and a time; then JSON.
//!
//! A body is in memory while it is read and worked on, so all bodies share a budget. Its room is set aside before the
//! first byte is read: the stated length, or the route's limit when none is stated. No room is 503 and `Retry-After`.

use super::{
    api::Api,
    problem::{self, Problem},
};
use axum::{
    Extension, Router,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use quintet_core::ErrorKind;
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

/// What a body may have on routes that do not say otherwise.
pub(crate) const DEFAULT_BYTES: usize = 2 << 20;
/// The most bytes of a place in a body that an error names, so that there is room for what is wrong there.
const LONGEST_PLACE: usize = 256;
/// How long a body may take to come in.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The budget is counted in these.
const GRAIN: u64 = 1 << 10;

/// The room for all bodies.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget {
    grains: Arc<Semaphore>,
    bytes: u64,
}

impl BodyBudget {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let grains = usize::try_from(bytes / GRAIN).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            grains: Arc::new(Semaphore::new(grains.min(Semaphore::MAX_PERMITS))),
            bytes,
        }
    }

    /// How much room there is when nobody has any.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn reserve(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Problem> {
        let why = "the bodies of other requests take all memory set aside for bodies; try again";
        self.take(bytes)
            .ok_or_else(|| Problem::new(ErrorKind::Unavailable, why))
    }

    /// Room for so many bytes, until it is dropped; `None` = there is none now.
    pub(crate) fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let grains = u32::try_from(bytes.div_ceil(GRAIN)).unwrap_or(u32::MAX);
        Arc::clone(&self.grains).try_acquire_many_owned(grains).ok()
    }
}

/// The most bytes of a route's body; put on routes by [`limited`].
#[derive(Clone, Copy, Debug)]
struct RouteLimit(usize);

/// The same routes with another limit than [`DEFAULT_BYTES`] for their bodies.
pub(crate) fn limited(router: Router<Api>, bytes: usize) -> Router<Api> {
    router.layer(Extension(RouteLimit(bytes)))
}

/// A whole body and its room, which is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Body {
    /// The body as text.
    pub(crate) fn text(&self) -> Result<&str, Problem> {
        let text = std::str::from_utf8(&self.bytes);
        text.map_err(|error| Problem::invalid(format!("the body is not text in UTF-8: {error}")))
    }

    /// The body as JSON. Fields that are not known are refused where the type says so; an error names the place, such as
    /// `points[3].vector[0]`.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            // Read again to learn where: what is right is read only once.
            let json = &mut serde_json::Deserializer::from_slice(&self.bytes);
            let place = serde_path_to_error::deserialize::<_, T>(json).err();
            let place = place
                .map(|error| error.path().to_string())
                .filter(|path| path != "." && path != "?");
            let place = place.map_or_else(String::new, |path| {
                format!("{}: ", problem::shortened(path, LONGEST_PLACE))
            });
            Problem::invalid(format!("the body is not what is expected here: {place}{error}"))
        })
    }
}

impl Body {
    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn read(request: Request, budget: &BodyBudget, limit: usize) -> Result<Self, Problem> {
        let stated = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let too_large = || {
            let why = format!("the body is larger than {limit} bytes, the limit of this route");
            Problem::new(ErrorKind::TooLarge, why).member("limit_bytes", limit)
        };
        if stated.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let room = budget.reserve(stated.unwrap_or(limit as u64))?;
        let read = time::timeout(TIMEOUT, Limited::new(request.into_body(), limit).collect()).await;
        let late = |_elapsed| {
            let why = format!("the body did not come within {} s", TIMEOUT.as_secs());
            Problem::of_status(StatusCode::REQUEST_TIMEOUT, "request timeout", why)
        };
        let collected = read.map_err(late)?.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else {
                Problem::invalid(format!("the body did not come whole: {error}"))
            }
        })?;
        Ok(Self {
            bytes: collected.to_bytes(),
            _room: room,
        })
    }

    /// What came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl FromRequest<Api> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let limit = request.extensions().get::<RouteLimit>();
        let limit = limit.map_or(DEFAULT_BYTES, |RouteLimit(limit)| *limit);
        Self::read(request, api.bodies(), limit).await
    }
}
