//! `quintet workflow`: checks, shows and runs a workflow file, on a context in memory or in a data directory.

use crate::{
    cli::{FileArgs, RunArgs, WorkflowArgs, WorkflowCommand},
    config::StmConfig,
    console::say,
    engine::{Mount, Part, stm},
    failure::Failure,
    lock::DataDir,
    port::stm::{from_json, to_json},
};
use quintet_core::Durability;
use quintet_stm::{
    Change, Context, ContextConfig, Isolation, Processes, Value,
    workflow::{CancelToken, Event, Plan, Pool, Report, RunOptions},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{fmt::Write, fs, io::Read, num::NonZeroUsize, path::Path, thread};

/// The largest file that is read at all; the parser's own limit is lower and says so.
const MOST_BYTES: u64 = 16 << 20;
/// The longest value shown.
const LONGEST_SHOWN: usize = 200;

/// Does what the arguments say.
///
/// # Errors
/// The file is refused; a step failed; the context cannot be opened.
pub fn workflow(args: &WorkflowArgs) -> Result<(), Failure> {
    match &args.command {
        WorkflowCommand::Check(FileArgs { file }) => {
            let plan = plan(file)?;
            say(format_args!(
                "{}: {} steps, nothing wrong",
                file.display(),
                plan.steps()
            ));
            Ok(())
        }
        WorkflowCommand::Plan(FileArgs { file }) => {
            let text = plan(file)?.to_string();
            say(text.trim_end());
            Ok(())
        }
        WorkflowCommand::Run(args) => run(args),
    }
}

fn plan(file: &Path) -> Result<Plan, Failure> {
    let cannot =
        |error: &dyn std::fmt::Display| Failure::usage(format!("cannot read {}: {error}", file.display()));
    let open = fs::File::open(file).map_err(|error| cannot(&error))?;
    let mut source = String::new();
    open.take(MOST_BYTES)
        .read_to_string(&mut source)
        .map_err(|error| cannot(&error))?;
    Plan::parse(&source, &Processes::new())
        .map_err(|problems| Failure::usage(format!("{} is refused\n{problems}", file.display())))
}

fn run(args: &RunArgs) -> Result<(), Failure> {
    let plan = plan(&args.file)?;
    let Some(folder) = &args.data_dir else {
        // Raw steps are part of what is shown at the end.
        let config = ContextConfig {
            record_raw: true,
            ..ContextConfig::default()
        };
        let context =
            Context::with_config("workflow", config).map_err(|error| Failure::new(error.to_string()))?;
        return run_on(&context, &plan, args);
    };
    let dir = DataDir::create_or_open(folder)?;
    let config = StmConfig {
        durability: Durability::Interval,
    };
    let mount = Mount::new("stm");
    let engine = stm::start(&config, dir.path(), &mount)?;
    let named = mount.get().and_then(|engine| engine.get_or_make(&args.context));
    let ended = match named {
        Ok(named) => run_on(&named.context, &plan, args),
        Err(error) => Err(Failure::new(error.to_string())),
    };
    let closed = Box::new(engine).close();
    ended.and(closed)
}

fn run_on(context: &Context, plan: &Plan, args: &RunArgs) -> Result<(), Failure> {
    set(context, &args.values)?;
    let cpus = thread::available_parallelism()
        .map_or(2, NonZeroUsize::get)
        .max(2);
    let threads = args.threads.map_or(cpus, NonZeroUsize::get);
    if threads > Pool::MAX_THREADS {
        let most = Pool::MAX_THREADS;
        return Err(Failure::usage(format!("--threads {threads}: 1 to {most}")));
    }
    let pool = Pool::new(NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN));
    let cancel = CancelToken::new();
    cancel_by_signal(&cancel)?;
    let options = RunOptions {
        cancel,
        observe: Box::new(|event| {
            if !args.quiet
                && let Some(line) = line(&event)
            {
                say(line);
            }
        }),
        ..RunOptions::default()
    };
    let report = plan.run(context, &pool, options);
    tell(&report);
    if report.succeeded() {
        return Ok(());
    }
    let why = report.failures.iter().map(|failure| format!("\n  {failure}"));
    Err(Failure::new(format!(
        "the workflow {}{}",
        report.status,
        why.collect::<String>()
    )))
}

/// The first signal cancels, the second one ends the process as it does without a handler.
fn cancel_by_signal(cancel: &CancelToken) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::new(format!("cannot install the signal handlers: {error}")))?;
    let cancel = cancel.clone();
    thread::spawn(move || {
        for signal in &mut signals {
            if cancel.is_cancelled() {
                let _ends_here = signal_hook::low_level::emulate_default_handler(signal);
            }
            cancel.cancel();
        }
    });
    Ok(())
}

fn set(context: &Context, values: &[(String, String)]) -> Result<(), Failure> {
    let values: Vec<(&str, Value)> = values
        .iter()
        .map(|(path, text)| {
            let json = serde_json::from_str(text)
                .ok()
                .and_then(|json| from_json(json).ok());
            (path.as_str(), json.unwrap_or_else(|| Value::from(text.as_str())))
        })
        .collect();
    let set = context.run(Isolation::Safe, |tx| {
        values
            .iter()
            .try_for_each(|(path, value)| tx.set(path, value.clone()))
    });
    set.map_err(|error| Failure::usage(format!("--set: {error}")))
}

/// What is said of an event while it happens.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Started { steps } => format!("running {steps} steps"),
        Event::StepStarted { step, attempt } => match attempt {
            1 => format!("  begins   {step}"),
            attempt => format!("  begins   {step}, attempt {attempt}"),
        },
        Event::StepDone {
            step,
            changes,
            elapsed,
            ..
        } => {
            let plural = if *changes == 1 { "" } else { "s" };
            format!(
                "  done     {step}: {changes} change{plural} in {} us",
                elapsed.as_micros()
            )
        }
        Event::Warned { step, warning } => {
            format!("  warning  {step}: level {}, {}", warning.level, warning.message)
        }
        Event::StepFailed {
            step,
            error,
            retry_in,
        } => match retry_in {
            Some(wait) => format!("  failed   {step}: {error}; again in {} ms", wait.as_millis()),
            None => format!("  failed   {step}: {error}"),
        },
        Event::StepSkipped { step } => format!("  skipped  {step}"),
        _ => return None,
    })
}

fn tell(report: &Report) {
    if !report.changes.is_empty() {
        say("changes");
    }
    for change in &report.changes {
        say(shown(change));
    }
    if !report.is_complete {
        say("  and more, which the history no longer has");
    }
    say(format_args!(
        "{}: {} done, {} failed, {} skipped, in {} ms",
        report.status,
        report.done,
        report.failed,
        report.skipped,
        report.elapsed.as_millis()
    ));
}

fn shown(change: &Change) -> String {
    let value = |value: &Option<Value>| match value {
        Some(value) => to_json(value).to_string(),
        None => "-".to_owned(),
    };
    let mut text = format!("  {}: ", change.path);
    for (at, side) in [value(&change.old), value(&change.new)].into_iter().enumerate() {
        let cut: String = side.chars().take(LONGEST_SHOWN).collect();
        let dots = if cut.len() < side.len() { "..." } else { "" };
        let arrow = if at == 0 { " -> " } else { "" };
        let _never_fails = write!(text, "{cut}{dots}{arrow}");
    }
    text
}
