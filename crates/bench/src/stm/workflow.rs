//! Workflows: what one step costs, what planning one costs, and what running two at once gains.
//!
//! A step reads one value and writes another: a process in Rust, or a `set:` with an expression. The same transaction
//! without a workflow stands first.

use super::Effort;
use crate::measure::{Samples, Subject, alternate};
use anyhow::{Context as _, anyhow};
use quintet_stm::{
    Context, Contract, Isolation, Process, Processes,
    workflow::{Plan, Pool, RunOptions},
};
use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

pub(super) const COSTS: &[&str] = &[
    "the transaction alone",
    "process, one after the other",
    "set, one after the other",
    "process, all at once",
];
pub(super) const PLANS: &[&str] = &["plan 1 000 steps", "plan 10 000 steps", "plan 10 000 sets"];
pub(super) const SPEED: &[&str] = &["one after the other", "two at once"];

/// How long a step of the speed-up works.
const WORK: Duration = Duration::from_millis(1);

fn processes() -> anyhow::Result<Processes> {
    let mut processes = Processes::new();
    let contract = || Contract::new().inputs(["from"]).outputs(["to"]);
    processes.register(Process::new("Step", contract(), |tx| {
        let from = tx.get_int("from")?;
        tx.set("to", from + 1)
    })?)?;
    processes.register(Process::new("Work", Contract::new(), |_| {
        let began = Instant::now();
        while began.elapsed() < WORK {
            std::hint::spin_loop();
        }
        Ok(())
    })?)?;
    Ok(processes)
}

fn plan(source: &str) -> anyhow::Result<Plan> {
    Plan::parse(source, &processes()?).map_err(|problems| anyhow!("{problems}"))
}

fn pool() -> anyhow::Result<Pool> {
    Ok(Pool::new(NonZeroUsize::new(2).context("two")?))
}

/// Microseconds a step.
fn run(plan: &Plan, pool: &Pool, steps: usize) -> f64 {
    let context = Context::new("bench");
    assert!(context.set_raw("from", 1_i64).is_ok() && context.set_raw("to", 0_i64).is_ok());
    let began = Instant::now();
    let report = plan.run(&context, pool, RunOptions::default());
    let took = began.elapsed();
    assert!(report.succeeded() && report.done == steps as u64);
    took.as_secs_f64() * 1e6 / steps as f64
}

fn alone(steps: usize) -> f64 {
    let context = Context::new("bench");
    assert!(context.set_raw("from", 1_i64).is_ok() && context.set_raw("to", 0_i64).is_ok());
    let began = Instant::now();
    for _ in 0..steps {
        let done = context.run(Isolation::Hybrid, |tx| {
            let from = tx.get_int("from")?;
            tx.set("to", from + 1)
        });
        assert!(done.is_ok());
    }
    began.elapsed().as_secs_f64() * 1e6 / steps as f64
}

/// Microseconds a step.
pub(super) fn costs(effort: &Effort) -> anyhow::Result<Vec<Samples>> {
    let steps = if effort.repetitions > 1 { 10_000 } else { 100 };
    let list = |step: &str, open: &str, close: &str| {
        let steps = format!("{step}, ").repeat(steps);
        plan(&format!("max_ops: 1000000\nsteps: [{open}{steps}{close}]"))
    };
    let pool = pool()?;
    let chain = list("Step", "", "")?;
    let sets = list("{set: {to: from + 1}}", "", "")?;
    let wide = list("Step", "[", "]")?;
    let runs: [Box<dyn FnMut() -> f64>; 4] = [
        Box::new(|| alone(steps)),
        Box::new(|| run(&chain, &pool, steps)),
        Box::new(|| run(&sets, &pool, steps)),
        Box::new(|| run(&wide, &pool, steps)),
    ];
    let subjects = COSTS.iter().zip(runs).map(|(name, run)| Subject::new(name, run));
    Ok(alternate(subjects.collect(), effort.repetitions))
}

/// Microseconds a step: the same for ten times as many is linear.
pub(super) fn plans(effort: &Effort) -> anyhow::Result<Vec<Samples>> {
    let scale = if effort.repetitions > 1 { 1 } else { 100 };
    let processes = processes()?;
    let parse = |source: String, steps: usize| {
        let processes = processes.clone();
        move || {
            let began = Instant::now();
            let plan = Plan::parse(&source, &processes);
            let took = began.elapsed();
            assert!(plan.is_ok_and(|plan| plan.steps() == steps));
            took.as_secs_f64() * 1e6 / steps as f64
        }
    };
    let graph = |steps: usize| {
        let mut source = String::from("steps:\n- {process: Step, id: s0, needs: []}\n");
        for at in 1..steps {
            source.push_str(&format!(
                "- {{process: Step, id: s{at}, needs: [s{}, s{}]}}\n",
                at - 1,
                at / 2
            ));
        }
        source
    };
    let sets = format!("steps: [{}]", "{set: {to: from + 1}}, ".repeat(10_000 / scale));
    let runs: [Box<dyn FnMut() -> f64>; 3] = [
        Box::new(parse(graph(1_000 / scale), 1_000 / scale)),
        Box::new(parse(graph(10_000 / scale), 10_000 / scale)),
        Box::new(parse(sets, 10_000 / scale)),
    ];
    let subjects = PLANS.iter().zip(runs).map(|(name, run)| Subject::new(name, run));
    Ok(alternate(subjects.collect(), effort.repetitions))
}

/// Steps of a millisecond each: steps a second.
pub(super) fn speed(effort: &Effort) -> anyhow::Result<Vec<Samples>> {
    let steps = if effort.repetitions > 1 { 400 } else { 4 };
    let pool = pool()?;
    let one = plan(&format!("steps: [{}]", "Work, ".repeat(steps)))?;
    let two = plan(&format!("steps: [{}]", "[Work, Work], ".repeat(steps / 2)))?;
    let runs: [Box<dyn FnMut() -> f64>; 2] = [
        Box::new(|| 1e6 / run(&one, &pool, steps)),
        Box::new(|| 1e6 / run(&two, &pool, steps)),
    ];
    let subjects = SPEED.iter().zip(runs).map(|(name, run)| Subject::new(name, run));
    Ok(alternate(subjects.collect(), effort.repetitions))
}
