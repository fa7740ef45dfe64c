//! Whole loops over loopback sockets: what only the kernel and a second thread can show. No test sleeps; each waits for
//! a condition, and a read that never ends fails by its socket's timeout.

use crate::recorder::{get, put, statuses};
use quintet_core::{AlignedBuffer, Clock, Deadline, Doorbell, ErrorKind, SystemClock, fake::ManualClock};
use quintet_net::{
    Backend, BodySource, EventLoop, LoopConfig, LoopStatsSnapshot, Payload, WorkerThread,
    http1::{Admit, BodyStep, ExchangeId, Http, HttpConfig, HttpService, Replies, RequestHead, Response},
};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);
const LARGE_BYTES: usize = 3_000_000;

/// What another thread hands to the service: an exchange it was asked about, answered.
type Answers = (mpsc::Sender<ExchangeId>, mpsc::Receiver<ExchangeId>);

/// Answers `/now` at once, `/ask` through another thread, `/stream` and `/aligned` with large bodies; counts bodies.
struct Service {
    asked: mpsc::Sender<ExchangeId>,
    answered: mpsc::Receiver<ExchangeId>,
    pending: Arc<AtomicUsize>,
    abandoned: Arc<AtomicUsize>,
}

struct Pattern(u64);

impl BodySource for Pattern {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *buf {
            *byte = (self.0 % 251) as u8;
            self.0 += 1;
        }
        Ok(buf.len())
    }
}

impl HttpService for Service {
    type Exchange = (String, usize);

    fn head(&mut self, _: ExchangeId, head: &RequestHead<'_>) -> Admit<Self::Exchange> {
        Admit::Accept {
            exchange: (head.path().to_owned(), 0),
            max_body_bytes: u64::MAX,
        }
    }

    fn body(&mut self, _: ExchangeId, exchange: &mut Self::Exchange, bytes: &[u8]) -> BodyStep {
        exchange.1 += bytes.len();
        BodyStep::Took(bytes.len())
    }

    fn end(&mut self, id: ExchangeId, exchange: &mut Self::Exchange) -> Option<Response> {
        match exchange.0.as_str() {
            "/ask" => {
                self.asked.send(id).unwrap();
                None
            }
            "/stream" => {
                let source = Box::new(Pattern(0));
                Some(Response::new(200).body(Payload::Stream {
                    length_bytes: LARGE_BYTES as u64,
                    source,
                }))
            }
            "/aligned" => {
                let mut buffer = AlignedBuffer::zeroed(LARGE_BYTES + 10);
                let mut pattern = Pattern(0);
                pattern.fill(&mut buffer[5..LARGE_BYTES + 5]).unwrap();
                Some(Response::new(200).body(Payload::Aligned(buffer, 5..LARGE_BYTES + 5)))
            }
            _ => Some(Response::text(200, exchange.1)),
        }
    }

    fn abandoned(&mut self, _: ExchangeId, _: Self::Exchange) {
        self.abandoned.fetch_add(1, Ordering::SeqCst);
    }

    fn turn(&mut self, replies: &mut Replies<'_, '_, Self::Exchange>) {
        for id in self.answered.try_iter() {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            // An answer to a dead exchange comes back; there is nothing to free here.
            let _ = replies.answer(id, Response::text(200, "asked"));
        }
    }

    fn has_work(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
    }
}

/// A running loop with the other thread's ends of its queues.
struct Server {
    worker: WorkerThread,
    address: SocketAddr,
    asked: mpsc::Receiver<ExchangeId>,
    answers: mpsc::Sender<ExchangeId>,
    pending: Arc<AtomicUsize>,
    abandoned: Arc<AtomicUsize>,
    doorbell: Doorbell,
}

