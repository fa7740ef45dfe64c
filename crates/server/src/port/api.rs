//! The API port: what its handlers share, and the one place where every engine's routes are registered.
//!
//! The port opens before the engines do, so that `/readyz` can say that they recover; an engine's routes answer 503 until
//! its [`Mount`](crate::engine::Mount) is filled, and 404 with the reason when it is not built in or left out.

use super::{
    admit,
    body::BodyBudget,
    dress, health,
    life::Life,
    listener::{self, HttpPort},
    offload::Offload,
    problem::Problem,
    traffic::Traffic,
};
use crate::{
    auth::Tokens,
    config::HttpConfig,
    engine::{Engine, Mount, Part, Roster},
    failure::Failure,
};
use axum::{Router, http::HeaderValue, middleware, response::Response, routing::any};
use quintet_core::{Clock, Deadline, ErrorKind, SystemClock};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, UNIX_EPOCH},
};
use tokio::runtime::Handle;

/// What every handler of the port has. Clones share it.
#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    roster: Arc<Roster>,
    tokens: Arc<Tokens>,
    life: Life,
    offload: Offload,
    bodies: BodyBudget,
    traffic: Traffic,
    began: Instant,
    /// The ids of one run begin alike, those of another run otherwise.
    run: u64,
    requests: AtomicU64,
}

impl Api {
    fn new(roster: Arc<Roster>, tokens: Arc<Tokens>, life: Life, config: &HttpConfig) -> Self {
        let since = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            inner: Arc::new(Inner {
                roster,
                tokens,
                life,
                offload: Offload::new(),
                bodies: BodyBudget::new(config.body_memory.0),
                traffic: Traffic::default(),
                began: SystemClock.now(),
                run: u64::try_from(since.as_micros()).unwrap_or(0),
                requests: AtomicU64::new(1),
            }),
        }
    }

    /// All engines.
    pub(crate) fn roster(&self) -> &Roster {
        &self.inner.roster
    }

    /// Who is asking.
    pub(crate) fn tokens(&self) -> &Arc<Tokens> {
        &self.inner.tokens
    }

    /// Where the server is in its life.
    pub(crate) fn life(&self) -> &Life {
        &self.inner.life
    }

    /// Where engine calls run.
    pub(crate) fn offload(&self) -> &Offload {
        &self.inner.offload
    }

    /// The room for bodies.
    pub(crate) fn bodies(&self) -> &BodyBudget {
        &self.inner.bodies
    }

    /// The port's figures.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.inner.traffic
    }

    /// When the server was started.
    pub(crate) fn began(&self) -> Instant {
        self.inner.began
    }

    /// A fresh request id.
    pub(crate) fn next_id(&self) -> HeaderValue {
        let number = self.inner.requests.fetch_add(1, Relaxed);
        let id = format!("{:x}-{number:x}", self.inner.run);
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
    }

    /// Runs a call of an engine where it may block; how every handler of an engine's routes works.
    pub(crate) async fn call<E: Engine>(
        &self,
        mount: &Mount<E>,
        work: impl FnOnce(&Arc<E>) -> Result<Response, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let engine = mount.get()?;
        self.offload().run(move || work(&engine)).await?
    }
}

/// The routes of one engine, or those that say why it has none.
pub(crate) struct Routes {
    /// What is there.
    pub(crate) router: Router<Api>,
}

impl Routes {
    /// For an engine that is not there: every path below the prefix is 404 with the reason.
    pub(crate) fn absent(prefix: &'static str, reason: &str) -> Self {
        let mut routes = Self::absent_at(prefix, reason);
        routes.router = routes
            .router
            .merge(Self::absent_at(&format!("{prefix}/{{*rest}}"), reason).router);
        routes
    }

    /// For something that is not there at one path.
    pub(crate) fn absent_at(path: &str, reason: &str) -> Self {
        let problem = Problem::new(ErrorKind::NotFound, reason);
        let tell = move || {
            let problem = problem.clone();
            async move { problem }
        };
        Self {
            router: Router::new().route(path, any(tell)),
        }
    }
}

/// The running port.
pub(crate) struct ApiPort {
    port: Option<HttpPort>,
    address: SocketAddr,
}

impl ApiPort {
    /// Opens the port. `routes` are those of every engine.
    pub(crate) fn open(
        runtime: &Handle,
        config: &HttpConfig,
        address: SocketAddr,
        (roster, routes): (Arc<Roster>, Vec<Routes>),
        tokens: &Arc<Tokens>,
        life: Life,
    ) -> Result<Self, Failure> {
        let api = Api::new(roster, Arc::clone(tokens), life.clone(), config);
        let socket = listener::bind("--http-addr", address)?;
        let router = router(&api, routes);
        let port = HttpPort::serve(runtime, socket, router, config.connections, life)
            .map_err(|error| Failure::new(format!("--http-addr {address}: {error}")))?;
        Ok(Self {
            address: port.address(),
            port: Some(port),
        })
    }
}

fn router(api: &Api, routes: Vec<Routes>) -> Router {
    let mut router = health::routes();
    for engine in routes {
        router = router.merge(engine.router);
    }
    router
        .layer(middleware::from_fn_with_state(api.clone(), admit::admit))
        .layer(middleware::from_fn_with_state(api.clone(), dress::dress))
        .with_state(api.clone())
}

impl Part for ApiPort {
    fn lines(&self) -> Vec<String> {
        let url = format!("http://{}", self.address);
        let mut lines = vec![format!("api     {url}  try: curl {url}/readyz")];
        if cfg!(feature = "ui") {
            lines.push(format!("page    {url}/  open it in a browser"));
        }
        lines
    }

    fn drain(&mut self, deadline: Deadline) -> Result<(), Failure> {
        if let Some(port) = self.port.take() {
            port.drain(deadline);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}
