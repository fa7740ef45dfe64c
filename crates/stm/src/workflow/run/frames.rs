//! [`Frames`]: how far each list of steps that has begun is. A list is a frame; a block inside a step is a frame whose
//! parent is that step; each turn of a loop is a frame of its own.

use crate::workflow::{Plan, plan::Graph};

/// A step of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    frame: u32,
    pub(super) node: u32,
}

/// How a step or a list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    Failed,
    Skipped,
}

#[derive(Debug)]
struct Frame {
    graph: usize,
    parent: Option<Turn>,
    /// Which turn of a loop it is, from 1; 0 = of none.
    turns: u64,
    /// For each node, how many it still waits for.
    waits: Vec<u32>,
    /// For each node, whether it waits for one that failed or was skipped.
    doomed: Vec<bool>,
    /// How many nodes have not ended.
    left: usize,
    ended: Ended,
}

/// A list that has ended.
#[derive(Debug)]
pub(super) struct List {
    pub(super) parent: Option<Turn>,
    pub(super) turns: u64,
    pub(super) ended: Ended,
}

/// What follows from the end of a step.
#[derive(Debug)]
pub(super) struct Finished {
    /// The list it is of.
    pub(super) graph: usize,
    pub(super) ready: Vec<Turn>,
    /// Steps that will not run. Joins are not among them.
    pub(super) skipped: Vec<u32>,
    /// The list, if it has ended with the step.
    pub(super) list: Option<List>,
}

/// Every list that has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: Vec<Option<Frame>>,
    free: Vec<u32>,
    steps: usize,
}

impl Frames {
    /// How many steps the lists have together.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Begins a list; answers the steps of it that wait for nothing.
    pub(super) fn enter(&mut self, plan: &Plan, graph: usize, parent: Option<Turn>, turns: u64) -> Vec<Turn> {
        let nodes = &plan.inner.graphs[graph].nodes;
        let frame = Frame {
            graph,
            parent,
            turns,
            waits: nodes.iter().map(|node| node.waits).collect(),
            doomed: vec![false; nodes.len()],
            left: nodes.len(),
            ended: Ended::Done,
        };
        self.steps += nodes.len();
        let at = match self.free.pop() {
            Some(at) => {
                self.frames[at as usize] = Some(frame);
                at
            }
            None => {
                self.frames.push(Some(frame));
                narrow(self.frames.len() - 1)
            }
        };
        let roots = nodes.iter().enumerate().filter(|(_, node)| node.waits == 0);
        roots
            .map(|(node, _)| Turn {
                frame: at,
                node: narrow(node),
            })
            .collect()
    }

    pub(super) fn graph_of(&self, turn: Turn) -> usize {
        // A turn is only kept while its frame is.
        self.frames[turn.frame as usize]
            .as_ref()
            .map_or(0, |frame| frame.graph)
    }

    /// Ends a step, and with it those that only it could have let run.
    pub(super) fn finish(&mut self, plan: &Plan, turn: Turn, ended: Ended) -> Finished {
        let mut finished = Finished {
            graph: self.graph_of(turn),
            ready: Vec::new(),
            skipped: Vec::new(),
            list: None,
        };
        let Some(frame) = self.frames[turn.frame as usize].as_mut() else {
            return finished;
        };
        let graph: &Graph = &plan.inner.graphs[frame.graph];
        let mut ending = vec![(turn.node, ended)];
        while let Some((node, ended)) = ending.pop() {
            frame.left -= 1;
            match (frame.ended, ended) {
                (Ended::Failed, _) | (_, Ended::Done) => {}
                (_, worse) => frame.ended = worse,
            }
            for &next in &graph.nodes[node as usize].next {
                let at = next as usize;
                frame.doomed[at] |= ended != Ended::Done;
                frame.waits[at] -= 1;
                if frame.waits[at] > 0 {
                    continue;
                }
                if frame.doomed[at] {
                    if !graph.nodes[at].is_join() {
                        finished.skipped.push(next);
                    }
                    ending.push((next, Ended::Skipped));
                } else {
                    finished.ready.push(Turn {
                        frame: turn.frame,
                        node: next,
                    });
                }
            }
        }
        if frame.left == 0 {
            finished.list = Some(List {
                parent: frame.parent,
                turns: frame.turns,
                ended: frame.ended,
            });
            self.steps -= graph.nodes.len();
            self.frames[turn.frame as usize] = None;
            self.free.push(turn.frame);
        }
        finished
    }
}

fn narrow(number: usize) -> u32 {
    // A plan's steps are at most twenty thousand, and lists under way hold no more than some hundred thousand.
    u32::try_from(number).unwrap_or(u32::MAX)
}