impl Server {
    fn start(config: LoopConfig, clock: Arc<dyn Clock>) -> Self {
        let listener = quintet_net::bind("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN)
            .unwrap()
            .remove(0);
        let address = listener.address();
        let (asked_send, asked): Answers = mpsc::channel();
        let (answers, answered): Answers = mpsc::channel();
        let (pending, abandoned) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (bell_send, bell) = mpsc::channel();
        let service = Service {
            asked: asked_send,
            answered,
            pending: Arc::clone(&pending),
            abandoned: Arc::clone(&abandoned),
        };
        let http_clock = Arc::clone(&clock);
        let worker = EventLoop::spawn("test", listener, config, clock, move |context| {
            bell_send.send(context.doorbell()).unwrap();
            Http::new(service, HttpConfig::default(), http_clock)
        })
        .unwrap();
        let doorbell = bell.recv().unwrap();
        Self {
            worker,
            address,
            asked,
            answers,
            pending,
            abandoned,
            doorbell,
        }
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

    fn answer(&self, id: ExchangeId) {
        self.pending.fetch_add(1, Ordering::SeqCst);
        self.answers.send(id).unwrap();
        self.doorbell.ring();
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
        self.worker
            .control()
            .drain(Deadline::after(&SystemClock, PATIENCE));
        self.worker.join().unwrap();
    }
}

fn server(backend: Backend) -> Server {
    Server::start(on(backend), Arc::new(SystemClock))
}

/// The default limits on a backend.
fn on(backend: Backend) -> LoopConfig {
    LoopConfig {
        backend,
        ..Default::default()
    }
}

/// Reads whole answers until there are `count`.
fn read_answers(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let (mut output, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let whole = output.windows(4).filter(|run| run == b"\r\n\r\n").count();
        if whole >= count && output.ends_with(b"\n") {
            return output;
        }
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&output));
        output.extend_from_slice(&buffer[..read]);
    }
}

fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut output = Vec::new();
    stream.read_to_end(&mut output).unwrap();
    output
}

fn keep_alive_and_pipelining(backend: Backend) {
    let server = server(backend);
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(get("/now").as_bytes()).unwrap();
        assert_eq!(statuses(&read_answers(&mut stream, 1)), [200]);
    }
    stream.write_all(get("/now").repeat(100).as_bytes()).unwrap();
    assert_eq!(statuses(&read_answers(&mut stream, 100)), vec![200; 100]);
    assert_eq!(server.stats().requests, 103);
    drop(stream);
    server.wait_for("the end of the connection", |server| server.stats().open == 0);
    server.end();
}

