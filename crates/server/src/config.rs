//! What the flags mean together: defaults filled in, ranges checked, the effective values in one place.
//!
//! Nothing is clamped silently: a value out of range is a usage error that names the flag and the bound.

#[cfg(any(feature = "blockstore", feature = "kv"))]
use crate::io_backend::Chosen;
use crate::{
    cli::{CheckedReads, EngineName, Kept, ServeArgs},
    failure::Failure,
    listen::Listen,
    size::ByteSize,
};
use quintet_core::Durability;
use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// The most workers a port may have: each has its own pools, rings and event loop.
const MOST_WORKERS: usize = 64;
/// The most workers that are started unasked.
const MOST_DEFAULT_WORKERS: usize = 16;
/// The most shards: each is a thread with a log.
const MOST_SHARDS: usize = 1024;
/// Below this the file cannot hold a block of the largest class for each of a few workers.
const LEAST_CAPACITY: u64 = 16 << 20;
const CHECKPOINT: (usize, usize) = (64, 1 << 20);
const CONNECTIONS: (usize, usize) = (1, 65_536);
/// One body of the largest size must fit.
const LEAST_BODY_MEMORY: u64 = 32 << 20;
const LEAST_TREE: u64 = 1 << 20;
const MOST_TREE: u64 = 1 << 40;
const MOST_BODY_MEMORY: u64 = 64 << 30;

/// Everything `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The root of all data.
    pub data_dir: PathBuf,
    /// How sockets are served, and why so.
    #[cfg(any(feature = "blockstore", feature = "kv"))]
    pub backend: Chosen,
    /// The API port.
    pub http: HttpConfig,
    /// The block store; `None` = not built in, left out, or without a port.
    pub blocks: Option<BlocksConfig>,
    /// The datastore.
    pub kv: Option<KvConfig>,
    /// The vectors.
    pub vectors: Option<VectorsConfig>,
    /// The contexts.
    pub stm: Option<StmConfig>,
    /// The tree.
    pub tree: Option<TreeConfig>,
    /// Who may use the server.
    pub(crate) auth: crate::auth::Settings,
}

/// The API port's share.
#[derive(Clone, Copy, Debug)]
pub struct HttpConfig {
    /// Where it listens; `None` = nowhere.
    pub address: Option<SocketAddr>,
    /// Connections that may be open at once.
    pub connections: usize,
    /// Bytes of request bodies that may be in memory at once.
    pub body_memory: ByteSize,
}

/// The block store's share.
#[derive(Clone, Debug)]
pub struct BlocksConfig {
    /// Where its HTTP port listens.
    pub address: SocketAddr,
    /// I/O threads, 1 to 64.
    pub workers: NonZeroUsize,
    /// The most bytes of the block file; `None` = 80 % of what is free when the engine opens.
    pub capacity: Option<ByteSize>,
    /// What an acknowledged PUT or DELETE survives.
    pub durability: Durability,
    /// Which GETs are checked.
    pub verify: CheckedReads,
    /// Changes of the table that are kept in memory.
    pub checkpoint: usize,
    /// Whether deleted blocks give their storage back at once.
    pub punch: bool,
}

/// The datastore's share.
#[derive(Clone, Debug)]
pub struct KvConfig {
    /// Where its Redis port listens; `None` = it is on the API port alone.
    pub address: Option<SocketAddr>,
    /// Threads of that port, 1 to 64.
    pub workers: NonZeroUsize,
    /// What an acknowledged change survives; `None` = memory only.
    pub durability: Option<Durability>,
    /// Bytes that keys and values may take; 0 = no limit.
    pub memory: ByteSize,
}

/// The vectors' share.
#[derive(Clone, Debug)]
pub struct VectorsConfig {
    /// Threads that own the data; `None` = as the data has, or one per CPU.
    pub shards: Option<NonZeroUsize>,
    /// What an acknowledged change survives.
    pub durability: Durability,
}

/// The contexts' share.
#[derive(Clone, Debug)]
pub struct StmConfig {
    /// What an acknowledged commit survives.
    pub durability: Durability,
}

