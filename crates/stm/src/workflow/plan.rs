//! [`Plan`]: a workflow that can run: every name resolved, every circle refused, every order an edge.
//!
//! A step waits for the element before it in its list; the members of a parallel list wait for the element before the
//! list, and the element after it for all of them. A step with `needs` waits for those steps of its list and no other.
//! Planning is linear in steps and edges.

mod graph;
mod labels;
mod set;
mod show;

pub(crate) use graph::{Act, Graph, Job, Node};
use labels::Labels;
use set::set_process;

use super::{
    model::{Action, Assignment, Block, Model, Name, OnFailure, OwnProcess, Step},
    parse,
};
use crate::{
    Isolation, Process, Processes,
    yaml::{Place, Problem, Problems, closest},
};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

/// The most steps of one workflow.
const MAX_STEPS: usize = 20_000;

/// A workflow, checked and ordered. Clones share it.
///
/// ```
/// use quintet_stm::{Context, Processes, workflow::{Plan, Pool, RunOptions}};
///
/// let plan = Plan::parse("steps: [{set: {a: 1}}, [{set: {b: a + 1}}, {set: {c: a + 2}}]]", &Processes::new()).unwrap();
/// let context = Context::new("doc");
/// let report = plan.run(&context, &Pool::new(2.try_into().unwrap()), RunOptions::default());
/// assert!(report.succeeded());
/// assert_eq!(context.get("c").unwrap().unwrap().as_int(), Some(3));
/// ```
#[derive(Clone)]
pub struct Plan {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) name: Option<String>,
    pub(crate) isolation: Isolation,
    pub(crate) on_failure: OnFailure,
    pub(crate) max_ops: u32,
    pub(crate) timeout: Option<Duration>,
    /// The workflow's own steps first, then blocks and flows.
    pub(crate) graphs: Vec<Graph>,
    pub(crate) steps: usize,
}

impl Plan {
    /// Reads, checks and orders a workflow. Nothing runs.
    ///
    /// # Errors
    /// Everything that is wrong with it, with line and column.
    pub fn parse(source: &str, processes: &Processes) -> Result<Self, Problems> {
        let model = parse::parse(source)?;
        let mut planner = Planner {
            processes: processes.clone(),
            isolation: model.isolation,
            problems: Problems::default(),
            graphs: Vec::new(),
            flows: HashMap::new(),
            labels: Labels::default(),
            steps: 0,
        };
        planner.plan(&model);
        if !planner.problems.is_empty() {
            return Err(planner.problems.located(source));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                name: model.name,
                isolation: model.isolation,
                on_failure: model.on_failure,
                max_ops: model.max_ops,
                timeout: model.timeout,
                graphs: planner.graphs,
                steps: planner.steps,
            }),
        })
    }

    /// The workflow's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// How many steps it has; those of a flow count once.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.inner.steps
    }

    /// How many edges there are between its steps, and the joins between parallel lists.
    #[must_use]
    pub fn edges(&self) -> usize {
        let nodes = self.inner.graphs.iter().flat_map(|graph| &graph.nodes);
        nodes.map(|node| node.next.len()).sum()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.inner.name)
            .field("steps", &self.inner.steps)
            .finish_non_exhaustive()
    }
}

struct Planner {
    processes: Processes,
    isolation: Isolation,
    problems: Problems,
    graphs: Vec<Graph>,
    /// Which graph a flow is.
    flows: HashMap<String, usize>,
    labels: Labels,
    steps: usize,
}

impl Planner {
    fn problem(&mut self, place: Place, message: impl Into<String>, suggestion: Option<String>) {
        self.problems.push(Problem::new(place, message).maybe(suggestion));
    }

