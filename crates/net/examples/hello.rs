//! Answers every request with one constant line: what the loop and the machine cost without a store behind them.
//!
//! `cargo run --release -p quintet-net --features uring --example hello -- 127.0.0.1:8080 [workers] [epoll|uring]`; ends on
//! end of input (Ctrl-D).

use quintet_core::{Deadline, SystemClock};
use quintet_net::{
    Backend, EventLoop, LoopConfig,
    http1::{Admit, BodyStep, ExchangeId, Http, HttpConfig, HttpService, RequestHead, Response},
};
use std::{error::Error, io::Read, num::NonZeroUsize, sync::Arc, time::Duration};

struct Hello;

impl HttpService for Hello {
    type Exchange = ();

    fn head(&mut self, _: ExchangeId, head: &RequestHead<'_>) -> Admit<()> {
        if head.method() != "GET" && head.method() != "HEAD" {
            return Admit::Answer(
                Response::text(405, "only GET and HEAD are answered").header("Allow", "GET, HEAD"),
            );
        }
        Admit::Accept {
            exchange: (),
            max_body_bytes: 0,
        }
    }

    fn body(&mut self, _: ExchangeId, (): &mut (), bytes: &[u8]) -> BodyStep {
        BodyStep::Took(bytes.len())
    }

    fn end(&mut self, _: ExchangeId, (): &mut ()) -> Option<Response> {
        Some(Response::new(200).body("Hello, World!\n"))
    }

    fn abandoned(&mut self, _: ExchangeId, (): ()) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned())
        .parse()?;
    let workers: NonZeroUsize = arguments.next().unwrap_or_else(|| "1".to_owned()).parse()?;
    let backend = match arguments.next().as_deref() {
        None | Some("epoll") => Backend::Epoll,
        Some("uring") => Backend::Uring,
        Some(other) => return Err(format!("{other} is no backend: epoll or uring").into()),
    };
    let config = LoopConfig {
        backend,
        ..LoopConfig::default()
    };
    let clock = Arc::new(SystemClock);
    let mut threads = Vec::new();
    for (number, listener) in quintet_net::bind(address, workers)?.into_iter().enumerate() {
        let clock = Arc::clone(&clock);
        threads.push(EventLoop::spawn(
            &format!("hello-{number}"),
            listener,
            config,
            clock.clone(),
            move |_| Http::new(Hello, HttpConfig::default(), clock),
        )?);
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for thread in &threads {
        thread
            .control()
            .drain(Deadline::after(&SystemClock, Duration::from_secs(5)));
    }
    for thread in threads {
        thread.join()?;
    }
    Ok(())
}
