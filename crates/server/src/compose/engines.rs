//! The list of engines: each has a mount, a start, its routes or the reason why there are none. A new engine is added
//! here, in its file below `engine`, and in `features`.

use super::side_by_side;
use crate::{
    auth::Tokens,
    config::Config,
    engine::{Mount, Part, Roster, disk::Disk},
    failure::Failure,
    port::{api::Routes, life::Life},
    shutdown::Reporter,
};
use std::{path::Path, sync::Arc};
use tokio::runtime::Handle;

#[cfg(feature = "blockstore")]
use crate::engine::blocks::{self, BlocksEngine};
#[cfg(feature = "kv")]
use crate::engine::kv::{self, KvEngine};
#[cfg(feature = "stm")]
use crate::engine::stm::{self, StmEngine};
#[cfg(feature = "tree")]
use crate::engine::tree::{self, TreeEngine};
#[cfg(feature = "shard")]
use crate::engine::vectors::{self, VectorsEngine};

/// A part, started.
type Started = Result<Box<dyn Part>, Failure>;

/// The places of the engines that are to be started; `None` = left out.
pub(super) struct Engines {
    #[cfg(feature = "blockstore")]
    blocks: Option<Mount<BlocksEngine>>,
    #[cfg(feature = "kv")]
    kv: Option<Mount<KvEngine>>,
    #[cfg(feature = "shard")]
    vectors: Option<Mount<VectorsEngine>>,
    #[cfg(feature = "stm")]
    stm: Option<Mount<StmEngine>>,
    #[cfg(feature = "tree")]
    tree: Option<Mount<TreeEngine>>,
}

/// Checks the engines' ports before anything is opened.
pub(super) fn probe(config: &Config) -> Result<(), Failure> {
    #[cfg(feature = "blockstore")]
    config.blocks.as_ref().map_or(Ok(()), blocks::probe)?;
    #[cfg(feature = "kv")]
    config.kv.as_ref().map_or(Ok(()), kv::probe)?;
    #[cfg(feature = "tree")]
    config.tree.as_ref().map_or(Ok(()), tree::probe)?;
    let _without_engines = config;
    Ok(())
}

/// What the engines are started with beside their own settings.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    /// Where ports on axum run.
    pub(super) runtime: &'a Handle,
    /// Who is asking.
    pub(super) tokens: &'a Arc<Tokens>,
    /// The server's stages.
    pub(super) life: &'a Life,
    /// Where a part that fails says so.
    pub(super) reporter: &'a Reporter,
}

impl Engines {
    /// Those that the configuration asks for.
    pub(super) fn of(config: &Config) -> Self {
        let _without_engines = config;
        Self {
            #[cfg(feature = "blockstore")]
            blocks: config.blocks.as_ref().map(|_| Mount::new("blocks")),
            #[cfg(feature = "kv")]
            kv: config.kv.as_ref().map(|_| Mount::new("kv")),
            #[cfg(feature = "shard")]
            vectors: config.vectors.as_ref().map(|_| Mount::new("vectors")),
            #[cfg(feature = "stm")]
            stm: config.stm.as_ref().map(|_| Mount::new("stm")),
            #[cfg(feature = "tree")]
            tree: config.tree.as_ref().map(|_| Mount::new("tree")),
        }
    }

    /// What the API port needs of each: its place, and its routes. The one place where routes are registered.
    pub(super) fn routes(&self, config: &Config, data: &Path) -> (Roster, Vec<Routes>) {
        let (mut roster, mut routes) = (Roster::default(), vec![page(self, config)]);
        let disk = Mount::new("disk");
        disk.fill(Arc::new(Disk::of(data.to_owned())));
        roster.add(&disk);
        #[cfg(feature = "blockstore")]
        match &self.blocks {
            Some(mount) => roster.add(mount),
            None => roster.add_absent("blocks", OFF),
        }
        #[cfg(not(feature = "blockstore"))]
        roster.add_absent("blocks", "not built in: the feature is `blockstore`");

        #[cfg(feature = "kv")]
        match &self.kv {
            Some(mount) => {
                roster.add(mount);
                routes.push(crate::port::kv::routes(mount));
            }
            None => absent(&mut roster, &mut routes, "kv", "/v1/kv", OFF),
        }
        #[cfg(not(feature = "kv"))]
        absent(
            &mut roster,
            &mut routes,
            "kv",
            "/v1/kv",
            "not built in: the feature is `kv`",
        );

        #[cfg(feature = "shard")]
        match &self.vectors {
            Some(mount) => {
                roster.add(mount);
                routes.push(crate::port::vectors::routes(mount));
            }
            None => absent(&mut roster, &mut routes, "vectors", "/v1/vectors", OFF),
        }
        #[cfg(not(feature = "shard"))]
        absent(
            &mut roster,
            &mut routes,
            "vectors",
            "/v1/vectors",
            "not built in: the feature is `shard`",
        );

        #[cfg(feature = "stm")]
        match &self.stm {
            Some(mount) => {
                roster.add(mount);
                routes.push(crate::port::stm::routes(mount));
            }
            None => absent(&mut roster, &mut routes, "stm", "/v1/stm", OFF),
        }
        #[cfg(not(feature = "stm"))]
        absent(
            &mut roster,
            &mut routes,
            "stm",
            "/v1/stm",
            "not built in: the feature is `stm`",
        );

        #[cfg(feature = "tree")]
        match &self.tree {
            Some(mount) => roster.add(mount),
            None => roster.add_absent("tree", OFF),
        }
        #[cfg(not(feature = "tree"))]
        roster.add_absent("tree", "not built in: the feature is `tree`");
        (roster, routes)
    }