    fn plan(&mut self, model: &Model) {
        for own in &model.processes {
            self.own_process(own);
        }
        if let Err(error) = self.processes.audit(&model.recipes) {
            self.problem(Place::default(), error.to_string(), None);
        }
        // Each flow has its place before any step refers to it.
        self.graphs.push(Graph::default());
        for (name, _) in &model.flows {
            self.flows.insert(name.text.clone(), self.graphs.len());
            self.graphs.push(Graph::named(&name.text));
        }
        let steps = self.graph(&model.steps);
        self.graphs[0] = steps;
        for (at, (name, block)) in model.flows.iter().enumerate() {
            let graph = self.graph(block);
            self.graphs[at + 1] = Graph {
                flow: Some(name.text.clone()),
                ..graph
            };
        }
        self.refuse_circles_of_flows(&model.flows);
    }

    fn own_process(&mut self, own: &OwnProcess) {
        let process = set_process(
            &own.name.text,
            own.inputs.as_ref(),
            own.outputs.as_ref(),
            &own.assignments,
        );
        let added = process.and_then(|process| self.processes.register(process));
        if let Err(error) = added {
            self.problem(own.name.place, error.to_string(), None);
        }
    }

    fn graph(&mut self, block: &Block) -> Graph {
        let mut graph = Graph::default();
        let mut ids: HashMap<&str, usize> = HashMap::new();
        let mut steps: Vec<&Step> = Vec::new();
        // The steps that the next element waits for.
        let mut before: Vec<usize> = Vec::new();
        for element in &block.elements {
            if before.len() > 1 && element.steps.len() > 1 {
                // One node between two parallel lists keeps the edges few.
                let join = graph.add(Node::join());
                before.iter().for_each(|from| graph.edge(*from, join));
                before = vec![join];
            }
            let mut members = Vec::with_capacity(element.steps.len());
            for step in &element.steps {
                self.steps += 1;
                if self.steps > MAX_STEPS {
                    let message = format!("more than {MAX_STEPS} steps");
                    self.problem(step.place, message, None);
                    return graph;
                }
                let node = self.node(step);
                let at = graph.add(node);
                steps.resize(at, step);
                steps.push(step);
                members.push(at);
                if step.needs.is_none() {
                    before.iter().for_each(|from| graph.edge(*from, at));
                }
                if let Some(id) = &step.id
                    && ids.insert(&id.text, at).is_some()
                {
                    self.problem(
                        id.place,
                        format!("two steps of this list have the id `{}`", id.text),
                        None,
                    );
                }
            }
            before = members;
        }
        for (at, step) in steps.iter().enumerate() {
            if !graph.nodes[at].is_join() {
                self.needs(&mut graph, at, step, &ids);
            }
        }
        self.refuse_circle(&graph, &steps);
        graph
    }

    fn needs(&mut self, graph: &mut Graph, at: usize, step: &Step, ids: &HashMap<&str, usize>) {
        let mut seen = BTreeSet::new();
        for name in step.needs.iter().flatten() {
            match ids.get(name.text.as_str()) {
                Some(&from) => {
                    if seen.insert(from) {
                        graph.edge(from, at);
                    }
                }
                None => {
                    let close = self.closest(&name.text, ids.keys().copied());
                    self.problem(
                        name.place,
                        format!("no step of this list has the id `{}`", name.text),
                        close,
                    );
                }
            }
        }
    }

