//! `quintet rules`: security rules checked and tried without a server.
//!
//! `check` shows the line that is wrong with a mark below the column. `test` prints one line per case that came out
//! otherwise than the table says, with the rule that decided, and a summary.

use crate::{
    cli::{RulesArgs, RulesCommand},
    console::say,
    failure::Failure,
};
use quintet_tree::rules::{Case, Rules, RulesError, parse_cases};
use std::{fs, path::Path};

/// Does what the command line says.
///
/// # Errors
/// When a file cannot be read or is wrong, or a case fails.
pub fn rules(args: &RulesArgs) -> Result<(), Failure> {
    match &args.command {
        RulesCommand::Check { file } => {
            let rules = load(file)?;
            let indexes = rules.indexes().len();
            say(format_args!(
                "{}: the rules are right; {indexes} indexes declared",
                file.display()
            ));
            Ok(())
        }
        RulesCommand::Test { rules, cases } => test(&load(rules)?, cases),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))
}

fn load(file: &Path) -> Result<Rules, Failure> {
    let text = read(file)?;
    Rules::parse(&text)
        .map_err(|error| Failure::new(format!("{}: {error}\n{}", file.display(), mark(&text, &error))))
}

/// The wrong line and a mark below the wrong column.
fn mark(text: &str, error: &RulesError) -> String {
    let line = text.lines().nth(error.line - 1).unwrap_or_default();
    let number = error.line.to_string();
    let before: String = line
        .chars()
        .take(error.column - 1)
        .map(|character| if character == '\t' { '\t' } else { ' ' })
        .collect();
    format!(
        "  {number} | {line}\n  {:width$} | {before}^",
        "",
        width = number.len()
    )
}

fn test(rules: &Rules, file: &Path) -> Result<(), Failure> {
    let cases = parse_cases(&read(file)?)
        .map_err(|error| Failure::new(format!("{}: {}", file.display(), error.context())))?;
    let mut failed = 0;
    for (number, case) in cases.iter().enumerate() {
        let result = case
            .run(rules)
            .map_err(|error| Failure::new(format!("{}: {}", file.display(), error.context())))?;
        if !result.passed {
            failed += 1;
            let answer = if result.decision.allowed {
                "allowed"
            } else {
                "refused"
            };
            say(format_args!(
                "{}: {answer}: {}",
                title(number, case),
                result.decision.reason
            ));
        }
    }
    let passed = cases.len() - failed;
    say(format_args!(
        "{passed} of {} cases came out as expected",
        cases.len()
    ));
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{failed} case(s) of {} failed",
        file.display()
    )))
}

fn title(number: usize, case: &Case) -> String {
    let operation = format!("{:?}", case.operation).to_lowercase();
    let name = if case.name.is_empty() { "" } else { ", " };
    format!(
        "case {} ({operation} {}{name}{})",
        number + 1,
        case.path,
        case.name
    )
}
