//! What a figure was measured on, and pinning threads to its cores.

use std::{fs, process::Command, sync::OnceLock, thread};

/// One line that belongs beside every table: processor, cores, kernel, compiler, commit.
#[must_use]
pub fn describe() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines().find_map(|line| {
                line.strip_prefix("model name")?
                    .split_once(": ")
                    .map(|(_, name)| name.to_owned())
            })
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = cores();
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let rustc = first_line("rustc", &["--version"]);
    let commit = first_line("git", &["rev-parse", "--short", "HEAD"]);
    format!("{processor}, {cores} cores, Linux {kernel}, {rustc}, commit {commit}")
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .and_then(|output| {
            String::from_utf8(output.stdout)
                .ok()?
                .lines()
                .next()
                .map(str::to_owned)
        })
        .unwrap_or_else(|| format!("({program} unknown)"))
}

/// How many cores this process may use. Asked once, before any thread is pinned: a pinned thread sees only its own.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Ties the calling thread to one core, modulo how many there are. Best effort: a machine that forbids it is only
/// noisier.
pub fn pin_to(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core % cores());
    let _forbidden = rustix::thread::sched_setaffinity(None, &set);
}