/// The tree's share.
#[derive(Clone, Debug)]
pub struct TreeConfig {
    /// Where its port listens.
    pub address: SocketAddr,
    /// Connections that may be open at once.
    pub connections: usize,
    /// Threads of its pool of readers while few reads wait.
    pub workers: NonZeroUsize,
    /// Bytes of request bodies that may be in memory at once.
    pub body_memory: ByteSize,
    /// Bytes that it may take on the disk.
    pub capacity: ByteSize,
    /// The file of its rules.
    pub rules: Option<PathBuf>,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Whether tokens are made for anybody who asks.
    pub makes_tokens: bool,
}

impl Config {
    /// Whether some engine is built in and has a port.
    #[must_use]
    pub fn serves_anything(&self) -> bool {
        self.blocks.is_some()
            || self.kv.is_some()
            || self.vectors.is_some()
            || self.stm.is_some()
            || self.tree.is_some()
    }

    /// The effective configuration.
    ///
    /// # Errors
    /// A usage error that names the flag and the bound.
    pub fn from_args(args: &ServeArgs) -> Result<Self, Failure> {
        let http = HttpConfig::from_args(args)?;
        let wants = |engine| !args.without.contains(&engine);
        let with_http = http.address.is_some();
        let (blocks, kv) = (BlocksConfig::from_args(args)?, KvConfig::from_args(args)?);
        let vectors = VectorsConfig::from_args(args)?;
        let tree = TreeConfig::from_args(args, http.body_memory)?;
        let stm = StmConfig {
            durability: level(args.stm_durability, args),
        };
        let config = Self {
            data_dir: args.data_dir.clone(),
            #[cfg(any(feature = "blockstore", feature = "kv"))]
            backend: Chosen::from_flag(args.io_backend)?,
            http,
            blocks: blocks.filter(|_| cfg!(feature = "blockstore") && wants(EngineName::Blocks)),
            kv: (cfg!(feature = "kv") && wants(EngineName::Kv) && (with_http || kv.address.is_some()))
                .then_some(kv),
            vectors: (cfg!(feature = "shard") && wants(EngineName::Vectors) && with_http).then_some(vectors),
            stm: (cfg!(feature = "stm") && wants(EngineName::Stm) && with_http).then_some(stm),
            tree: tree.filter(|_| cfg!(feature = "tree") && wants(EngineName::Tree)),
            auth: args.auth.settings(args.insecure)?,
        };
        if !args.insecure && config.auth.mode != crate::auth::Mode::Require {
            config.refuse_strangers()?;
        }
        Ok(config)
    }

    /// No port asks who is there, so none may be reached from elsewhere unless that is asked for.
    fn refuse_strangers(&self) -> Result<(), Failure> {
        let ports = [
            ("--http-addr", self.http.address),
            ("--resp-addr", self.kv.as_ref().and_then(|kv| kv.address)),
            ("--tree-addr", self.tree.as_ref().map(|tree| tree.address)),
            ("--blocks-addr", self.blocks.as_ref().map(|blocks| blocks.address)),
        ];
        let open = ports
            .into_iter()
            .find(|(_, address)| address.is_some_and(|address| !address.ip().is_loopback()));
        let Some((flag, Some(address))) = open else {
            return Ok(());
        };
        Err(Failure::usage(format!(
            "{flag} {address}: other hosts can reach this address, and the port has no authentication"
        ))
        .hint(format!(
            "{flag} 127.0.0.1:{}, or --insecure if the network is yours alone",
            address.port()
        )))
    }
}

/// The engine's own level, that for all, or interval.
fn level(own: Option<Durability>, args: &ServeArgs) -> Durability {
    own.or(args.durability).unwrap_or(Durability::Interval)
}

fn at(listen: Listen) -> Option<SocketAddr> {
    match listen {
        Listen::Off => None,
        Listen::At(address) => Some(address),
    }
}

fn within(flag: &str, value: usize, (least, most): (usize, usize)) -> Result<usize, Failure> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let why = format!("{flag} {value}: must be {least} to {most}");
    Err(Failure::usage(why))
}