    fn closest<'a>(&self, name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
        // A search for each of very many wrong names would take long, and only a few are shown.
        if self.problems.is_full() {
            return None;
        }
        closest(name, known).map(|close| format!("did you mean `{close}`?"))
    }

    fn refuse_circle(&mut self, graph: &Graph, steps: &[&Step]) {
        let Some(circle) = graph.circle() else { return };
        let names: Vec<String> = circle
            .iter()
            .map(|at| format!("`{}`", graph.nodes[*at].label))
            .collect();
        let place = circle.first().map(|at| steps[*at].place).unwrap_or_default();
        let shown = names.iter().take(12).cloned().collect::<Vec<_>>().join(" needs ");
        let message = format!(
            "steps wait for each other: {shown} needs {}",
            names.first().map_or("", |n| n)
        );
        self.problem(place, message, None);
    }

    fn node(&mut self, step: &Step) -> Node {
        let mut node = Node::join();
        node.line = step.place.line;
        node.label = self.labels.of(step);
        node.act = match &step.action {
            Action::Process(name) => self.process(step, name),
            Action::Set(assignments) => self.set(step, &node.label, assignments),
            Action::Flow(name) => self.flow(name),
            Action::Steps(block) => Act::Block(self.inner(block)),
            Action::If {
                condition,
                then,
                otherwise,
            } => Act::If {
                condition: condition.clone(),
                then: self.inner(then),
                otherwise: otherwise.as_ref().map(|block| self.inner(block)),
            },
            Action::While {
                condition,
                body,
                max_ops,
            } => Act::While {
                condition: condition.clone(),
                body: self.inner(body),
                max_ops: *max_ops,
            },
        };
        node
    }

    fn inner(&mut self, block: &Block) -> usize {
        let graph = self.graph(block);
        self.graphs.push(graph);
        self.graphs.len() - 1
    }

    fn job(&self, step: &Step, process: Process) -> Act {
        Act::Run(Arc::new(Job {
            process,
            isolation: step.isolation.unwrap_or(self.isolation),
            retry: step.retry,
            timeout: step.timeout,
        }))
    }

    fn process(&mut self, step: &Step, name: &Name) -> Act {
        if let Some(process) = self.processes.get(&name.text).cloned() {
            return self.job(step, process);
        }
        let close = self.closest(&name.text, self.processes.names());
        let known = close.or_else(|| {
            let names: Vec<&str> = self.processes.names().take(12).collect();
            (!names.is_empty()).then(|| format!("known are {}", names.join(", ")))
        });
        let hint = known.unwrap_or_else(|| "define it under `processes:`, or use `set:`".to_owned());
        self.problem(
            name.place,
            format!("there is no process `{}`", name.text),
            Some(hint),
        );
        Act::Join
    }

    fn set(&mut self, step: &Step, label: &str, assignments: &[Assignment]) -> Act {
        match set_process(label, None, None, assignments) {
            Ok(process) => self.job(step, process),
            Err(error) => {
                let hint = "conditions may read it: `if` and `while` direct, a step works on data";
                self.problem(step.place, error.to_string(), Some(hint.to_owned()));
                Act::Join
            }
        }
    }

    fn flow(&mut self, name: &Name) -> Act {
        if let Some(&at) = self.flows.get(&name.text) {
            return Act::Block(at);
        }
        let close = self.closest(&name.text, self.flows.keys().map(String::as_str));
        self.problem(name.place, format!("there is no flow `{}`", name.text), close);
        Act::Join
    }

    /// A flow that runs itself, directly or through others, would never end.
    fn refuse_circles_of_flows(&mut self, flows: &[(Name, Block)]) {
        let mut calls = Graph::default();
        for graph in &self.graphs {
            let label = graph.flow.clone().unwrap_or_default();
            let mut node = Node::join();
            node.label = Arc::from(label);
            calls.add(node);
        }
        for (at, graph) in self.graphs.iter().enumerate() {
            let inner: BTreeSet<usize> = graph.nodes.iter().flat_map(|node| node.act.graphs()).collect();
            inner.into_iter().for_each(|inner| calls.edge(inner, at));
        }
        let Some(circle) = calls.circle() else { return };
        let names: Vec<String> = circle
            .iter()
            .filter_map(|at| self.graphs[*at].flow.clone())
            .collect();
        let first = names.first().cloned().unwrap_or_default();
        let shown: String = names
            .iter()
            .skip(1)
            .take(12)
            .map(|name| format!("`{name}` runs "))
            .collect();
        let place = flows
            .iter()
            .find(|(name, _)| name.text == first)
            .map(|(name, _)| name.place);
        let message = format!("a flow that runs itself: `{first}` runs {shown}`{first}`");
        self.problem(place.unwrap_or_default(), message, Some("use `while`".to_owned()));
    }
}
