//! The HTTP/1.1 machine: any input, cut at any place, never panics, keeps little, and means the same as uncut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_core::SystemClock;
use quintet_net::{
    Driver, LoopConfig, Step,
    http1::{Admit, BodyStep, ExchangeId, Http, HttpConfig, HttpService, RequestHead, Response},
};
use std::{sync::Arc, time::Instant};

/// Writes down what it is told.
#[derive(Default)]
struct Recorder(Vec<u8>);

impl HttpService for Recorder {
    type Exchange = usize;

    fn head(&mut self, _: ExchangeId, head: &RequestHead<'_>) -> Admit<usize> {
        self.0
            .extend(format!("{} {} {:?}\n", head.method(), head.target(), head.body()).bytes());
        if head.method() == "DELETE" {
            return Admit::Answer(Response::text(405, "refused"));
        }
        Admit::Accept {
            exchange: 0,
            max_body_bytes: 4096,
        }
    }

    fn body(&mut self, _: ExchangeId, exchange: &mut usize, bytes: &[u8]) -> BodyStep {
        *exchange += bytes.len();
        self.0.extend(bytes);
        BodyStep::Took(bytes.len())
    }

    fn end(&mut self, _: ExchangeId, exchange: &mut usize) -> Option<Response> {
        Some(Response::text(200, *exchange))
    }

    fn abandoned(&mut self, _: ExchangeId, _: usize) {
        self.0.extend(b"abandoned\n");
    }
}

fn run(input: &[u8], piece_bytes: usize, now: Instant) -> (Vec<u8>, Vec<u8>) {
    let config = HttpConfig {
        date: false,
        ..Default::default()
    };
    let machine = Http::new(Recorder::default(), config, Arc::new(SystemClock)).unwrap();
    let mut driver = Driver::new(machine, LoopConfig::default()).unwrap();
    let id = driver.open("127.0.0.1:1".parse().unwrap(), now).unwrap();
    let mut output = Vec::new();
    for piece in input.chunks(piece_bytes) {
        driver.received(id, piece, now);
        assert!(driver.kept_bytes(id) <= LoopConfig::default().carry_bytes + piece.len());
        loop {
            let taken = driver.take_output(id, usize::MAX, now);
            output.extend_from_slice(&taken);
            match driver.step(id, now) {
                Step::Keep | Step::Flush if taken.is_empty() => break,
                Step::Keep | Step::Flush | Step::Shutdown => {}
                Step::Remove => {
                    driver.remove(id);
                    return (std::mem::take(&mut driver.protocol_mut().service_mut().0), output);
                }
            }
        }
    }
    (std::mem::take(&mut driver.protocol_mut().service_mut().0), output)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else {
        return;
    };
    let now = Instant::now();
    let whole = run(input, usize::MAX, now);
    let cut = run(input, usize::from(*cut).max(1), now);
    assert_eq!(whole, cut);
});
