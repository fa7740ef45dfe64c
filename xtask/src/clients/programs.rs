//! The two programs that come with Redis: `redis-cli` and `redis-benchmark`.

use super::server::Server;
use crate::steps::{Steps, output_of, works};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// Lines typed into redis-cli, and what must stand in what it shows.
const TYPED: [(&str, &str); 14] = [
    ("SET greeting hello EX 100", "OK"),
    ("GET greeting", "\"hello\""),
    ("INCRBY n 41", "(integer) 41"),
    ("RPUSH list a b c", "(integer) 3"),
    ("LRANGE list 0 -1", "3) \"c\""),
    ("HSET hash field value", "(integer) 1"),
    ("ZADD zset 1.5 one 2 two", "(integer) 2"),
    ("ZRANGE zset 0 -1 WITHSCORES", "\"one\""),
    ("SADD set x", "(integer) 1"),
    (
        "GET list",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    ),
    ("NOPE", "ERR unknown command 'NOPE'"),
    ("DBSIZE", "(integer) 6"),
    ("INFO server", "redis_version:7.0"),
    ("PING", "PONG"),
];

pub(super) fn redis_cli(steps: &mut Steps, folder: &Path) -> Result<()> {
    if !works(Command::new("redis-cli").arg("--version")) {
        steps.note("redis-cli skipped: it is not on the PATH");
        return Ok(());
    }
    for (name, extra) in [("redis-cli, RESP2", None), ("redis-cli -3", Some("-3"))] {
        let server = Server::start()?;
        let port = server.port().to_string();
        let words = move || {
            let words = ["redis-cli", "--no-auth-warning", "-p"].map(str::to_owned);
            words
                .into_iter()
                .chain([port.clone()])
                .chain(extra.map(str::to_owned))
        };
        let line = words().collect::<Vec<_>>().join(" ");
        steps.call(&format!("{name}, from a pipe"), &line, || {
            let mut cli = words();
            let shown = typed(
                Command::new(cli.next().unwrap_or_default())
                    .args(cli)
                    .arg("--no-raw"),
            )?;
            expect(&shown)
        })?;
        if !works(Command::new("script").arg("--version")) {
            steps.note("redis-cli in a terminal skipped: there is no `script` to make one");
            continue;
        }
        // A fresh keyspace: DBSIZE is looked at.
        output_of(Command::new("redis-cli").args(["-p", &server.port().to_string(), "FLUSHALL"]))?;
        steps.call(&format!("{name}, interactive"), &line, || {
            let log = folder.join("typescript");
            let mut script = Command::new("script");
            script.args(["--quiet", "--return", "--command", &line]).arg(&log);
            script.env("TERM", "dumb");
            typed(&mut script)?;
            let shown = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
            expect(&String::from_utf8_lossy(&shown))
        })?;
    }
    Ok(())
}

/// Types every line into a program, and answers what it printed.
fn typed(program: &mut Command) -> Result<String> {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start it")?;
    let mut stdin = child.stdin.take().context("it has no input")?;
    for (line, _) in TYPED {
        writeln!(stdin, "{line}")?;
    }
    writeln!(stdin, "quit")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn expect(shown: &str) -> Result<()> {
    let mut rest = shown;
    for (line, wanted) in TYPED {
        let at = rest.find(wanted);
        let at =
            at.with_context(|| format!("`{line}` did not show `{wanted}`; all that was shown:\n{shown}"))?;
        rest = &rest[at..];
    }
    Ok(())
}

/// What redis-benchmark measures by default, in the words of its report.
const MEASURED: [&str; 18] = [
    "PING_INLINE",
    "PING_MBULK",
    "SET",
    "GET",
    "INCR",
    "LPUSH",
    "RPUSH",
    "LPOP",
    "RPOP",
    "SADD",
    "HSET",
    "SPOP",
    "ZADD",
    "ZPOPMIN",
    "LRANGE_100",
    "LRANGE_300",
    "LRANGE_600",
    "MSET (10 keys)",
];

pub(super) fn redis_benchmark(steps: &mut Steps, _: &Path) -> Result<()> {
    if !works(Command::new("redis-benchmark").arg("--version")) {
        steps.note("redis-benchmark skipped: it is not on the PATH");
        return Ok(());
    }
    for (name, extra) in [
        ("redis-benchmark", &[][..]),
        ("redis-benchmark -P 16", &["-P", "16"]),
        (
            "redis-benchmark --threads 2 -r 1000",
            &["--threads", "2", "-r", "1000"],
        ),
    ] {
        let server = Server::start()?;
        let mut benchmark = Command::new("redis-benchmark");
        benchmark.args(["-p", &server.port().to_string(), "-n", "2000", "-c", "20", "-q"]);
        benchmark.args(extra);
        let line = crate::steps::command_line(&benchmark);
        steps.call(name, &line, || {
            let output = benchmark.output().context("cannot start it")?;
            let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "it ended with {}: {said}", output.status);
            ensure!(
                !shown.contains("Error") && !said.contains("rror"),
                "{shown}{said}"
            );
            for measured in MEASURED {
                let done = |line: &str| line.starts_with(measured) && line.contains("requests per second");
                ensure!(shown.lines().any(done), "{measured} was not measured:\n{shown}");
            }
            Ok(())
        })?;
    }
    Ok(())
}
