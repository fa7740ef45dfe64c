//! A block store with its port on a free address, and what tests ask of it.

use crate::client::{self, Client, Reply};
use quintet_blockstore::{BlockStore, Config, Digest, port, port::PortConfig};
use quintet_core::{Clock, Deadline, Durability, SystemClock};
use quintet_net::{Backend, Port};
use std::{
    cell::Cell,
    io::Write,
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a condition may take to come true before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store over a directory of its own, served by two workers.
pub(crate) struct Rig {
    dir: TempDir,
    settings: Settings,
    store: Arc<BlockStore>,
    port: Port,
}

#[derive(Clone)]
struct Settings {
    capacity_bytes: u64,
    /// The store's own settings, beyond what every rig has.
    adjust: fn(&mut Config),
    port: PortConfig,
}

thread_local! {
    /// The backend of every rig that this test starts.
    static BACKEND: Cell<Backend> = const { Cell::new(Backend::Epoll) };
}

/// Runs a test body whose rigs are served by `backend`; says past the test runner's capture if it is not available.
pub(crate) fn on(backend: Backend, body: fn()) {
    match backend.available() {
        Ok(()) => {
            BACKEND.set(backend);
            body();
        }
        Err(error) => {
            let name = thread::current().name().unwrap_or_default().to_owned();
            let _unheard = writeln!(std::io::stderr(), "SKIPPED {name}: {error}");
        }
    }
}

/// The backend of this test's rigs.
pub(crate) fn backend() -> Backend {
    BACKEND.get()
}

fn port_config() -> PortConfig {
    let mut port = PortConfig::default();
    port.event_loop.backend = backend();
    port
}

/// Makes a test per backend of each named function.
macro_rules! on_both_backends {
    ($($name:ident),+ $(,)?) => {
        mod epoll {
            $(#[test]
            fn $name() {
                crate::port_rig::on(quintet_net::Backend::Epoll, super::$name);
            })+
        }
        mod uring {
            $(#[test]
            fn $name() {
                crate::port_rig::on(quintet_net::Backend::Uring, super::$name);
            })+
        }
    };
}
pub(crate) use on_both_backends;

/// A rig that was stopped; its data is still there.
pub(crate) struct Stopped {
    dir: TempDir,
    settings: Settings,
}

impl Rig {
    /// Relaxed durability: these tests are about the port, and a flush costs most of their time.
    pub(crate) fn start() -> Self {
        Self::with_capacity(256 << 20)
    }

    pub(crate) fn with_capacity(capacity_bytes: u64) -> Self {
        let port = port_config();
        Self::over(
            tempfile::tempdir().expect("a directory"),
            Settings {
                capacity_bytes,
                port,
                adjust: |_| {},
            },
        )
    }

    /// With time-outs of half a second, and flushes, so that deleted blocks are free at once.
    pub(crate) fn impatient() -> Self {
        let mut port = port_config();
        let soon = Duration::from_millis(500);
        port.http.head_timeout = soon;
        port.http.body_progress = soon;
        port.http.idle_timeout = soon;
        port.event_loop.write_progress = soon;
        let settings = Settings {
            capacity_bytes: 64 << 20,
            port,
            adjust: |config| config.durability = Durability::Full,
        };
        Self::over(tempfile::tempdir().expect("a directory"), settings)
    }

    /// With a port that is set up otherwise.
    pub(crate) fn with_port(adjust: fn(&mut PortConfig)) -> Self {
        let mut port = port_config();
        adjust(&mut port);
        let settings = Settings {
            capacity_bytes: 64 << 20,
            port,
            adjust: |_| {},
        };
        Self::over(tempfile::tempdir().expect("a directory"), settings)
    }

    /// With a store that is set up otherwise.
    pub(crate) fn adjusted(adjust: fn(&mut Config)) -> Self {
        let port = port_config();
        let settings = Settings {
            capacity_bytes: 256 << 20,
            port,
            adjust,
        };
        Self::over(tempfile::tempdir().expect("a directory"), settings)
    }

    /// The file that the blocks lie in.
    pub(crate) fn data_file(&self) -> PathBuf {
        self.dir.path().join("blocks/blocks.data")
    }

    /// The store behind the port.
    pub(crate) fn store(&self) -> &BlockStore {
        &self.store
    }

    fn over(dir: TempDir, settings: Settings) -> Self {
        let mut config = Config::new(dir.path().join("blocks"));
        config.capacity_bytes = settings.capacity_bytes;
        config.growth_step_bytes = 8 << 20;
        config.durability = Durability::Relaxed;
        config.map_bytes = 64 << 20;
        (settings.adjust)(&mut config);
        let store = Arc::new(BlockStore::open(config).expect("the store opens"));
        let address = "127.0.0.1:0".parse().expect("an address");
        let workers = NonZeroUsize::new(2).expect("two");
        let port = port::serve(&store, address, workers, &settings.port).expect("the port opens");
        Self {
            dir,
            settings,
            store,
            port,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address()).expect("the port is open")
    }

    /// One request on a connection of its own.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&[u8]>) -> Reply {
        client::call(self.address(), method, path, body)
    }

    pub(crate) fn stats(&self) -> serde_json::Value {
        let reply = self.call("GET", "/stats", None);
        assert_eq!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
    }

    /// The content of all named blocks.
    pub(crate) fn named_bytes(&self) -> u64 {
        self.stats()["space"]["content_bytes"].as_u64().expect("a number")
    }

    /// Waits until no request is under way, and then for every block that was handed out to be in some worker's pool.
    pub(crate) fn settled(&self) {
        let mut last = serde_json::Value::Null;
        until("every block to be home", || {
            last = self.stats();
            let space = &last["space"];
            let handed_out = space["pooled_blocks"]
                .as_u64()
                .zip(space["written_blocks"].as_u64());
            let handed_out = handed_out.map(|(pooled, written)| pooled + written);
            let workers = last["workers"].as_array().expect("an array");
            let sum = |name: &str| {
                workers
                    .iter()
                    .filter_map(|worker| worker[name].as_u64())
                    .sum::<u64>()
            };
            let pooled: u64 = workers
                .iter()
                .filter_map(|worker| worker["pooled"].as_array())
                .flatten()
                .filter_map(serde_json::Value::as_u64)
                .sum();
            let busy = sum("in_flight") + sum("waiting_for_blocks") + sum("waiting_for_credits");
            busy == 0 && handed_out == Some(pooled)
        });
    }

    /// Drains the port, closes the store, and sees to it that every block came home.
    pub(crate) fn stop(self) -> Stopped {
        let Self {
            dir,
            settings,
            store,
            port,
        } = self;
        let deadline = Deadline(SystemClock.now() + PATIENCE);
        port.drain(deadline).expect("the port drains");
        store.close().expect("the store closes");
        Stopped { dir, settings }
    }

    pub(crate) fn stop_in_background(self) -> thread::JoinHandle<Stopped> {
        thread::spawn(|| self.stop())
    }

    pub(crate) fn restart(self) -> Self {
        self.stop().reopen()
    }
}

impl Stopped {
    pub(crate) fn reopen(self) -> Rig {
        Rig::over(self.dir, self.settings)
    }
}

/// Asks again until `condition` is true.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// The body of this length and seed: no two alike.
pub(crate) fn body(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ len as u64 | 1;
    (0..len.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(len)
        .collect()
}

/// The name that the body must get.
pub(crate) fn name(body: &[u8]) -> String {
    Digest::of(body).to_string()
}
