//! Which rows are measured, in which tables.

use super::{Effort, Size, load::Job, subject::Kind};
use quintet_core::Durability;

/// One thing to measure, under its name.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) cell: Cell,
}

/// How it is measured.
pub(super) enum Cell {
    /// A server with so many connections that GET and so many that PUT; the figures are the GETs' if there are any.
    Server {
        kind: Kind,
        size: Size,
        gets: usize,
        puts: usize,
    },
    /// Files, without a server.
    Files { job: Job, size: Size, flush: bool },
}

/// Rows that belong side by side.
pub(super) struct Table {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
    pub(super) aim: Option<Aim>,
}

/// What our better row should be, against others of its table.
#[derive(Clone, Copy)]
pub(super) enum Aim {
    /// So many times the requests a second of the better of the two rivals.
    TimesRivals(f64),
    /// So many times the requests a second of the faster DAV server.
    TimesDav(f64),
    /// So many requests a second, or as many as the disk's flushes carry.
    PerSecond(f64),
    /// The second row's p99 within so many times the first one's.
    TailWithin(f64),
}

/// Who may be missing, and is then named.
const SERVERS: [Kind; 4] = [
    Kind::Epoll(Durability::Relaxed),
    Kind::Uring(Durability::Relaxed),
    Kind::Nginx,
    Kind::Lighttpd,
];

/// All tables, and a line for each server that cannot be measured here.
pub(super) fn tables(effort: Effort) -> (Vec<Table>, Vec<String>) {
    let mut absent = Vec::new();
    let present: Vec<Kind> = SERVERS
        .into_iter()
        .filter(|kind| {
            let reason = kind.missing();
            absent.extend(
                reason
                    .iter()
                    .map(|reason| format!("not compared: {}: {reason}", kind.name())),
            );
            reason.is_none()
        })
        .collect();
    let connections: &[usize] = if effort.full { &[1, 16, 64] } else { &[64] };
    let sizes = if effort.smoke {
        &Size::ALL[..1]
    } else {
        &Size::ALL[..]
    };
    let mut tables = Vec::new();
    for size in sizes {
        for count in connections {
            tables.push(gets(*size, *count, &present));
        }
    }
    for size in sizes {
        for count in connections {
            tables.push(puts(*size, *count, &present));
        }
    }
    let flushed = if effort.full { sizes } else { &Size::ALL[..1] };
    for size in flushed {
        for count in connections {
            tables.push(durable(*size, *count, &present));
        }
    }
    tables.push(tail());
    (tables, absent)
}

fn plural(connections: usize) -> &'static str {
    if connections == 1 {
        "connection"
    } else {
        "connections"
    }
}

fn server(kind: Kind, size: Size, gets: usize, puts: usize) -> Row {
    let cell = Cell::Server {
        kind,
        size,
        gets,
        puts,
    };
    Row {
        name: kind.name(),
        cell,
    }
}

fn gets(size: Size, count: usize, present: &[Kind]) -> Table {
    let mut rows: Vec<Row> = present.iter().map(|kind| server(*kind, size, count, 0)).collect();
    let (job, flush) = (Job::Get, false);
    rows.push(Row {
        name: "a file per block, one thread".to_owned(),
        cell: Cell::Files { job, size, flush },
    });
    let aim = match size {
        _ if count != 64 => None,
        Size(512) => Some(Aim::TimesRivals(1.0)),
        _ => Some(Aim::TimesRivals(1.2)),
    };
    Table {
        title: format!("GET {} KiB, {count} {}", size.0, plural(count)),
        rows,
        aim,
    }
}

fn puts(size: Size, count: usize, present: &[Kind]) -> Table {
    let mut rows: Vec<Row> = present.iter().map(|kind| server(*kind, size, 0, count)).collect();
    let (job, flush) = (Job::Put, false);
    rows.push(Row {
        name: "a file per block, one thread".to_owned(),
        cell: Cell::Files { job, size, flush },
    });
    let aim = match size {
        _ if count != 64 => None,
        Size(4) => Some(Aim::TimesDav(20.0)),
        Size(64) => Some(Aim::TimesDav(5.0)),
        _ => Some(Aim::TimesDav(2.5)),
    };
    Table {
        title: format!("PUT {} KiB, unflushed, {count} {}", size.0, plural(count)),
        rows,
        aim,
    }
}

fn durable(size: Size, count: usize, present: &[Kind]) -> Table {
    let mut rows = Vec::new();
    for durability in [Durability::Full, Durability::Interval] {
        for kind in present {
            let kind = match kind {
                Kind::Epoll(_) => Kind::Epoll(durability),
                Kind::Uring(_) => Kind::Uring(durability),
                _ => continue,
            };
            rows.push(server(kind, size, 0, count));
        }
    }
    let (job, flush) = (Job::Put, true);
    rows.push(Row {
        name: "a file per block, one thread".to_owned(),
        cell: Cell::Files { job, size, flush },
    });
    let aim = (size == Size(4) && count == 64).then_some(Aim::PerSecond(40_000.0));
    Table {
        title: format!("PUT {} KiB, flushed, {count} {}", size.0, plural(count)),
        rows,
        aim,
    }
}

/// What readers feel of writers.
fn tail() -> Table {
    let kind = Kind::Epoll(Durability::Full);
    let (alone, beside) = (server(kind, Size(4), 32, 0), server(kind, Size(4), 32, 32));
    // What 32 more connections cost by themselves on a core that is busy already.
    let more = server(kind, Size(4), 64, 0);
    Table {
        title: "GET 4 KiB, 32 connections, and what 32 that PUT at full durability cost them".to_owned(),
        rows: vec![
            Row {
                name: "GETs alone".to_owned(),
                ..alone
            },
            Row {
                name: "GETs beside PUTs".to_owned(),
                ..beside
            },
            Row {
                name: "GETs beside 32 more GETs".to_owned(),
                ..more
            },
        ],
        aim: Some(Aim::TailWithin(2.0)),
    }
}
