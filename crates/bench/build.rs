//! Lists the files of `src/compare/subject/`, so that a new subject is one new file.
//!
//! Writes `subjects.rs`: a module for each file, and the constant `FILES` with their entries. Says also of which commit the
//! program is, because a report must not name one that came after.

use std::{env, fmt::Write as _, fs, io, path::Path, process::Command};

fn main() -> io::Result<()> {
    subjects()?;
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    println!("cargo::rerun-if-changed={head}");
    let changed = if git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        ""
    } else {
        "+"
    };
    println!(
        "cargo::rustc-env=QUINTET_COMMIT={}{changed}",
        git(&["rev-parse", "--short=9", "HEAD"])
    );
    Ok(())
}

/// What git answers; nothing outside of a repository.
fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).output();
    let text = output
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    text.unwrap_or_default().trim().to_owned()
}

fn subjects() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let folder = Path::new(&root).join("src/compare/subject");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == "rs" && name != "mod").then_some(name)
        })
        .collect();
    names.sort();
    let mut text = String::new();
    for name in &names {
        let path = folder.join(format!("{name}.rs"));
        let _infallible = writeln!(text, "#[path = {path:?}]\nmod {name};");
    }
    let lists = names
        .iter()
        .map(|name| format!("{name}::ENTRIES"))
        .collect::<Vec<_>>()
        .join(", ");
    let _infallible = writeln!(text, "static FILES: [&[Entry]; {}] = [{lists}];", names.len());
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("subjects.rs"), text)
}
