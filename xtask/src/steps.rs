//! Runs the steps of a command one after the other: a heading, the step, its time, and a summary at the end.
//!
//! The first step that fails ends the command with the line that repeats it. Output is inherited, so that what cargo
//! prints is seen as it is printed.

use anyhow::{Context as _, Result, bail};
use std::{
    fmt::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The steps of one command, with what is known about those that ran.
pub(crate) struct Steps {
    command: &'static str,
    started: Instant,
    done: Vec<(String, Duration)>,
    notes: Vec<String>,
}

impl Steps {
    /// No step yet; time starts now.
    pub(crate) fn new(command: &'static str) -> Self {
        Self {
            command,
            started: Instant::now(),
            done: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Runs a program in the workspace's root and waits for it.
    ///
    /// # Errors
    /// When it cannot be started or ends with another status than 0; the error says how to repeat it.
    pub(crate) fn run(&mut self, name: &str, program: &mut Command) -> Result<()> {
        let line = command_line(program);
        self.call(name, &line, || {
            let status = program
                .status()
                .with_context(|| format!("cannot start `{}`", program.get_program().display()))?;
            if !status.success() {
                bail!("{status}");
            }
            Ok(())
        })
    }

    /// Runs a step that is not a program of its own. `repeat` is the command line that runs it again.
    ///
    /// # Errors
    /// What `step` returns, with the name of the step and `repeat`.
    pub(crate) fn call(&mut self, name: &str, repeat: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {}: {name}\n    {repeat}", self.command);
        let started = Instant::now();
        let outcome = step();
        let took = started.elapsed();
        match outcome {
            Ok(()) => {
                println!("    {name} passed in {}", seconds(took));
                self.done.push((name.to_owned(), took));
                Ok(())
            }
            Err(error) => {
                print!("{}", self.summary());
                Err(error.context(format!(
                    "step `{name}` failed after {}; repeat it with\n    {repeat}\nbecause",
                    seconds(took)
                )))
            }
        }
    }

    /// Something that was not done, or was done in a lesser way. Repeated in the summary, so that it is not overlooked.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("    note: {text}");
        self.notes.push(text);
    }

    /// Prints the summary of a command that passed.
    pub(crate) fn finish(self) {
        print!("{}", self.summary());
        println!(
            "=== {}: passed in {}",
            self.command,
            seconds(self.started.elapsed())
        );
    }

    fn summary(&self) -> String {
        let mut text = format!("\n=== {}: summary\n", self.command);
        for (name, took) in &self.done {
            let _ = writeln!(text, "    {name:<24} {:>9}", seconds(*took));
        }
        for note in &self.notes {
            let _ = writeln!(text, "    note: {note}");
        }
        text
    }
}

/// The line a person would type to run `program` again, with the variables it sets.
pub(crate) fn command_line(program: &Command) -> String {
    let variables = program
        .get_envs()
        .filter_map(|(key, value)| Some(format!("{}={}", key.display(), quoted(&value?.to_string_lossy()))));
    let words = std::iter::once(program.get_program())
        .chain(program.get_args())
        .map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The standard output of a program that ended well; its standard error is dropped.
///
/// # Errors
/// When it cannot be started or ends with another status than 0.
pub(crate) fn output_of(program: &mut Command) -> Result<String> {
    let line = command_line(program);
    let output = program
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}: {}", output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not print text"))
}

/// Whether the program can be run and ends well: the test for an installed tool.
pub(crate) fn works(program: &mut Command) -> bool {
    program
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A duration as it is printed everywhere: `1.2 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted_into_a_shell() {
        let mut program = Command::new("cargo");
        program
            .args(["test", "--", "it's slow"])
            .env("RUSTFLAGS", "--cfg quintet_loom");
        assert_eq!(
            command_line(&program),
            r"RUSTFLAGS='--cfg quintet_loom' cargo test -- 'it'\''s slow'"
        );
    }

    #[test]
    fn a_failing_step_says_how_to_repeat_it_and_is_not_in_the_summary() {
        let mut steps = Steps::new("test");
        steps.call("first", "true", || Ok(())).unwrap();
        let error = steps.run("second", &mut Command::new("false")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("step `second` failed"), "{text}");
        assert!(text.contains("\n    false\n"), "{text}");
        assert!(steps.summary().contains("first"));
        assert!(!steps.summary().contains("second"));
    }

    #[test]
    fn a_program_that_is_not_there_does_not_work() {
        assert!(works(&mut Command::new("true")));
        assert!(!works(&mut Command::new("quintet-no-such-program")));
    }
}
