//! What only the completion backend can get wrong: bytes the kernel still reads when their connection ends, shared receive
//! buffers that run out, receives that end on their own or are cut short, and wake-ups that come in crowds.

use crate::{backends::is_here, recorder::get};
use quintet_core::{Deadline, SystemClock};
use quintet_net::{
    Backend, ConnectionId, EventLoop, Link, Links, LoopConfig, LoopStatsSnapshot, Payload, Protocol,
    WorkerThread,
};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Waker,
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);
const LARGE_BYTES: usize = 8 << 20;

/// What the tests see of the protocol.
#[derive(Default)]
struct Seen {
    closed: AtomicUsize,
    /// Payloads handed to the loop and not dropped yet.
    alive: AtomicUsize,
    /// While true, echoing connections are paused after their first byte.
    gate_closed: AtomicBool,
    turns: AtomicUsize,
}

/// Sends the same bytes for every line `L`, and echoes everything else.
struct Lines(Arc<Seen>);

struct Large(Vec<u8>, Arc<Seen>);

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        // Freed memory would keep the pattern; this shows to the peer if the kernel still reads it.
        self.0.fill(0xEE);
        self.1.alive.fetch_sub(1, SeqCst);
    }
}

impl Protocol for Lines {
    type Connection = ConnectionId;

    fn open(&mut self, link: &mut Link<'_>) -> ConnectionId {
        link.id()
    }

    fn receive(&mut self, link: &mut Link<'_>, _: &mut ConnectionId, input: &[u8]) -> usize {
        if self.0.gate_closed.load(SeqCst) {
            link.pause();
            return 0;
        }
        if input == b"L" {
            self.0.alive.fetch_add(1, SeqCst);
            let large = Large(vec![b'p'; LARGE_BYTES], Arc::clone(&self.0));
            link.push(Payload::Shared(Box::new(large)));
        } else {
            link.write(input);
        }
        input.len()
    }

    fn close(&mut self, _: ConnectionId, _: ConnectionId) {
        self.0.closed.fetch_add(1, SeqCst);
    }

    fn turn(&mut self, _: &mut Links<'_, ConnectionId>) {
        self.0.turns.fetch_add(1, SeqCst);
    }
}

/// A loop on io_uring that runs [`Lines`].
struct Server {
    worker: WorkerThread,
    address: SocketAddr,
    seen: Arc<Seen>,
    waker: Waker,
}

impl Server {
    /// `None` where io_uring is not available, which is told.
    fn start(config: LoopConfig) -> Option<Self> {
        if !is_here(Backend::Uring) {
            return None;
        }
        let config = LoopConfig {
            backend: Backend::Uring,
            ..config
        };
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = quintet_net::bind(address, NonZeroUsize::MIN).unwrap().remove(0);
        let address = listener.address();
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        let (send, wakers) = std::sync::mpsc::channel();
        let worker = EventLoop::spawn("test", listener, config, Arc::new(SystemClock), move |context| {
            send.send(context.waker()).unwrap();
            Ok(Lines(shared))
        })
        .unwrap();
        let waker = wakers.recv().unwrap();
        Some(Self {
            worker,
            address,
            seen,
            waker,
        })
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn stats(&self) -> LoopStatsSnapshot {
        self.worker.stats().snapshot()
    }

    fn wait_for(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "{what} did not happen: {:?}",
                self.stats()
            );
            thread::yield_now();
        }
    }

    fn end(self) {
        let deadline = Deadline::after(&SystemClock, PATIENCE);
        self.worker.control().drain(deadline);
        self.worker.join().unwrap();
        assert_eq!(self.seen.alive.load(SeqCst), 0, "a payload was leaked");
    }
}

fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

fn echo(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text);
}

#[test]
fn a_client_that_dies_with_a_send_in_flight_frees_its_bytes_once() {
    let Some(server) = Server::start(LoopConfig::default()) else {
        return;
    };
    for round in 1..=20 {
        let mut stream = server.connect();
        stream.write_all(b"L").unwrap();
        // Part of it was read, so the send is under way, and far more than the socket holds is left.
        let mut some = [0; 100];
        stream.read_exact(&mut some).unwrap();
        assert!(some.iter().all(|byte| *byte == b'p'));
        assert_eq!(server.seen.alive.load(SeqCst), 1, "it is still to be sent");
        if round % 2 == 0 {
            reset(stream);
        } else {
            drop(stream);
        }
        server.wait_for("the end", |server| server.seen.closed.load(SeqCst) == round);
        server.wait_for("the payload's end", |server| server.seen.alive.load(SeqCst) == 0);
    }
    server.end();
}

