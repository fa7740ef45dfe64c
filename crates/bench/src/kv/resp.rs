//! The port beside redis-server: requests a second, processor time a request, memory a key.

use super::{Effort, grid, process::Server};
use crate::measure::{Samples, Subject, alternate};
use anyhow::{Context as _, Result, ensure};
use std::{
    cell::RefCell,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

const DEPTHS: [usize; 3] = [1, 16, 64];
/// Counts of keys whose memory is weighed.
const TENTHS: [usize; 6] = [3, 4, 5, 6, 8, 10];
const COLUMNS: [&str; 4] = ["SET, k/s", "GET, k/s", "SET, CPU µs", "GET, CPU µs"];

/// One run of redis-benchmark: thousands of requests a second, and microseconds of the server's time for each.
fn benchmark(server: &Server, test: &str, depth: usize, requests: usize) -> Result<(f64, f64)> {
    let before = server.cpu_s()?;
    let output = Command::new("redis-benchmark")
        .args([
            "-p",
            &server.port.to_string(),
            "-c",
            "50",
            "-t",
            test,
            "--csv",
            "-r",
            "100000",
        ])
        .args(["-P", &depth.to_string(), "-n", &requests.to_string()])
        .output()
        .context("cannot start redis-benchmark")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "redis-benchmark: {text}");
    let wanted = format!("\"{}\"", test.to_uppercase());
    let line = text.lines().find(|line| line.starts_with(&wanted));
    let rate = line.and_then(|line| line.split(',').nth(1));
    let rate: f64 = rate
        .with_context(|| format!("redis-benchmark measured no {test}: {text}"))?
        .trim_matches('"')
        .parse()?;
    let spent = server.cpu_s()? - before;
    Ok((rate / 1000.0, spent * 1e6 / requests as f64))
}

fn row(server: &Server, depth: usize, requests: usize) -> Result<Vec<f64>> {
    let (set, set_cpu) = benchmark(server, "set", depth, requests)?;
    let (get, get_cpu) = benchmark(server, "get", depth, requests)?;
    Ok(vec![set, get, set_cpu, get_cpu])
}

/// Pairs of servers, asked in turns.
fn beside(servers: &[(&'static str, Server)], depth: usize, effort: &Effort) -> Result<Vec<Samples>> {
    let failed = RefCell::new(None);
    let requests = effort.requests * depth.min(16);
    let subjects = servers.iter().map(|(name, server)| {
        let failed = &failed;
        Subject::several(name, move || {
            row(server, depth, requests).unwrap_or_else(|error| {
                failed.borrow_mut().get_or_insert(error);
                vec![f64::NAN; COLUMNS.len()]
            })
        })
    });
    let samples = alternate(subjects.collect(), effort.repetitions);
    failed.into_inner().map_or(Ok(samples), Err)
}

/// Sets short values under short keys, and answers what the server's memory grew by, for each.
fn weigh(server: &Server, keys: usize) -> Result<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    let before = server.resident_bytes()?;
    let mut answers = vec![0; 5 * 1_000];
    for first in (0..keys).step_by(1_000) {
        let count = 1_000.min(keys - first);
        let batch: String = (first..first + count)
            .map(|n| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{n:012}\r\n$3\r\nxxx\r\n"))
            .collect();
        stream.write_all(batch.as_bytes())?;
        stream.read_exact(&mut answers[..5 * count])?;
        ensure!(
            answers[..5 * count].chunks(5).all(|answer| answer == b"+OK\r\n"),
            "a SET was refused"
        );
    }
    Ok((server.resident_bytes()? - before) / keys as f64)
}

pub(super) fn run(effort: &Effort) -> Result<Vec<String>> {
    let mut tables = Vec::new();
    for durable in [false, true] {
        let Some(redis) = Server::redis(durable)? else {
            return Ok(vec!["redis-server: skipped, it is not installed".to_owned()]);
        };
        let what = if durable {
            "interval of 100 ms beside everysec"
        } else {
            "in memory beside no save"
        };
        let servers = [
            ("redis-server", redis),
            ("quintet-kv, 1 worker", Server::ours(durable)?),
        ];
        for depth in DEPTHS {
            let samples = beside(&servers, depth, effort)?;
            let title = format!("{what}, 50 connections, P {depth}");
            tables.push(grid(&title, &COLUMNS, &samples));
        }
    }
    tables.push(memory(effort)?);
    Ok(tables)
}

/// What a key takes, at several counts, each in a new process.
fn memory(effort: &Effort) -> Result<String> {
    let weighed = |start: &dyn Fn() -> Result<Server>| -> Result<Vec<f64>> {
        let tenths = TENTHS.iter();
        tenths
            .map(|tenths| weigh(&start()?, tenths * effort.weighed_tenth))
            .collect()
    };
    let redis = weighed(&|| Server::redis(false)?.context("redis-server has gone"))?;
    let ours = weighed(&|| Server::ours(false))?;
    let rows = [("redis-server", redis), ("quintet-kv, 1 worker", ours)];
    let subjects = rows
        .into_iter()
        .map(|(name, row)| Subject::several(name, move || row.clone()));
    let title = format!(
        "bytes a key of 16 bytes, values of 3; keys in units of {}",
        effort.weighed_tenth
    );
    let columns = TENTHS.map(|tenths| tenths.to_string());
    let columns = columns.each_ref().map(String::as_str);
    Ok(grid(&title, &columns, &alternate(subjects.collect(), 1)))
}