fn large_bodies_both_ways(backend: Backend) {
    let server = server(backend);
    let mut stream = server.connect();
    stream
        .write_all(put("/now", "Content-Length: 5000000\r\n", &"b".repeat(5_000_000)).as_bytes())
        .unwrap();
    assert!(read_answers(&mut stream, 1).ends_with(b"\r\n\r\n5000000\n"));
    let chunk = format!("10000\r\n{}\r\n", "c".repeat(0x10000)).repeat(20);
    stream
        .write_all(put("/now", "Transfer-Encoding: chunked\r\n", &chunk).as_bytes())
        .unwrap();
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert!(read_answers(&mut stream, 1).ends_with(b"\r\n\r\n1310720\n"));
    for path in ["/stream", "/aligned"] {
        let mut stream = server.connect();
        stream.write_all(get(path).as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = read_to_end(&mut stream);
        let body = &answer[answer.len() - LARGE_BYTES..];
        assert!(
            answer[..answer.len() - LARGE_BYTES].ends_with(b"\r\n\r\n"),
            "{path}"
        );
        assert!(
            body.iter()
                .enumerate()
                .all(|(at, byte)| *byte == (at % 251) as u8),
            "{path}"
        );
    }
    server.end();
}

fn another_thread_answers_through_the_doorbell(backend: Backend) {
    let server = server(backend);
    let mut stream = server.connect();
    for _ in 0..200 {
        stream.write_all(get("/ask").as_bytes()).unwrap();
        server.answer(server.asked.recv_timeout(PATIENCE).unwrap());
        assert_eq!(statuses(&read_answers(&mut stream, 1)), [200]);
    }
    server.end();
}

fn an_idle_loop_takes_no_turns(backend: Backend) {
    let server = server(backend);
    let mut stream = server.connect();
    stream.write_all(get("/now").as_bytes()).unwrap();
    read_answers(&mut stream, 1);
    // Each turn that found nothing to do has gone to sleep: turns stop while sleeps have caught up.
    let settled = |server: &Server| {
        let before = server.stats();
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {
            thread::yield_now();
        }
        server.stats().turns == before.turns && server.stats().sleeps == before.sleeps
    };
    server.wait_for("rest", settled);
    assert!(server.stats().turns < 50, "{:?}", server.stats());
    server.end();
}

fn a_reset_connection_abandons_its_exchange(backend: Backend) {
    let server = server(backend);
    let mut stream = server.connect();
    stream.write_all(get("/ask").as_bytes()).unwrap();
    let id = server.asked.recv_timeout(PATIENCE).unwrap();
    reset(stream);
    server.wait_for("abandonment", |server| {
        server.abandoned.load(Ordering::SeqCst) == 1
    });
    server.answer(id);
    let mut next = server.connect();
    next.write_all(get("/now").as_bytes()).unwrap();
    assert!(
        read_answers(&mut next, 1).ends_with(b"\r\n\r\n0\n"),
        "the late answer reached nobody"
    );
    let mut half = server.connect();
    half.write_all(put("/now", "Content-Length: 10\r\n", "abc").as_bytes())
        .unwrap();
    drop(half);
    server.wait_for("abandonment", |server| {
        server.abandoned.load(Ordering::SeqCst) == 2
    });
    server.end();
}

/// Closes with a reset instead of an orderly end.
fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

fn one_connection_too_many_is_told_so(backend: Backend) {
    let config = LoopConfig {
        max_connections: 2,
        ..on(backend)
    };
    let server = Server::start(config, Arc::new(SystemClock));
    let (first, second) = (server.connect(), server.connect());
    server.wait_for("two connections", |server| server.stats().open == 2);
    assert_eq!(statuses(&read_to_end(&mut server.connect())), [503]);
    assert_eq!(server.stats().refused, 1);
    drop(first);
    server.wait_for("room", |server| server.stats().open == 1);
    let mut third = server.connect();
    third.write_all(get("/now").as_bytes()).unwrap();
    assert_eq!(statuses(&read_answers(&mut third, 1)), [200]);
    drop((second, third));
    server.end();
}

fn a_client_that_does_not_read_holds_up_nobody(backend: Backend) {
    let server = server(backend);
    let mut stuck = server.connect();
    for _ in 0..10 {
        stuck.write_all(get("/stream").as_bytes()).unwrap();
    }
    for _ in 0..50 {
        let mut other = server.connect();
        other.write_all(get("/now").as_bytes()).unwrap();
        assert_eq!(statuses(&read_answers(&mut other, 1)), [200]);
    }
    stuck.shutdown(Shutdown::Write).unwrap();
    assert_eq!(statuses(&read_to_end(&mut stuck)), vec![200; 10]);
    server.end();
}

fn a_refused_upload_can_read_its_answer(backend: Backend) {
    let server = server(backend);
    let mut stream = server.connect();
    stream.write_all(b"BROKEN\r\n\r\n").unwrap();
    stream.write_all(&vec![b'x'; 900_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(statuses(&read_to_end(&mut stream)), [400]);
    server.end();
}

fn deadlines_follow_the_clock_of_the_loop(backend: Backend) {
    let clock = ManualClock::new();
    let server = Server::start(on(backend), Arc::new(clock.clone()));
    let (mut idle, mut slow) = (server.connect(), server.connect());
    slow.write_all(b"GET /now HT").unwrap();
    server.wait_for("the bytes", |server| server.stats().bytes_in == 11);
    clock.advance(Duration::from_secs(11));
    server.worker.control().wake();
    assert_eq!(read_to_end(&mut idle), b"");
    slow.shutdown(Shutdown::Write).unwrap();
    assert_eq!(statuses(&read_to_end(&mut slow)), [408]);
    assert_eq!(server.stats().timeouts, 2);
    server.worker.control().drain(Deadline(clock.now()));
    server.worker.join().unwrap();
}

fn drain_finishes_what_is_in_flight_and_refuses_the_rest(backend: Backend) {
    let server = server(backend);
    let (mut idle, mut busy) = (server.connect(), server.connect());
    busy.write_all(get("/ask").as_bytes()).unwrap();
    let id = server.asked.recv_timeout(PATIENCE).unwrap();
    server.wait_for("both", |server| server.stats().open == 2);
    server
        .worker
        .control()
        .drain(Deadline::after(&SystemClock, PATIENCE));
    assert_eq!(read_to_end(&mut idle), b"");
    let refused = TcpStream::connect(server.address).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    server.answer(id);
    let answer = String::from_utf8(read_to_end(&mut busy)).unwrap();
    assert!(
        answer.contains("Connection: close\r\n") && answer.ends_with("asked\n"),
        "{answer}"
    );
    server.worker.join().unwrap();
}

fn a_drain_that_takes_too_long_is_cut(backend: Backend) {
    let server = server(backend);
    let mut busy = server.connect();
    busy.write_all(get("/ask").as_bytes()).unwrap();
    server.asked.recv_timeout(PATIENCE).unwrap();
    server.worker.control().drain(Deadline(Instant::now()));
    server.worker.join().unwrap();
    assert_eq!(server.abandoned.load(Ordering::SeqCst), 1);
}

fn stop_accepting_leaves_open_connections(backend: Backend) {
    let server = server(backend);
    let mut stream = server.connect();
    server.wait_for("the connection", |server| server.stats().open == 1);
    server.worker.control().stop_accepting();
    server.wait_for("refusal", |server| TcpStream::connect(server.address).is_err());
    stream.write_all(get("/now").as_bytes()).unwrap();
    assert_eq!(statuses(&read_answers(&mut stream, 1)), [200]);
    server.end();
}

fn a_service_that_cannot_start_is_reported(backend: Backend) {
    let listener = quintet_net::bind("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN)
        .unwrap()
        .remove(0);
    let config = LoopConfig {
        max_connections: 0,
        ..on(backend)
    };
    let started = EventLoop::<Http<Service>>::spawn("test", listener, config, Arc::new(SystemClock), |_| {
        Err(ErrorKind::Poisoned.into())
    });
    assert_eq!(started.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Runs itself again in a process of its own, because it uses up every file descriptor there.
fn running_out_of_descriptors_pauses_accepting(backend: Backend) {
    const INNER: &str = "QUINTET_NET_FEW_DESCRIPTORS";
    if std::env::var_os(INNER).is_some() {
        return descriptors_run_out(backend);
    }
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            &format!(
                "sockets::{}::running_out_of_descriptors_pauses_accepting",
                backend.name()
            ),
            "--exact",
            "--nocapture",
        ])
        .env(INNER, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn descriptors_run_out(backend: Backend) {
    let clock = ManualClock::new();
    let server = Server::start(on(backend), Arc::new(clock.clone()));
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
        assert!(files.len() < 1000, "descriptors are not limited");
    }
    files.pop();
    let mut stream = server.connect();
    server.wait_for("a failed accept", |server| server.stats().accept_errors > 0);
    let paused = server.stats();
    for _ in 0..3 {
        server.worker.control().wake();
    }
    server.wait_for("turns", |server| server.stats().turns > paused.turns);
    assert_eq!(
        server.stats().accept_errors,
        paused.accept_errors,
        "it tries again while the pause lasts"
    );
    files.clear();
    clock.advance(Duration::from_millis(100));
    server.worker.control().wake();
    stream.write_all(get("/now").as_bytes()).unwrap();
    assert_eq!(statuses(&read_answers(&mut stream, 1)), [200]);
    server.worker.control().drain(Deadline::after(&clock, PATIENCE));
    server.worker.join().unwrap();
}

crate::on_both_backends! {
    keep_alive_and_pipelining,
    large_bodies_both_ways,
    another_thread_answers_through_the_doorbell,
    an_idle_loop_takes_no_turns,
    a_reset_connection_abandons_its_exchange,
    one_connection_too_many_is_told_so,
    a_client_that_does_not_read_holds_up_nobody,
    a_refused_upload_can_read_its_answer,
    deadlines_follow_the_clock_of_the_loop,
    drain_finishes_what_is_in_flight_and_refuses_the_rest,
    a_drain_that_takes_too_long_is_cut,
    stop_accepting_leaves_open_connections,
    a_service_that_cannot_start_is_reported,
    running_out_of_descriptors_pauses_accepting,
}
