//! A process made of assignments: what a `set:` step is, and a process that the file itself defines.

use crate::{
    Contract, Process, ProcessTx,
    transaction::Step,
    workflow::model::{Assignment, Right},
};
use std::collections::BTreeSet;

/// A process that sets what expressions answer. What it reads and writes is its contract, unless it declares one.
pub(super) fn set_process(
    name: &str,
    inputs: Option<&Vec<String>>,
    outputs: Option<&Vec<String>>,
    assignments: &[Assignment],
) -> crate::Result<Process> {
    let mut own = BTreeSet::new();
    let mut read = BTreeSet::new();
    for assignment in assignments {
        if let Right::Expression(expression) = &assignment.value {
            // What it has set itself it may read again.
            read.extend(expression.reads().filter(|path| !own.contains(path)));
        }
        own.insert(assignment.path.as_str());
    }
    let contract = Contract::new();
    let contract = match inputs {
        Some(inputs) => contract.inputs(inputs.iter().map(String::as_str)),
        None => contract.inputs(read),
    };
    let contract = match outputs {
        Some(outputs) => contract.outputs(outputs.iter().map(String::as_str)),
        None => contract.outputs(own),
    };
    let assignments: Vec<Assignment> = assignments.to_vec();
    Process::new(name, contract, move |tx| assign(tx, &assignments))
}

fn assign(tx: &mut ProcessTx<'_, '_>, assignments: &[Assignment]) -> Step<()> {
    for Assignment { path, value } in assignments {
        let value = match value {
            Right::Constant(value) => value.clone(),
            Right::Expression(expression) => {
                expression.evaluate(&mut |path, probes| {
                    // A map further up is looked at only if the contract lets it.
                    if probes && !tx.may_read(path) {
                        Ok(None)
                    } else {
                        tx.get(path)
                    }
                })?
            }
        };
        tx.set(path.as_str(), value)?;
    }
    Ok(())
}
