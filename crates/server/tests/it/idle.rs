//! A server without clients does nothing: no CPU time, no transactions.

use crate::process::Server;
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// Kernel clock ticks of user and system time so far; `USER_HZ` is 100 on every Linux.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let fields = stat
        .rsplit_once(')')
        .expect("the command's name is in parentheses")
        .1;
    let numbers: Vec<_> = fields.split_whitespace().collect();
    numbers[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum()
}

fn context_switches(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/task"))
        .expect("a live process")
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok())
        .filter_map(|status| {
            let line = status
                .lines()
                .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            line.split_whitespace().last()?.parse::<u64>().ok()
        })
        .sum()
}

/// Newest change of any file under the data directory.
fn newest_change(server: &Server) -> std::time::SystemTime {
    let root = format!("/proc/{}/fd", server.pid());
    fs::read_dir(root)
        .expect("a live process")
        .filter_map(|fd| fs::metadata(fd.ok()?.path()).ok())
        .filter(fs::Metadata::is_file)
        .filter_map(|file| file.modified().ok())
        .max()
        .expect("the server has files open")
}

#[test]
fn an_idle_server_uses_no_cpu_and_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--blocks-workers", "2"], &[]);
    // What the start leaves to its threads is done when nothing was written for a while.
    let begun = Instant::now();
    while newest_change(&server)
        .elapsed()
        .is_ok_and(|age| age < Duration::from_secs(1))
    {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it never stops writing"
        );
        thread::park_timeout(Duration::from_millis(50));
    }
    let watched = Duration::from_secs(3);
    let (cpu, switches, changed) = (
        cpu_ticks(server.pid()),
        context_switches(server.pid()),
        newest_change(&server),
    );
    let until = Instant::now() + watched;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
    let cpu_ms = (cpu_ticks(server.pid()) - cpu) * 10;
    let switches = context_switches(server.pid()) - switches;
    println!("idle for {watched:?}: {cpu_ms} ms of CPU, {switches} wake-ups");
    // Under 1 % of a core, with one clock tick of slack; the wake-ups are what a loop without work would show first.
    assert!(cpu_ms <= 30 + 10, "{cpu_ms} ms of CPU in {watched:?}");
    assert!(switches <= 60, "{switches} wake-ups in {watched:?}");
    assert_eq!(newest_change(&server), changed, "an idle server wrote to a file");
    server.stop();
}
