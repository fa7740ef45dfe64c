//! A service that writes down every event and behaves as the path asks, and a harness that drives it from bytes.

use quintet_core::{Clock, fake::ManualClock};
use quintet_net::{
    ConnectionId, Driver, LoopConfig, Step,
    http1::{Admit, BodyStep, ExchangeId, Http, HttpConfig, HttpService, Replies, RequestHead, Response},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Head(String),
    /// A whole body, pieces joined.
    End(String, Vec<u8>),
    Abandoned(String),
}

pub(crate) struct State {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// | path | behaviour |
/// |---|---|
/// | `/now…` | answers at the end with method, path and body length |
/// | `/later…` | answers when the test calls `answer_held` |
/// | `/refuse` | 404 from the head |
/// | `/pause` | takes nothing of the body until `open` |
/// | `/early` | 507 at the first bytes of the body |
/// | `/close` | answers and closes |
/// | `/big` | 300 000 bytes |
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) events: Vec<Event>,
    pub(crate) held: VecDeque<ExchangeId>,
    pub(crate) answer_now: Vec<ExchangeId>,
    pub(crate) resume_now: Vec<ExchangeId>,
    pub(crate) open: bool,
    pub(crate) paused: Vec<ExchangeId>,
    pub(crate) dead_answers: usize,
}

pub(crate) const BODY_LIMIT: u64 = 100_000;

impl HttpService for Recorder {
    type Exchange = State;

    fn head(&mut self, _: ExchangeId, head: &RequestHead<'_>) -> Admit<State> {
        self.events.push(Event::Head(format!(
            "{} {} {:?}",
            head.method(),
            head.target(),
            head.body()
        )));
        if head.path() == "/refuse" {
            return Admit::Answer(Response::text(404, "nothing here"));
        }
        let exchange = State {
            path: head.path().to_owned(),
            body: Vec::new(),
        };
        Admit::Accept {
            exchange,
            max_body_bytes: BODY_LIMIT,
        }
    }

    fn body(&mut self, id: ExchangeId, exchange: &mut State, bytes: &[u8]) -> BodyStep {
        assert!(!bytes.is_empty());
        match exchange.path.as_str() {
            "/pause" if !self.open => {
                self.paused.push(id);
                BodyStep::Took(0)
            }
            "/early" => BodyStep::Answer(Response::text(507, "no space")),
            _ => {
                exchange.body.extend_from_slice(bytes);
                BodyStep::Took(bytes.len())
            }
        }
    }

    fn end(&mut self, id: ExchangeId, exchange: &mut State) -> Option<Response> {
        self.events
            .push(Event::End(exchange.path.clone(), exchange.body.clone()));
        let text = format!("{} {}", exchange.path, exchange.body.len());
        match exchange.path.as_str() {
            "/close" => Some(Response::text(200, text).close()),
            "/big" => Some(Response::new(200).body(vec![b'x'; 300_000])),
            path if path.starts_with("/later") => {
                self.held.push_back(id);
                None
            }
            _ => Some(Response::text(200, text)),
        }
    }

    fn abandoned(&mut self, _: ExchangeId, exchange: State) {
        self.events.push(Event::Abandoned(exchange.path));
    }

    fn turn(&mut self, replies: &mut Replies<'_, '_, State>) {
        for id in self.answer_now.drain(..) {
            let text = replies
                .exchange(id)
                .map(|state| state.path.clone())
                .unwrap_or_default();
            if replies.answer(id, Response::text(200, text)).is_err() {
                self.dead_answers += 1;
            }
        }
        for id in self.resume_now.drain(..) {
            replies.resume(id);
        }
    }
}

pub(crate) const GET: &str = "GET /now HTTP/1.1\r\nHost: h\r\n\r\n";

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

pub(crate) fn put(path: &str, fields: &str, body: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

/// One connection over a driver, with the backend's part played by the test.
pub(crate) struct Harness {
    pub(crate) driver: Driver<Http<Recorder>>,
    pub(crate) id: ConnectionId,
    pub(crate) clock: ManualClock,
    pub(crate) output: Vec<u8>,
    pub(crate) alive: bool,
    pub(crate) shut: bool,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with(
            HttpConfig {
                date: false,
                ..Default::default()
            },
            LoopConfig::default(),
        )
    }

    pub(crate) fn with(http: HttpConfig, config: LoopConfig) -> Self {
        let clock = ManualClock::new();
        let machine = Http::new(Recorder::default(), http, Arc::new(clock.clone())).unwrap();
        let mut driver = Driver::new(machine, config).unwrap();
        let id = driver.open("127.0.0.1:1".parse().unwrap(), clock.now()).unwrap();
        Self {
            driver,
            id,
            clock,
            output: Vec::new(),
            alive: true,
            shut: false,
        }
    }

    pub(crate) fn service(&mut self) -> &mut Recorder {
        self.driver.protocol_mut().service_mut()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        self.service().events.clone()
    }

    /// Sends what is pending and follows the driver's steps; with `take` 0 the peer reads nothing.
    pub(crate) fn settle(&mut self, take: usize) {
        while self.alive {
            let mut moved = 0;
            if take > 0 {
                let taken = self.driver.take_output(self.id, take, self.clock.now());
                moved = taken.len();
                self.output.extend(taken);
            }
            match self.driver.step(self.id, self.clock.now()) {
                Step::Keep | Step::Flush if moved == 0 => return,
                Step::Keep | Step::Flush => {}
                Step::Shutdown => self.shut = true,
                Step::Remove => {
                    self.driver.remove(self.id);
                    self.alive = false;
                }
            }
        }
    }

    pub(crate) fn feed(&mut self, bytes: impl AsRef<[u8]>) {
        self.driver.received(self.id, bytes.as_ref(), self.clock.now());
        self.settle(usize::MAX);
    }

    pub(crate) fn finish(&mut self) {
        self.driver.finished(self.id, self.clock.now());
        self.settle(usize::MAX);
    }

    pub(crate) fn turn(&mut self) {
        self.driver.turn(self.clock.now());
        self.settle(usize::MAX);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.driver.expire(self.clock.now());
        self.settle(usize::MAX);
    }

    pub(crate) fn drain(&mut self) {
        self.driver.drain(self.clock.now());
        self.settle(usize::MAX);
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The status codes answered so far; understands the answers that [`Recorder`] gives.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        statuses(&self.output)
    }
}

/// Reads answers one after the other by their `Content-Length`.
pub(crate) fn statuses(mut output: &[u8]) -> Vec<u16> {
    let mut found = Vec::new();
    while !output.is_empty() {
        let end = output
            .windows(4)
            .position(|run| run == b"\r\n\r\n")
            .expect("a whole head")
            + 4;
        let head = std::str::from_utf8(&output[..end]).unwrap();
        found.push(head.split(' ').nth(1).unwrap().parse().unwrap());
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        output = &output[end + length..];
    }
    found
}