#[test]
fn a_drain_that_is_cut_takes_back_sends_in_flight() {
    let Some(server) = Server::start(LoopConfig::default()) else {
        return;
    };
    let mut streams: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"L").unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    assert_eq!(server.seen.alive.load(SeqCst), 10);
    server.worker.control().drain(Deadline(Instant::now()));
    let Server { worker, seen, .. } = server;
    worker.join().unwrap();
    assert_eq!(seen.alive.load(SeqCst), 0);
    for mut stream in streams {
        let mut rest = Vec::new();
        // What was under way is whole or cut, never overwritten.
        let _cut = stream.read_to_end(&mut rest);
        assert!(rest.iter().all(|byte| *byte == b'p'));
    }
}

#[test]
fn slow_readers_do_not_use_up_the_receive_buffers() {
    let few = LoopConfig {
        receive_buffers: 2,
        ..LoopConfig::default()
    };
    let Some(server) = Server::start(few) else { return };
    let mut slow: Vec<_> = (0..16).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"L").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        // Comes while the connection is backlogged, so it is not used, and is many times the two buffers.
        stream.write_all(&vec![b'x'; 200_000]).unwrap();
    }
    let mut quick = server.connect();
    for round in 0..100 {
        echo(&mut quick, format!("round {round}").as_bytes());
    }
    for mut stream in slow {
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), LARGE_BYTES - 1 + 200_000);
        assert!(rest[LARGE_BYTES - 1..].iter().all(|byte| *byte == b'x'));
    }
    server.end();
}

#[test]
fn many_talkers_share_two_buffers() {
    let few = LoopConfig {
        receive_buffers: 2,
        ..LoopConfig::default()
    };
    let Some(server) = Server::start(few) else { return };
    let mut streams: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for round in 0..20 {
        let text = format!("{round:04}").repeat(500);
        for stream in &mut streams {
            stream.write_all(text.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            let mut back = vec![0; text.len()];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, text.as_bytes());
        }
    }
    server.end();
}

#[test]
fn a_receive_that_was_stopped_goes_on_where_it_was() {
    let Some(server) = Server::start(LoopConfig::default()) else {
        return;
    };
    let pattern: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    for _ in 0..10 {
        let stream = server.connect();
        let so_far = server.stats().bytes_in;
        let mut reader = stream.try_clone().unwrap();
        // A peer that writes much and reads late is backlogged again and again: each time the receive is cancelled with
        // bytes on their way.
        let sent = pattern.clone();
        let writer = thread::spawn(move || {
            let mut stream = stream;
            stream.write_all(&sent).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        server.wait_for("a backlog", |server| {
            server.stats().bytes_in > so_far + 256 * 1024
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        writer.join().unwrap();
        assert!(back == pattern, "{} of {} bytes", back.len(), pattern.len());
    }
    server.end();
}

#[test]
fn a_paused_connection_that_breaks_is_noticed() {
    let Some(server) = Server::start(LoopConfig::default()) else {
        return;
    };
    server.seen.gate_closed.store(true, SeqCst);
    let mut stream = server.connect();
    stream.write_all(b"a").unwrap();
    server.wait_for("the first byte", |server| server.stats().bytes_in == 1);
    // Input that nobody wants ends the receive.
    stream.write_all(get("/never").as_bytes()).unwrap();
    reset(stream);
    server.wait_for("the end", |server| server.seen.closed.load(SeqCst) == 1);
    server.end();
}

#[test]
fn a_storm_of_wake_ups_loses_none_and_leaves_the_loop_asleep() {
    const RINGS: usize = 20_000;
    let Some(server) = Server::start(LoopConfig::default()) else {
        return;
    };
    let ringers: Vec<_> = (0..4)
        .map(|_| {
            let waker = server.waker.clone();
            thread::spawn(move || {
                for _ in 0..RINGS {
                    waker.wake_by_ref();
                }
            })
        })
        .collect();
    let mut stream = server.connect();
    for round in 0..200 {
        echo(&mut stream, format!("round {round}").as_bytes());
    }
    for ringer in ringers {
        ringer.join().unwrap();
    }
    // One ring at a time now: each must lead to a turn.
    for _ in 0..500 {
        let turns = server.seen.turns.load(SeqCst);
        server.waker.wake_by_ref();
        server.wait_for("a turn", |server| server.seen.turns.load(SeqCst) > turns);
    }
    server.wait_for("rest", |server| {
        let before = server.stats();
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {
            thread::yield_now();
        }
        server.stats().turns == before.turns
    });
    server.end();
}
