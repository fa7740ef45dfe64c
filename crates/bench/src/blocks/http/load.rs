//! The load generator: one thread, any number of connections, each with one request under way; the next begins when its
//! answer is whole. Every answer's status and length are checked. The same for all subjects.

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use quintet_core::AlignedBuffer;
use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Bytes at the start of a body that make it unlike any other.
const UNIQUE_BYTES: usize = 16;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Get,
    Put,
}

/// What requests say.
pub(super) struct Requests {
    /// The paths to GET, in any order.
    pub(super) paths: Vec<String>,
    /// Where to PUT; with `numbered`, a name is appended that no other request has.
    pub(super) put_path: &'static str,
    pub(super) numbered: bool,
    /// The length of every block.
    pub(super) block_bytes: usize,
}

/// What was done in a window.
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) elapsed: Duration,
    /// In nanoseconds.
    pub(super) times: Histogram<u64>,
}

/// Connections to one server.
pub(super) struct Load<'a> {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    requests: &'a Requests,
    /// All of a body but its beginning.
    filler: Vec<u8>,
    /// Aligned: the kernel copies into others several times slower, which would hide differences between servers.
    buffer: AlignedBuffer,
    /// Grows with every PUT; begins anew at each start of the program, in another place each time.
    next_number: u128,
    pick: u64,
}

struct Connection {
    stream: TcpStream,
    job: Job,
    /// The head, and of a body the unique part.
    request: Vec<u8>,
    sent: usize,
    total: usize,
    answer: Answer,
    begun: Instant,
}

#[derive(Default)]
struct Answer {
    head: Vec<u8>,
    /// Known once the head is whole.
    body_left: Option<u64>,
    length: u64,
    /// It is the last one on its connection.
    closes: bool,
}

