//! The tree's port over real sockets: documents read and written, beside the same stack answering a constant; rules; and
//! what streams cost a writer.
//!
//! The server is a process on the first core, the load on the second. A constant is the port's own answer about rules when
//! there are none: the same listener, layers, parameters and authentication, and no tree.

mod load;
mod server;
mod streams;

use super::Effort;
use crate::measure::{Samples, Subject, alternate, table};
use load::{Load, call, connected, request};
use server::Server;
use std::{
    path,
    time::{Duration, Instant},
};
use streams::Streams;

const CONSTANT: &str = "/.settings/rules.json";
/// Connections at once.
const CLIENTS: [usize; 3] = [1, 16, 64];

const READS: [&str; 3] = ["the same stack, a constant", "GET, about 60 bytes", "GET, 16 KiB"];
const WRITES: [&str; 4] = [
    "PUT, about 60 bytes, full",
    "PUT, 16 KiB, full",
    "PUT, about 60 bytes, interval",
    "PUT, 16 KiB, interval",
];
const RULED: [&str; 4] = [
    "no rules",
    "rules: true",
    "rules by the path and the token",
    "rules that look at the tree",
];
const SLOWED: [&str; 4] = [
    "nobody else",
    "1000 idle connections and 1000 streams of another place",
    "1000 streams of what is written, read",
    "1000 streams of what is written, never read",
];
const FANNED: [&str; 3] = ["1 stream", "100 streams", "1000 streams"];

fn document(large: bool, n: usize) -> String {
    if large {
        // No line is the same in two documents: a tree writes only rows that change.
        let line = format!("line of text {n:05}, as long as most are, some sixty letters.");
        let lines: Vec<String> = (0..240).map(|at| format!("\"k{at:03}\":\"{line}\"")).collect();
        return format!("{{\"n\":{n},{}}}", lines.join(","));
    }
    format!("{{\"n\":{n},\"text\":\"a text of some thirty, {n:08}\"}}")
}

fn place(large: bool, n: usize) -> String {
    format!("/{}/d{n}.json", if large { "large" } else { "small" })
}

/// The rows of one table: for each subject, one figure per number of connections.
fn by_clients(title: &str, subjects: Vec<Subject<'_>>, repetitions: usize) -> String {
    let samples = alternate(subjects, repetitions);
    let column = |figure: usize| -> Vec<Samples> { samples.iter().map(|row| row.figure(figure)).collect() };
    let tables = CLIENTS.iter().enumerate().flat_map(|(at, clients)| {
        [
            table(
                &format!("{title}, {clients} connections"),
                "per second",
                &column(2 * at),
            ),
            table(
                &format!("{title}, {clients} connections, p99"),
                "µs",
                &column(2 * at + 1),
            ),
        ]
    });
    tables.collect::<Vec<_>>().join("\n")
}

/// Rate and p99 at each number of connections; each connection sends `requests` of its own.
fn at_clients(server: &Server, window: Duration, requests: impl Fn(usize) -> Vec<Vec<u8>>) -> Vec<f64> {
    let figures = CLIENTS.iter().flat_map(|clients| {
        let mut load =
            Load::connect(server.address, (0..*clients).map(&requests).collect()).expect("connected");
        load.run(window / 5).expect("answers");
        load.run(window).expect("answers").figures()
    });
    figures.collect()
}

/// Requests for some of so many documents, as if at random.
fn gets(documents: usize, path: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
    (0..64)
        .map(|n| request("GET", &path(n * 7919 % documents), "", ""))
        .collect()
}

/// Each place is written in turn with one of two documents that have no row in common.
fn puts(large: bool, client: usize) -> Vec<Vec<u8>> {
    (0..128)
        .map(|n| {
            let path = format!("/written/c{client}/k{}.json", n % 64);
            request("PUT", &path, "", &document(large, n))
        })
        .collect()
}

/// A server with so many documents of each of these sizes.
fn filled(dir: &path::Path, documents: usize, sizes: &[bool], rules: Option<&str>) -> anyhow::Result<Server> {
    let server = Server::start(dir, "full", None)?;
    for &large in sizes {
        let all: Vec<String> = (0..documents)
            .map(|n| format!("\"d{n}\":{}", document(large, n)))
            .collect();
        // In parts, for a body's limit.
        for part in all.chunks(250) {
            let path = if large { "/large.json" } else { "/small.json" };
            call(server.address, "PATCH", path, &format!("{{{}}}", part.join(",")))?;
        }
        let found = call(server.address, "GET", &place(large, 7), "")?;
        anyhow::ensure!(
            found == document_as_kept(large, 7),
            "a document is not what was put"
        );
    }
    if let Some(rules) = rules {
        call(server.address, "PUT", CONSTANT, rules)?;
    }
    Ok(server)
}

/// Names come back in order.
fn document_as_kept(large: bool, n: usize) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_str(&document(large, n)).unwrap_or_default();
    value.to_string().into_bytes()
}

