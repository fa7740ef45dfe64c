//! [`Graph`]: one list of steps as nodes and edges, and its circles.

use crate::{
    Isolation, Process,
    workflow::{Retry, expr::Expression},
};
use std::{sync::Arc, time::Duration};

/// One list of steps.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The flow that it is.
    pub(crate) flow: Option<String>,
    pub(crate) nodes: Vec<Node>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) label: Arc<str>,
    pub(crate) line: u32,
    pub(crate) act: Act,
    /// How many edges lead here.
    pub(crate) waits: u32,
    /// Where edges lead to.
    pub(crate) next: Vec<u32>,
}

/// What a process or a `set:` step does.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) process: Process,
    pub(crate) isolation: Isolation,
    pub(crate) retry: Retry,
    pub(crate) timeout: Option<Duration>,
}

/// What a node does.
#[derive(Debug)]
pub(crate) enum Act {
    /// Nothing: it joins.
    Join,
    Run(Arc<Job>),
    Block(usize),
    If {
        condition: Expression,
        then: usize,
        otherwise: Option<usize>,
    },
    While {
        condition: Expression,
        body: usize,
        max_ops: u32,
    },
}

impl Act {
    /// The graphs inside it.
    pub(crate) fn graphs(&self) -> impl Iterator<Item = usize> {
        let (first, second) = match self {
            Self::Join | Self::Run(_) => (None, None),
            Self::Block(graph) | Self::While { body: graph, .. } => (Some(*graph), None),
            Self::If { then, otherwise, .. } => (Some(*then), *otherwise),
        };
        first.into_iter().chain(second)
    }
}

impl Node {
    pub(crate) fn join() -> Self {
        Self {
            label: Arc::from(""),
            line: 0,
            act: Act::Join,
            waits: 0,
            next: Vec::new(),
        }
    }

    pub(crate) fn is_join(&self) -> bool {
        self.line == 0
    }
}

impl Graph {
    pub(crate) fn named(flow: &str) -> Self {
        Self {
            flow: Some(flow.to_owned()),
            nodes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn edge(&mut self, from: usize, to: usize) {
        // Steps are at most twenty thousand, and a join for each list.
        self.nodes[from].next.push(u32::try_from(to).unwrap_or(u32::MAX));
        self.nodes[to].waits += 1;
    }

    /// Some circle of edges, in the order in which each node waits for the one named after it; `None` if there is none.
    pub(super) fn circle(&self) -> Option<Vec<usize>> {
        let mut waits: Vec<u32> = self.nodes.iter().map(|node| node.waits).collect();
        let mut free: Vec<usize> = (0..waits.len()).filter(|at| waits[*at] == 0).collect();
        let mut count = 0;
        while let Some(at) = free.pop() {
            count += 1;
            for &next in &self.nodes[at].next {
                let next = next as usize;
                waits[next] -= 1;
                if waits[next] == 0 {
                    free.push(next);
                }
            }
        }
        if count == waits.len() {
            return None;
        }
        // Every node left waits for another one that is left: going on from each to one that it waits for comes round.
        let mut awaited: Vec<Option<usize>> = vec![None; waits.len()];
        for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| waits[*at] > 0) {
            for &next in &node.next {
                awaited[next as usize] = Some(at);
            }
        }
        let mut at = (0..waits.len()).find(|at| waits[*at] > 0)?;
        let mut seen = vec![None; waits.len()];
        let mut path = Vec::new();
        while seen[at].is_none() {
            seen[at] = Some(path.len());
            path.push(at);
            at = awaited[at]?;
        }
        Some(path.split_off(seen[at]?))
    }
}