impl<'a> Load<'a> {
    /// Connects; nothing is sent yet.
    pub(super) fn connect(address: SocketAddr, jobs: &[Job], requests: &'a Requests) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for (at, job) in jobs.iter().enumerate() {
            connections.push(Connection {
                stream: open(address, &poll, at)?,
                job: *job,
                request: Vec::new(),
                sent: 0,
                total: 0,
                answer: Answer::default(),
                begun: Instant::now(),
            });
        }
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        Ok(Self {
            address,
            poll,
            events: Events::with_capacity(256),
            connections,
            requests,
            filler: super::filler(requests.block_bytes.saturating_sub(UNIQUE_BYTES)),
            buffer: AlignedBuffer::zeroed(256 << 10),
            next_number: since << 32,
            pick: 1,
        })
    }

    /// Keeps every connection busy for `window`. Answers what connections with each job did.
    pub(super) fn run(&mut self, window: Duration) -> anyhow::Result<(Tally, Tally)> {
        let start = Instant::now();
        let (mut gets, mut puts) = (Tally::new()?, Tally::new()?);
        for at in 0..self.connections.len() {
            if self.connections[at].total == 0 {
                self.begin(at);
                self.progress(at, &mut gets, &mut puts)?;
            }
        }
        while let Some(left) = window.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            match self.poll.poll(&mut self.events, Some(left)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for at in ready {
                self.progress(at, &mut gets, &mut puts)?;
            }
        }
        let elapsed = start.elapsed();
        (gets.elapsed, puts.elapsed) = (elapsed, elapsed);
        Ok((gets, puts))
    }

    fn begin(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        connection.request.clear();
        connection.sent = 0;
        connection.answer = Answer {
            head: std::mem::take(&mut connection.answer.head),
            ..Answer::default()
        };
        connection.answer.head.clear();
        let out = &mut connection.request;
        // Writing to a Vec cannot fail.
        let _ = match connection.job {
            Job::Get => {
                // Knuth's multiplicative generator: scattered, and the same for every subject.
                self.pick = self
                    .pick
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let path = &self.requests.paths[(self.pick >> 33) as usize % self.requests.paths.len()];
                write!(out, "GET {path} HTTP/1.1\r\nHost: b\r\n\r\n")
            }
            Job::Put => {
                self.next_number += 1;
                let (path, number) = (self.requests.put_path, self.next_number);
                let length = self.requests.block_bytes;
                let head = if self.requests.numbered {
                    write!(
                        out,
                        "PUT {path}{number:x} HTTP/1.1\r\nHost: b\r\nContent-Length: {length}\r\n\r\n"
                    )
                } else {
                    write!(
                        out,
                        "PUT {path} HTTP/1.1\r\nHost: b\r\nContent-Length: {length}\r\n\r\n"
                    )
                };
                out.extend_from_slice(&number.to_le_bytes());
                head
            }
        };
        connection.total = match connection.job {
            Job::Get => connection.request.len(),
            Job::Put => connection.request.len() + self.filler.len(),
        };
        connection.begun = Instant::now();
    }

    /// Sends and receives what can be; begins the next request where an answer is whole.
    fn progress(&mut self, at: usize, gets: &mut Tally, puts: &mut Tally) -> anyhow::Result<()> {
        if !self.send(at)? || !self.receive(at)? {
            return Ok(());
        }
        let connection = &self.connections[at];
        let time = connection.begun.elapsed().as_nanos() as u64;
        let tally = match connection.job {
            Job::Get => {
                ensure!(
                    connection.answer.length == self.requests.block_bytes as u64,
                    "an answer has {} bytes",
                    connection.answer.length
                );
                gets
            }
            Job::Put => puts,
        };
        tally.done += 1;
        tally.times.record(time)?;
        if connection.answer.closes {
            // lighttpd serves 32,767 requests on a connection, and no setting makes it more.
            self.connections[at].stream = open(self.address, &self.poll, at)?;
        }
        self.begin(at);
        // There is nothing to read before the server has seen this.
        self.send(at).map(drop)
    }

    /// Whether the answer is whole.
    fn receive(&mut self, at: usize) -> anyhow::Result<bool> {
        let connection = &mut self.connections[at];
        loop {
            let count = match connection.stream.read(&mut self.buffer) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if connection.answer.take(&self.buffer[..count])? {
                return Ok(true);
            }
            // Less than asked for: the socket is empty, and more is a new event.
            if count < self.buffer.len() {
                return Ok(false);
            }
        }
    }

    /// Whether the request is sent whole.
    fn send(&mut self, at: usize) -> anyhow::Result<bool> {
        let connection = &mut self.connections[at];
        while connection.sent < connection.total {
            let own = connection.request.get(connection.sent..).unwrap_or_default();
            let filled = connection.sent.saturating_sub(connection.request.len());
            let rest = if connection.total > connection.request.len() {
                &self.filler[filled..]
            } else {
                &[]
            };
            match connection
                .stream
                .write_vectored(&[IoSlice::new(own), IoSlice::new(rest)])
            {
                Ok(count) => connection.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

/// A connection whose events come under this number.
fn open(address: SocketAddr, poll: &Poll, at: usize) -> anyhow::Result<TcpStream> {
    let stream = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry()
        .register(&mut stream, Token(at), Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            done: 0,
            elapsed: Duration::ZERO,
            times: Histogram::new(3)?,
        })
    }
}

impl Answer {
    /// Takes in bytes; answers whether the answer is whole.
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        let mut left = match self.body_left {
            Some(left) => left,
            None => {
                let before = self.head.len();
                self.head.extend_from_slice(bytes);
                let from = before.saturating_sub(3);
                let Some(end) = self.head[from..]
                    .windows(4)
                    .position(|bytes| bytes == b"\r\n\r\n")
                    .map(|end| from + end + 4)
                else {
                    ensure!(self.head.len() < 64 << 10, "an answer's head has no end");
                    return Ok(false);
                };
                let extra = self.head.len() - end;
                self.head.truncate(end);
                (self.length, self.closes) = length(&self.head)?;
                let left = self.length.checked_sub(extra as u64);
                let left = left.context("an answer is longer than it says")?;
                self.body_left = Some(left);
                return Ok(left == 0);
            }
        };
        left = left
            .checked_sub(bytes.len() as u64)
            .context("an answer is longer than it says")?;
        self.body_left = Some(left);
        Ok(left == 0)
    }
}

/// The announced length of a successful answer, and whether the connection ends with it.
fn length(head: &[u8]) -> anyhow::Result<(u64, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut headers);
    answer.parse(head)?;
    let code = answer.code.unwrap_or_default();
    ensure!(
        (200..300).contains(&code),
        "an answer says {}",
        String::from_utf8_lossy(head).lines().next().unwrap_or_default()
    );
    let field = |name| {
        let mut headers = answer.headers.iter();
        headers.find(|header| header.name.eq_ignore_ascii_case(name))
    };
    let closes = field("connection").is_some_and(|header| header.value.eq_ignore_ascii_case(b"close"));
    if code == 204 {
        return Ok((0, closes));
    }
    let length = field("content-length").context("an answer does not say its length")?;
    Ok((std::str::from_utf8(length.value)?.trim().parse()?, closes))
}

/// One request on a connection of its own; answers the body.
pub(super) fn call(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect(address)?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))? + 4;
    let length = length_of(&answer[..end], method, path)?;
    ensure!(
        answer.len() as u64 - end as u64 == length,
        "{method} {path}: a body of another length than announced"
    );
    Ok(answer.split_off(end))
}

fn length_of(head: &[u8], method: &str, path: &str) -> anyhow::Result<u64> {
    let (length, _) = length(head).with_context(|| format!("{method} {path}"))?;
    Ok(length)
}