    /// Those that are not open yet.
    pub(super) fn recovering(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        #[cfg(feature = "blockstore")]
        names.extend(self.blocks.as_ref().and_then(Mount::awaited));
        #[cfg(feature = "kv")]
        names.extend(self.kv.as_ref().and_then(Mount::awaited));
        #[cfg(feature = "shard")]
        names.extend(self.vectors.as_ref().and_then(Mount::awaited));
        #[cfg(feature = "stm")]
        names.extend(self.stm.as_ref().and_then(Mount::awaited));
        #[cfg(feature = "tree")]
        names.extend(self.tree.as_ref().and_then(Mount::awaited));
        names
    }

    /// Opens all of them side by side, so that the slowest recovery is the start's.
    pub(super) fn start(&self, config: &Config, data: &Path, shared: Shared<'_>) -> Vec<Started> {
        let mut starts: Vec<Box<dyn FnOnce() -> Started + Send + '_>> = Vec::new();
        #[cfg(feature = "blockstore")]
        if let (Some(mount), Some(own)) = (&self.blocks, &config.blocks) {
            let start = || blocks::start(own, data, &config.backend, shared.tokens, shared.reporter, mount);
            starts.push(Box::new(move || start().map(boxed)));
        }
        #[cfg(feature = "kv")]
        if let (Some(mount), Some(own)) = (&self.kv, &config.kv) {
            starts.push(Box::new(move || {
                kv::start(own, data, &config.backend, shared.tokens, mount).map(boxed)
            }));
        }
        #[cfg(feature = "shard")]
        if let (Some(mount), Some(own)) = (&self.vectors, &config.vectors) {
            starts.push(Box::new(move || vectors::start(own, data, mount).map(boxed)));
        }
        #[cfg(feature = "stm")]
        if let (Some(mount), Some(own)) = (&self.stm, &config.stm) {
            starts.push(Box::new(move || stm::start(own, data, mount).map(boxed)));
        }
        #[cfg(feature = "tree")]
        if let (Some(mount), Some(own)) = (&self.tree, &config.tree) {
            starts.push(Box::new(move || {
                tree::start(own, data, shared.runtime, shared.tokens, shared.life, mount).map(boxed)
            }));
        }
        let _without_engines = (config, data, shared);
        side_by_side(starts.into_iter())
    }
}

/// The page, or why there is none; and its way to the tree.
fn page(engines: &Engines, config: &Config) -> Routes {
    let _without_page = (engines, config);
    #[cfg(feature = "ui")]
    let page = {
        let pages = crate::ui::routes();
        #[cfg(feature = "tree")]
        let tree = match (&engines.tree, &config.tree) {
            (Some(mount), Some(own)) => crate::port::tree::explore::routes(mount, own),
            _ => Routes::absent("/ui/tree", &format!("the tree is not here; {OFF}")),
        };
        #[cfg(not(feature = "tree"))]
        let tree = Routes::absent(
            "/ui/tree",
            "the tree is not here; not built in: the feature is `tree`",
        );
        Routes {
            router: pages.router.merge(tree.router),
        }
    };
    #[cfg(not(feature = "ui"))]
    let page = Routes::absent_at("/", "the page is not here; not built in: the feature is `ui`");
    page
}

const OFF: &str = "left out: see --without, and the engine's own flags";

#[cfg(any(
    feature = "blockstore",
    feature = "kv",
    feature = "shard",
    feature = "stm",
    feature = "tree"
))]
fn boxed(part: impl Part + 'static) -> Box<dyn Part> {
    Box::new(part)
}

fn absent(
    roster: &mut Roster,
    routes: &mut Vec<Routes>,
    name: &'static str,
    prefix: &'static str,
    reason: &str,
) {
    roster.add_absent(name, reason);
    routes.push(Routes::absent(prefix, &format!("{name} is not here; {reason}")));
}
