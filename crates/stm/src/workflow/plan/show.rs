//! A plan as text: which step, what it is, and what it waits for.

use super::{Act, Graph, Plan};
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &*self.inner;
        write!(
            f,
            "workflow {}: {} steps, {}, {}, at most {} operations",
            plan.name.as_deref().unwrap_or("without a name"),
            plan.steps,
            plan.isolation,
            plan.on_failure.as_str(),
            plan.max_ops
        )?;
        if let Some(timeout) = plan.timeout {
            write!(f, ", {} ms", timeout.as_millis())?;
        }
        f.write_str("\n")?;
        show(f, &plan.graphs, 0, 1)?;
        for (at, graph) in plan.graphs.iter().enumerate() {
            if let Some(flow) = &graph.flow {
                writeln!(f, "flow {flow}:")?;
                show(f, &plan.graphs, at, 1)?;
            }
        }
        Ok(())
    }
}

/// Recursion is as deep as blocks nest, which the file's depth bounds.
fn show(f: &mut fmt::Formatter<'_>, graphs: &[Graph], at: usize, depth: usize) -> fmt::Result {
    let graph = &graphs[at];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (from, node) in graph.nodes.iter().enumerate() {
        for &next in &node.next {
            after[next as usize].push(from);
        }
    }
    let indent = 2 * depth;
    for (at, node) in graph.nodes.iter().enumerate().filter(|(_, node)| !node.is_join()) {
        write!(f, "{:indent$}{} ", "", node.label)?;
        match &node.act {
            Act::Join => {}
            Act::Run(job) => {
                write!(f, "({}", job.isolation)?;
                if job.retry.attempts > 1 {
                    write!(f, ", {} attempts", job.retry.attempts)?;
                }
                if let Some(timeout) = job.timeout {
                    write!(f, ", {} ms", timeout.as_millis())?;
                }
                f.write_str(")")?;
            }
            Act::Block(inner) => match &graphs[*inner].flow {
                Some(flow) => write!(f, "(flow {flow})")?,
                None => f.write_str("(sequence)")?,
            },
            Act::If { condition, .. } => write!(f, "(if {})", condition.text())?,
            Act::While {
                condition, max_ops, ..
            } => write!(f, "(while {}, at most {max_ops} times)", condition.text())?,
        }
        // A join stands for those that it waits for.
        let waits = after[at].iter().flat_map(|from| {
            let through = &after[*from];
            if graph.nodes[*from].is_join() {
                through.as_slice()
            } else {
                std::slice::from_ref(from)
            }
        });
        let names: Vec<&str> = waits
            .clone()
            .take(8)
            .map(|from| &*graph.nodes[*from].label)
            .collect();
        let more = waits.count().saturating_sub(names.len());
        match (names.is_empty(), more) {
            (true, _) => writeln!(f)?,
            (false, 0) => writeln!(f, " after {}", names.join(", "))?,
            (false, more) => writeln!(f, " after {} and {more} more", names.join(", "))?,
        }
        let named = |inner: &usize| graphs[*inner].flow.is_none();
        for (branch, inner) in node.act.graphs().filter(named).enumerate() {
            if branch == 1 {
                writeln!(f, "{:indent$}else", "")?;
            }
            show(f, graphs, inner, depth + 1)?;
        }
    }
    Ok(())
}
