//! The workflow reader: any text is a plan that can be shown, or a refusal with places inside the text, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_stm::{Contract, Process, Processes, Recipes, workflow::Plan};
use std::sync::LazyLock;

static PROCESSES: LazyLock<Processes> = LazyLock::new(|| {
    let mut processes = Processes::new();
    let pay = Process::new("Pay", Contract::new(), |_| Ok(())).expect("a process");
    processes.register(pay).expect("the first");
    processes
});

fuzz_target!(|input: &str| {
    let refusals = [
        Plan::parse(input, &PROCESSES)
            .map(|plan| assert!(plan.to_string().lines().count() > plan.steps()))
            .err(),
        Recipes::parse(input).err(),
    ];
    for problems in refusals.into_iter().flatten() {
        assert!(!problems.is_empty() && !problems.to_string().is_empty());
        for problem in problems.iter() {
            assert!(!problem.message.is_empty());
            // A YAML line may end in a lone carriage return.
            assert!(problem.line as usize <= input.split(['\n', '\r']).count() + 1);
            assert!(problem.column as usize <= input.chars().count() + 1);
        }
    }
});
