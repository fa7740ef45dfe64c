//! A moment of everything, for the gate: does every subject pass its check, and does every row appear? Times mean nothing.

use super::{
    cli::{Common, record},
    plan::{self, Effort},
    report::{html, table::table, verdict::verdict},
    subject,
};
use anyhow::{Result, bail, ensure};
use std::{fmt::Write as _, path::Path};

/// Runs a moment of everything and checks that every subject passed its check and has its row.
///
/// # Errors
/// Names what is missing or was refused.
pub fn smoke(dir: &Path) -> Result<String> {
    let common = Common::in_dir(dir);
    let record = record(&plan::smoke(), Effort::SMOKE, &common)?;
    if let Some(refusal) = record.refused.first() {
        bail!("{} was refused, {}", refusal.subject, refusal.reason);
    }
    let mut text = String::new();
    for section in &record.sections {
        let table = table(section);
        for entry in subject::all().filter(|entry| entry.levels.contains(&section.workload.level)) {
            ensure!(
                table.contains(&format!(" {} ", entry.name)),
                "`{}` has no row for {}",
                section.id,
                entry.name
            );
        }
        let _infallible = writeln!(
            text,
            "{}\n{table}\n{}",
            section.title,
            verdict(section).join("\n")
        );
    }
    let page = html::page(&record);
    for entry in subject::all() {
        let name = entry.name.replace('<', "&lt;").replace('>', "&gt;");
        ensure!(
            page.contains(&format!("<td>{name}</td>")),
            "the page has no row for {}",
            entry.name
        );
    }
    Ok(text)
}