fn workers(flag: &str, given: Option<usize>, most: usize) -> Result<NonZeroUsize, Failure> {
    let count = within(flag, given.unwrap_or_else(default_workers), (1, most))?;
    Ok(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN))
}

impl HttpConfig {
    fn from_args(args: &ServeArgs) -> Result<Self, Failure> {
        let connections = within("--http-connections", args.http_connections, CONNECTIONS)?;
        let memory = args.http_body_memory;
        if !(LEAST_BODY_MEMORY..=MOST_BODY_MEMORY).contains(&memory.0) {
            let (least, most) = (ByteSize(LEAST_BODY_MEMORY), ByteSize(MOST_BODY_MEMORY));
            let message = format!("--http-body-memory {memory}: must be {least} to {most}");
            return Err(Failure::usage(message));
        }
        Ok(Self {
            address: at(args.http_addr),
            connections,
            body_memory: memory,
        })
    }
}

impl BlocksConfig {
    fn from_args(args: &ServeArgs) -> Result<Option<Self>, Failure> {
        let workers = workers("--blocks-workers", args.blocks_workers, MOST_WORKERS)?;
        if let Some(capacity) = args.blocks_capacity
            && capacity.0 < LEAST_CAPACITY
        {
            return Err(Failure::usage(format!(
                "--blocks-capacity {capacity}: must be at least {}",
                ByteSize(LEAST_CAPACITY)
            ))
            .hint("--blocks-capacity 64MiB, or leave it out for 80 % of the free disk space"));
        }
        let checkpoint = within("--blocks-checkpoint", args.blocks_checkpoint, CHECKPOINT)?;
        Ok(at(args.blocks_addr).map(|address| Self {
            address,
            workers,
            capacity: args.blocks_capacity,
            durability: args
                .blocks_durability
                .or(args.durability)
                .unwrap_or(Durability::Full),
            verify: args.blocks_verify,
            checkpoint,
            punch: args.blocks_punch,
        }))
    }
}

impl KvConfig {
    fn from_args(args: &ServeArgs) -> Result<Self, Failure> {
        Ok(Self {
            address: at(args.resp_addr),
            workers: workers("--kv-workers", args.kv_workers, MOST_WORKERS)?,
            durability: match args.kv_durability {
                Some(Kept::Off) => None,
                Some(Kept::At(level)) => Some(level),
                None => Some(level(None, args)),
            },
            memory: args.kv_memory,
        })
    }
}

impl TreeConfig {
    fn from_args(args: &ServeArgs, body_memory: ByteSize) -> Result<Option<Self>, Failure> {
        let connections = within("--tree-connections", args.tree.tree_connections, CONNECTIONS)?;
        let workers = workers("--tree-workers", args.tree.tree_workers, MOST_WORKERS)?;
        let capacity = args.tree.tree_capacity;
        if !(LEAST_TREE..=MOST_TREE).contains(&capacity.0) {
            let (least, most) = (ByteSize(LEAST_TREE), ByteSize(MOST_TREE));
            let message = format!("--tree-capacity {capacity}: must be {least} to {most}");
            return Err(Failure::usage(message));
        }
        Ok(at(args.tree.tree_addr).map(|address| Self {
            address,
            connections,
            workers,
            body_memory,
            capacity,
            rules: args.tree.tree_rules.clone(),
            durability: args
                .tree
                .tree_durability
                .or(args.durability)
                .unwrap_or(Durability::Full),
            makes_tokens: args.auth.makes_tokens(),
        }))
    }
}

impl VectorsConfig {
    fn from_args(args: &ServeArgs) -> Result<Self, Failure> {
        let shards = args
            .vectors_shards
            .map(|shards| workers("--vectors-shards", Some(shards), MOST_SHARDS));
        Ok(Self {
            shards: shards.transpose()?,
            durability: level(args.vectors_durability, args),
        })
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MOST_DEFAULT_WORKERS)
}

/// 80 % of the bytes that an unprivileged user may still write to the file system of `dir`.
///
/// # Errors
/// When the file system cannot be asked.
pub fn default_capacity(dir: &Path) -> io::Result<ByteSize> {
    let disk = rustix::fs::statvfs(dir)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Ok(ByteSize(free / 5 * 4))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
