//! What a figure was measured on, and pinning threads to its cores.

use crate::compare::Machine;
use std::{fs, path::Path, process::Command, sync::OnceLock, thread};

/// One line that belongs beside every table: processor, cores, kernel, compiler, commit.
#[must_use]
pub fn describe() -> String {
    let Machine {
        processor,
        cores,
        kernel,
        rustc,
        commit,
        ..
    } = inspect(Path::new("."));
    format!("{processor}, {cores} cores, Linux {kernel}, {rustc}, commit {commit}")
}

/// What belongs beside every saved figure. `dir` is where the stores are.
#[must_use]
pub fn inspect(dir: &Path) -> Machine {
    let features = [
        ("simsimd", cfg!(feature = "simsimd")),
        ("usearch", cfg!(feature = "usearch")),
        ("hnsw_rs", cfg!(feature = "hnsw_rs")),
    ];
    let field = |file: &str, name: &str| -> Option<String> {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let memory_kib = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or_default();
    Machine {
        processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned()),
        cores: cores(),
        memory_bytes: memory_kib * 1024,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        filesystem: filesystem(dir),
        rustc: first_line("rustc", &["--version"]),
        commit: env!("QUINTET_COMMIT").to_owned(),
        features: features
            .into_iter()
            .filter(|(_, is_on)| *is_on)
            .map(|(name, _)| name.to_owned())
            .collect(),
    }
}

/// The kind of the file system that `dir` is on: that of the longest mount point above it.
fn filesystem(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(mount, _)| dir.starts_with(mount))
        .max_by_key(|(mount, _)| mount.len())
        .map_or_else(
            || "an unknown file system".to_owned(),
            |(_, kind)| kind.to_owned(),
        )
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
pub fn cores() -> usize {
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