/// Documents read and written.
///
/// # Errors
/// When the server does not do what is being timed.
pub(super) fn documents(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let (documents, window) = (effort.documents, effort.window);
    let server = filled(dir, documents, &[false, true], None)?;
    let reads = vec![
        Subject::several(READS[0], || {
            at_clients(&server, window, |_| gets(documents, |_| CONSTANT.to_owned()))
        }),
        Subject::several(READS[1], || {
            at_clients(&server, window, |_| gets(documents, |n| place(false, n)))
        }),
        Subject::several(READS[2], || {
            at_clients(&server, window, |_| gets(documents, |n| place(true, n)))
        }),
    ];
    let reads = by_clients("HTTP", reads, effort.repetitions);
    let interval = Server::start(dir, "interval", None)?;
    let rows = [
        (&server, false),
        (&server, true),
        (&interval, false),
        (&interval, true),
    ];
    let writes = rows
        .into_iter()
        .zip(WRITES)
        .map(|((server, large), name)| {
            Subject::several(name, move || {
                at_clients(server, window, |client| puts(large, client))
            })
        })
        .collect();
    let writes = by_clients("HTTP", writes, effort.repetitions);
    Ok(format!("{reads}\n{writes}"))
}

/// What rules cost a request.
///
/// # Errors
/// As [`documents`].
pub(super) fn rules(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let open = r#"{"rules": {".read": true}}"#;
    let by_path =
        r#"{"rules": {"small": {"$d": {".read": "auth == null && $d.beginsWith('d') && $d.length < 9"}}}}"#;
    let by_tree = r#"{"rules": {"small": {"$d": {".read": "root.child('small').child($d).child('n').val() >= 0 && data.child('text').isString()"}}}}"#;
    let servers: Vec<Server> = [None, Some(open), Some(by_path), Some(by_tree)]
        .into_iter()
        .map(|rules| filled(dir, effort.documents, &[false], rules))
        .collect::<Result<_, _>>()?;
    let subjects = servers
        .iter()
        .zip(RULED)
        .map(|(server, name)| {
            Subject::several(name, || {
                at_clients(server, effort.window, |_| {
                    gets(effort.documents, |n| place(false, n))
                })
            })
        })
        .collect();
    Ok(by_clients("HTTP GET with", subjects, effort.repetitions))
}

/// What streams cost a writer, and how soon they are told.
///
/// # Errors
/// As [`documents`].
pub(super) fn streams(effort: &Effort, dir: &path::Path) -> anyhow::Result<String> {
    let server = Server::start(dir, "full", None)?;
    let subjects = SLOWED
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            Subject::several(name, {
                let server = &server;
                move || slowed(server, effort, at).expect("answers")
            })
        })
        .collect();
    let samples = alternate(subjects, effort.repetitions);
    let of = |samples: &[Samples], figure: usize| -> Vec<Samples> {
        samples.iter().map(|row| row.figure(figure)).collect()
    };
    let alone = table("one writer beside", "per second", &of(&samples, 0));
    let many = table("16 writers beside", "per second", &of(&samples, 2));
    let fanned = [1, 100, 1000]
        .into_iter()
        .zip(FANNED)
        .map(|(count, name)| {
            Subject::several(name, {
                let server = &server;
                // Fewer where times mean nothing.
                move || told(server, effort, count.min(effort.streams)).expect("answers")
            })
        })
        .collect();
    let samples = alternate(fanned, effort.repetitions);
    let median = table(
        "from a PUT until the last stream has it, median",
        "ms",
        &of(&samples, 0),
    );
    let late = table("the same, p99", "ms", &of(&samples, 1));
    Ok([alone, many, median, late].join("\n"))
}

fn slowed(server: &Server, effort: &Effort, beside: usize) -> anyhow::Result<Vec<f64>> {
    let address = server.address;
    let count = effort.streams;
    let mut idle = Vec::new();
    let _read = match beside {
        1 => {
            idle = (0..count).map(|_| connected(address)).collect::<Result<_, _>>()?;
            Some(Streams::open(address, "/elsewhere.json", count)?)
        }
        2 => Some(Streams::open(address, "/written.json", count)?),
        3 => {
            for _ in 0..count {
                let mut stream = connected(address)?;
                let asked = request("GET", "/written.json", "Accept: text/event-stream\r\n", "");
                std::io::Write::write_all(&mut stream, &asked)?;
                idle.push(stream);
            }
            None
        }
        _ => None,
    };
    let mut figures = Vec::new();
    for clients in [1, 16] {
        let mut load = Load::connect(address, (0..clients).map(|client| puts(false, client)).collect())?;
        load.run(effort.window / 5)?;
        figures.extend(load.run(effort.window)?.figures());
    }
    drop(idle);
    Ok(figures)
}

/// Median and p99 of the time from a write until the last stream has it, in ms.
fn told(server: &Server, effort: &Effort, count: usize) -> anyhow::Result<Vec<f64>> {
    let streams = Streams::open(server.address, "/told.json", count)?;
    let mut times = Vec::new();
    for n in 0..effort.events {
        let (begun, wanted) = (Instant::now(), streams.seen() + count);
        call(server.address, "PUT", "/told.json", &document(false, n))?;
        while streams.seen() < wanted {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "streams are not told");
            std::thread::yield_now();
        }
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    Ok(vec![at(50), at(99)])
}

/// The rows of every table here.
pub(super) fn names() -> impl Iterator<Item = &'static &'static str> {
    READS
        .iter()
        .chain(&WRITES)
        .chain(&RULED)
        .chain(&SLOWED)
        .chain(&FANNED)
}
