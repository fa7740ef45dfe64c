//! The load generator: one thread, any number of connections, each with one request under way; the next begins when its
//! answer is whole. Every answer's status and length are checked. Requests are made before the clock runs.

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What was done in a window.
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) elapsed: Duration,
    /// In nanoseconds.
    pub(super) times: Histogram<u64>,
}

impl Tally {
    /// Requests a second, and the 99th percentile of their times in µs.
    pub(super) fn figures(&self) -> Vec<f64> {
        let p99_us = self.times.value_at_quantile(0.99) as f64 / 1e3;
        vec![self.done as f64 / self.elapsed.as_secs_f64(), p99_us]
    }
}

/// Connections to one server.
pub(super) struct Load {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// Sent in turn, again and again.
    requests: Vec<Vec<u8>>,
    turn: usize,
    sent: usize,
    head: Vec<u8>,
    /// Known once the head is whole.
    body_left: Option<usize>,
    begun: Instant,
}

/// A request as it goes over the wire.
pub(super) fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: b\r\n{headers}{length}\r\n{body}").into_bytes()
}

impl Load {
    /// Connects, once for each list of requests; nothing is sent yet.
    pub(super) fn connect(address: SocketAddr, clients: Vec<Vec<Vec<u8>>>) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for (at, requests) in clients.into_iter().enumerate() {
            let mut stream = connected(address)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(at), interest)?;
            connections.push(Connection {
                stream,
                requests,
                turn: 0,
                sent: 0,
                head: Vec::new(),
                body_left: None,
                begun: Instant::now(),
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            connections,
            buffer: vec![0; 256 << 10],
        })
    }

    /// Keeps every connection busy for `window`.
    pub(super) fn run(&mut self, window: Duration) -> anyhow::Result<Tally> {
        let start = Instant::now();
        let mut times = Histogram::new(3)?;
        for at in 0..self.connections.len() {
            self.progress(at, &mut times)?;
        }
        while let Some(left) = window.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            match self.poll.poll(&mut self.events, Some(left)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for at in ready {
                self.progress(at, &mut times)?;
            }
        }
        Ok(Tally {
            done: times.len(),
            elapsed: start.elapsed(),
            times,
        })
    }

    /// Sends and receives what can be; begins the next request where an answer is whole.
    fn progress(&mut self, at: usize, times: &mut Histogram<u64>) -> anyhow::Result<()> {
        let connection = &mut self.connections[at];
        while connection.send()? && connection.receive(&mut self.buffer)? {
            times.record(connection.begun.elapsed().as_nanos() as u64)?;
            connection.turn = (connection.turn + 1) % connection.requests.len();
            connection.sent = 0;
            connection.head.clear();
            connection.body_left = None;
        }
        Ok(())
    }
}

/// A connection that never blocks.
pub(super) fn connected(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

impl Connection {
    /// Whether the request is sent whole.
    fn send(&mut self) -> anyhow::Result<bool> {
        let request = &self.requests[self.turn];
        if self.sent == 0 {
            self.begun = Instant::now();
        }
        while self.sent < request.len() {
            match self.stream.write(&request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Whether the answer is whole.
    fn receive(&mut self, buffer: &mut [u8]) -> anyhow::Result<bool> {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if self.take(&buffer[..count])? {
                return Ok(true);
            }
        }
    }

    /// Takes in bytes; answers whether the answer is whole.
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        let (left, came) = match self.body_left {
            Some(left) => (left, bytes.len()),
            None => {
                self.head.extend_from_slice(bytes);
                let end = self.head.windows(4).position(|bytes| bytes == b"\r\n\r\n");
                let Some(end) = end.map(|end| end + 4) else {
                    ensure!(self.head.len() < 64 << 10, "an answer's head has no end");
                    return Ok(false);
                };
                (length(&self.head[..end])?, self.head.len() - end)
            }
        };
        let left = left
            .checked_sub(came)
            .context("an answer is longer than it says")?;
        self.body_left = Some(left);
        Ok(left == 0)
    }
}

/// The announced length of a successful answer.
fn length(head: &[u8]) -> anyhow::Result<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut headers);
    answer.parse(head)?;
    let code = answer.code.unwrap_or_default();
    let line = || {
        String::from_utf8_lossy(head)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    ensure!((200..300).contains(&code), "an answer says {}", line());
    let length = answer
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.context("an answer does not say its length")?;
    Ok(std::str::from_utf8(length.value)?.trim().parse()?)
}

/// One request on a connection of its own; answers the body.
pub(super) fn call(address: SocketAddr, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(&request(method, path, "Connection: close\r\n", body))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.context("an answer without an end of its head")? + 4;
    length(&answer[..end]).with_context(|| format!("{method} {path}"))?;
    Ok(answer.split_off(end))
}
