//! Several loops behind one address: they start together, count apart, end together, and a failed start leaves nothing.

use crate::on_both_backends;
use quintet_core::{Clock, Deadline, Error, ErrorKind, SystemClock};
use quintet_net::{Backend, ConnectionId, Link, LoopConfig, Port, Protocol};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Echo;

impl Protocol for Echo {
    type Connection = ();

    fn open(&mut self, _: &mut Link<'_>) {}

    fn receive(&mut self, link: &mut Link<'_>, (): &mut (), input: &[u8]) -> usize {
        link.count_request();
        link.write(input);
        input.len()
    }

    fn close(&mut self, _: ConnectionId, (): ()) {}
}

fn config(backend: Backend) -> LoopConfig {
    LoopConfig {
        backend,
        ..LoopConfig::default()
    }
}

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn deadline() -> Deadline {
    Deadline(SystemClock.now() + PATIENCE)
}

fn every_loop_counts_for_itself_and_all_end_with_the_port(backend: Backend) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let port = Port::serve("echo", any, two(), config(backend), &clock(), |_, _| Ok(Echo)).unwrap();
    for round in 0..16u8 {
        let mut client = TcpStream::connect(port.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&[round]).unwrap();
        let mut back = [0xff];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, [round]);
    }
    let stats = port.stats();
    assert_eq!(stats.len(), 2);
    let requests: u64 = stats.iter().map(|stats| stats.snapshot().requests).sum();
    assert_eq!(requests, 16);
    assert!(!port.has_failed());
    port.drain(deadline()).unwrap();
}

fn a_worker_that_cannot_start_takes_the_others_down_with_it(backend: Backend) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let probe = Port::serve("echo", any, two(), config(backend), &clock(), |_, _| Ok(Echo)).unwrap();
    let address = probe.address();
    probe.drain(deadline()).unwrap();
    let refused = Port::serve("echo", address, two(), config(backend), &clock(), |at, _| {
        if at == 0 {
            return Ok(Echo);
        }
        Err(Error::new(ErrorKind::Unavailable, "there is one seat only"))
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    let again = Port::serve("echo", address, two(), config(backend), &clock(), |_, _| Ok(Echo)).unwrap();
    assert_eq!(again.address(), address, "nobody listens there any more");
    again.drain(deadline()).unwrap();
}

on_both_backends! {
    every_loop_counts_for_itself_and_all_end_with_the_port,
    a_worker_that_cannot_start_takes_the_others_down_with_it,
}
