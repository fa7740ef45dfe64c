//! Open streams: a thread reads all of them and counts the events that have come.

use super::load::{connected, request};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The line that an event begins with; heartbeats have another name.
const MARKS: [&[u8]; 2] = [b"event: put\n", b"event: patch\n"];

/// Streams of one place, read until this is dropped.
pub(super) struct Streams {
    seen: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

struct Stream {
    socket: TcpStream,
    /// The beginning of a line that is not whole.
    tail: Vec<u8>,
}

impl Streams {
    /// Opens `count` streams and waits until each has its first event.
    pub(super) fn open(address: SocketAddr, path: &str, count: usize) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut streams = Vec::with_capacity(count);
        for at in 0..count {
            let mut socket = connected(address)?;
            poll.registry()
                .register(&mut socket, Token(at), Interest::READABLE)?;
            let asked = request("GET", path, "Accept: text/event-stream\r\n", "");
            anyhow::ensure!(
                socket.write(&asked)? == asked.len(),
                "a fresh socket takes a request"
            );
            streams.push(Stream {
                socket,
                tail: Vec::new(),
            });
        }
        let (seen, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, end) = (Arc::clone(&seen), Arc::clone(&stop));
        let reader = thread::spawn(move || read_all(poll, streams, &counter, &end));
        let opened = Self {
            seen,
            stop,
            reader: Some(reader),
        };
        let begun = Instant::now();
        while opened.seen() < count {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "streams do not begin");
            thread::yield_now();
        }
        Ok(opened)
    }

    /// How many events have come over all streams.
    pub(super) fn seen(&self) -> usize {
        self.seen.load(Ordering::Acquire)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(reader) = self.reader.take() {
            // What it panicked with was said.
            let _ended = reader.join();
        }
    }
}

fn read_all(mut poll: Poll, mut streams: Vec<Stream>, seen: &AtomicUsize, stop: &AtomicBool) {
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    while !stop.load(Ordering::Acquire) {
        if let Err(error) = poll.poll(&mut events, Some(Duration::from_millis(100))) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            continue;
        }
        for event in &events {
            let found = streams[event.token().0].read(&mut buffer);
            seen.fetch_add(found, Ordering::Release);
        }
    }
}

impl Stream {
    /// Reads what is there; answers how many events began in it.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut found = 0;
        loop {
            match self.socket.read(buffer) {
                Ok(0) => panic!("the server ended a stream"),
                Ok(count) => found += self.take(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return found,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> usize {
        self.tail.extend_from_slice(bytes);
        let count = |mark: &[u8]| self.tail.windows(mark.len()).filter(|part| *part == mark).count();
        let found = MARKS.into_iter().map(count).sum();
        let line = self.tail.iter().rposition(|byte| *byte == b'\n');
        self.tail.drain(..line.map_or(0, |at| at + 1));
        found
    }
}
