//! Instructions of the hottest paths, by callgrind, against committed budgets: a regression that no noise can hide.
//!
//! A path is run twice under callgrind, once for longer; the difference is what the extra calls took, so neither start nor
//! set-up counts. Budgets are kept per CPU class, because the machine code differs: `crates/bench/budgets.json`.
//!
//! Tables are seeded by time, addresses and the system's randomness, which moves a count by a tenth. So the watched program
//! gets equal time and no randomness by a preloaded shim, and the same environment wherever it lies: then every run counts
//! the same.

use crate::paths::PATHS;
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const SHIM: &str = include_str!("../shim/still.c");
/// How far from its budget a path may be, either way.
const TOLERANCE: f64 = 0.02;
const SHORT: u64 = 2_000;
/// Twice through the keys more than `SHORT`.
const LONG: u64 = SHORT + 2 * 8192;

/// Instructions a call, by CPU class and path.
type Budgets = BTreeMap<String, BTreeMap<String, f64>>;

/// What the machine code depends on: the instruction set, and the compiler.
#[must_use]
pub fn class() -> String {
    let simd = if cfg!(target_arch = "x86_64") {
        let has = |name: &str| {
            fs::read_to_string("/proc/cpuinfo")
                .unwrap_or_default()
                .lines()
                .find(|line| line.starts_with("flags"))
                .is_some_and(|line| line.split_whitespace().any(|flag| flag == name))
        };
        ["avx512f", "avx2"]
            .into_iter()
            .find(|name| has(name))
            .unwrap_or("sse2")
    } else {
        "default"
    };
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    let rustc = rustc.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    format!("{} {simd}, rustc {rustc}", env::consts::ARCH)
}

/// Runs one path so many times: what callgrind watches.
///
/// # Errors
/// When there is no such path, or it fails.
pub fn run_path(name: &str, times: u64) -> Result<()> {
    let path = PATHS.iter().find(|path| path.name == name);
    let mut call = path
        .with_context(|| format!("there is no path `{name}`"))?
        .build()?;
    for _ in 0..times {
        call()?;
    }
    Ok(())
}

/// Counts every path and compares with the budgets in `file`; with `accept` writes them there instead.
///
/// # Errors
/// When valgrind is missing, or a path is outside of its budget.
pub fn run(file: &Path, accept: bool) -> Result<String> {
    let class = class();
    let mut budgets: Budgets = match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Budgets::new(),
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    let place = tempfile::tempdir()?;
    let still = shim(place.path())?;
    let mut counted = BTreeMap::new();
    for path in &PATHS {
        counted.insert(path.name.to_owned(), count(path.name, &still)?);
    }
    if accept {
        let lines: Vec<String> = counted
            .iter()
            .map(|(name, per_call)| format!("{name}: {per_call}"))
            .collect();
        budgets.insert(class.clone(), counted);
        fs::write(file, serde_json::to_string_pretty(&budgets)? + "\n")?;
        return Ok(format!(
            "instructions a call on {class}, accepted:\n{}",
            lines.join("\n")
        ));
    }
    match budgets.get(&class) {
        None => Ok(format!(
            "instructions NOT compared: {} has no budgets for {class}; `cargo xtask bench count --accept` sets them",
            file.display()
        )),
        Some(budgets) => judge(&class, budgets, &counted),
    }
}

fn judge(class: &str, budgets: &BTreeMap<String, f64>, counted: &BTreeMap<String, f64>) -> Result<String> {
    let mut lines = Vec::new();
    let mut outside = Vec::new();
    for (name, per_call) in counted {
        let Some(budget) = budgets.get(name) else {
            outside.push(format!("{name}, which has no budget"));
            continue;
        };
        let change = per_call / budget - 1.0;
        lines.push(format!(
            "{name}: {per_call:.1}, budget {budget:.1} ({:+.2} %)",
            change * 100.0
        ));
        if change.abs() > TOLERANCE {
            outside.push(format!("{name} ({:+.1} %)", change * 100.0));
        }
    }
    let text = format!("instructions a call on {class}:\n{}", lines.join("\n"));
    if outside.is_empty() {
        return Ok(text);
    }
    bail!(
        "{text}\nmore than 2 % from the budget: {}; if that is meant, `cargo xtask bench count --accept` and say why in the commit",
        outside.join(", ")
    )
}

/// Builds what is preloaded; the workspace needs a C compiler anyway.
fn shim(dir: &Path) -> Result<PathBuf> {
    let (source, library) = (dir.join("still.c"), dir.join("still.so"));
    fs::write(&source, SHIM)?;
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut compile = Command::new(compiler);
    compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library);
    let done = compile.arg(&source).output().context("no C compiler")?;
    let text = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "the shim does not build: {text}");
    Ok(library)
}

/// Instructions of one call.
fn count(name: &str, still: &Path) -> Result<f64> {
    let (short, long) = (collected(name, SHORT, still)?, collected(name, LONG, still)?);
    let per_call = long.saturating_sub(short) as f64 / (LONG - SHORT) as f64;
    Ok((per_call * 10.0).round() / 10.0)
}

fn collected(name: &str, times: u64, still: &Path) -> Result<u64> {
    let program = env::current_exe()?;
    let (Some(folder), Some(file)) = (program.parent(), program.file_name()) else {
        bail!("{} has no folder", program.display());
    };
    // What lies on the program's stack before it starts is the same wherever the workspace is, and for every count.
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(Path::new(".").join(file))
        .args(["path", name, &format!("{times:08}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("LD_PRELOAD", still)
        .stdin(Stdio::null())
        .output()
        .context("valgrind is not installed: instructions cannot be counted")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{name}` failed under valgrind: {text}");
    read_collected(&text).with_context(|| format!("valgrind does not say what it collected: {text}"))
}

fn read_collected(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_prints_is_read() {
        let text = "==12== Events    : Ir\n==12== Collected : 16263331\n==12==\n";
        assert_eq!(read_collected(text), Some(16_263_331));
        assert_eq!(read_collected("no such line"), None);
    }

    #[test]
    fn a_path_beyond_its_budget_is_named_and_so_is_one_without() {
        let budget: BTreeMap<String, f64> = [("a".to_owned(), 100.0), ("b".to_owned(), 100.0)].into();
        let counted = |a: f64, b: f64| [("a".to_owned(), a), ("b".to_owned(), b)].into();
        judge("x", &budget, &counted(101.9, 98.1)).unwrap();
        let slow = format!("{:#}", judge("x", &budget, &counted(102.1, 100.0)).unwrap_err());
        assert!(slow.contains("from the budget: a (+2.1 %)"), "{slow}");
        assert!(judge("x", &budget, &counted(100.0, 97.0)).is_err());
        let unknown = [("c".to_owned(), 1.0)].into();
        assert!(
            format!("{:#}", judge("x", &budget, &unknown).unwrap_err()).contains("c, which has no budget")
        );
    }
}
