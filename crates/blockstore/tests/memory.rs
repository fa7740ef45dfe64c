//! How much memory the port takes when many clients send, or do not read, the largest blocks at once. A binary of its own,
//! because the process's anonymous memory is what is measured: what the program allocated, page cache not counted.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use quintet_blockstore::{BlockStore, Config, port, port::PortConfig};
use quintet_core::{Clock, Deadline, Durability, SystemClock};
use quintet_net::Backend;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    num::NonZeroUsize,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const CLIENTS: usize = 64;
const BLOCK_BYTES: usize = 512 << 10;
const BOUND_KIB: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// The process's anonymous memory in KiB.
fn anonymous_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Stores a block that begins with this number; answers its name.
fn put(stream: &mut TcpStream, number: u64, rest: &[u8]) -> String {
    let head = format!("PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: {BLOCK_BYTES}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&number.to_le_bytes()).unwrap();
    stream.write_all(rest).unwrap();
    stored(stream)
}

/// The same with a body whose length is known at its end only.
fn put_chunked(stream: &mut TcpStream, number: u64, rest: &[u8]) -> String {
    let head = "PUT /block HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&number.to_le_bytes()).unwrap();
    for piece in rest.chunks(64 << 10) {
        stream
            .write_all(format!("\r\n{:x}\r\n", piece.len()).as_bytes())
            .unwrap();
        stream.write_all(piece).unwrap();
    }
    stream.write_all(b"\r\n0\r\n\r\n").unwrap();
    stored(stream)
}

fn stored(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") || answer.len() < 64 {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "the port closed the connection");
        answer.extend_from_slice(&piece[..count]);
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8(answer[answer.len() - 64..].to_vec()).unwrap()
}

/// Runs `work` on threads, one per client, and answers the most memory that was seen meanwhile.
fn most_while(work: impl Fn(u64) + Sync) -> u64 {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS as u64)
            .map(|client| {
                let work = &work;
                scope.spawn(move || work(client))
            })
            .collect();
        let mut most = 0;
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            most = most.max(anonymous_kib());
            thread::park_timeout(Duration::from_millis(1));
        }
        most
    })
}

fn measure(backend: Backend, map_data: bool) {
    let what = format!(
        "{} {}",
        backend.name(),
        if map_data { "mapped" } else { "copied" }
    );
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        capacity_bytes: 1 << 30,
        durability: Durability::Relaxed,
        map_bytes: 64 << 20,
        map_data,
        ..Config::new(dir.path())
    };
    let store = Arc::new(BlockStore::open(config).unwrap());
    let mut settings = PortConfig::default();
    settings.event_loop.backend = backend;
    let two = NonZeroUsize::new(2).unwrap();
    let port = port::serve(&store, "127.0.0.1:0".parse().unwrap(), two, &settings).unwrap();
    let address = port.address();
    let rest: Vec<u8> = (8..BLOCK_BYTES as u32).map(|at| (at * 7 / 5) as u8).collect();

    let sending = most_while(|client| {
        let mut stream = connect(address);
        for round in 0..3 {
            put(&mut stream, client << 8 | round, &rest);
        }
    });
    let gathering = most_while(|client| {
        put_chunked(&mut connect(address), client << 8 | 3, &rest);
    });
    assert!(
        gathering < BOUND_KIB,
        "{what}: {gathering} KiB while {CLIENTS} clients send chunks"
    );
    assert!(
        sending < BOUND_KIB,
        "{what}: {sending} KiB while {CLIENTS} clients send"
    );

    let name = put(&mut connect(address), u64::MAX, &rest);
    let request = format!("GET /{name} HTTP/1.1\r\nHost: t\r\n\r\n").repeat(32);
    let unread: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    let mut most = 0;
    for stream in &unread {
        while stream.peek(&mut [0]).unwrap() == 0 {
            assert!(Instant::now() < deadline, "no answer came");
        }
        most = most.max(anonymous_kib());
    }
    // All have an answer under way; until one more answer is there, the loops have been through all of them again.
    put(&mut connect(address), u64::MAX - 1, &rest);
    most = most.max(anonymous_kib());
    assert!(
        most < BOUND_KIB,
        "{what}: {most} KiB while {CLIENTS} clients do not read"
    );
    let _unheard = writeln!(
        std::io::stderr(),
        "{what}: {sending} KiB sending, {gathering} KiB in chunks, {most} KiB unread"
    );
    drop(unread);
    port.drain(Deadline(SystemClock.now() + PATIENCE)).unwrap();
    store.close().unwrap();
}

/// One test, one phase after the other: what is measured is the whole process.
#[test]
fn sixty_four_clients_with_the_largest_blocks_stay_below_64_mib() {
    for backend in [Backend::Epoll, Backend::Uring] {
        if let Err(error) = backend.available() {
            let _unheard = writeln!(std::io::stderr(), "SKIPPED {}: {error}", backend.name());
            continue;
        }
        for map_data in [true, false] {
            measure(backend, map_data);
        }
    }
}
