//! From YAML to a [`Model`]: the grammar, key by key. Everything wrong is noted, with its place; nothing is guessed.

mod values;

use super::model::{Action, Block, Element, Model, Name, OwnProcess, Retry, Step};
use crate::{
    Recipes,
    yaml::{Data, Document, Fields, Key, Node, Place, Problem, Problems},
};

const WORKFLOW: [&str; 11] = [
    "name",
    "version",
    "description",
    "isolation",
    "on_failure",
    "max_ops",
    "timeout",
    "processes",
    "process_recipes",
    "flows",
    "steps",
];
const STEP: [&str; 15] = [
    "process",
    "set",
    "if",
    "while",
    "flow",
    "steps",
    "id",
    "needs",
    "isolation",
    "retry",
    "timeout",
    "then",
    "else",
    "do",
    "max_ops",
];

/// What each kind of step may have beside its own key.
const KINDS: [(&str, &[&str]); 6] = [
    (
        "process",
        &["process", "id", "needs", "isolation", "retry", "timeout"],
    ),
    ("set", &["set", "id", "needs", "isolation", "retry", "timeout"]),
    ("if", &["if", "then", "else", "id", "needs"]),
    ("while", &["while", "do", "max_ops", "id", "needs"]),
    ("flow", &["flow", "id", "needs"]),
    ("steps", &["steps", "id", "needs"]),
];

struct Parser<'s> {
    /// The file's lines: an expression is quoted or not, which only the text tells.
    lines: Vec<&'s str>,
    problems: Problems,
}

/// Reads a workflow.
pub(super) fn parse(source: &str) -> Result<Model, Problems> {
    let document = Document::parse(source)?;
    let mut parser = Parser {
        lines: source.lines().collect(),
        problems: Problems::default(),
    };
    let model = parser.model(&document.root);
    match model {
        Some(model) if parser.problems.is_empty() => Ok(model),
        _ => Err(parser.problems.located(source)),
    }
}

impl Parser<'_> {
    fn problem(&mut self, place: Place, message: impl Into<String>, suggestion: impl Into<String>) {
        let suggestion = suggestion.into();
        let suggestion = (!suggestion.is_empty()).then_some(suggestion);
        self.problems.push(Problem::new(place, message).maybe(suggestion));
    }

    fn model(&mut self, root: &Node) -> Option<Model> {
        if let Data::Map(map) = &root.data
            && let Some((key, _)) = map.iter().find(|(key, _)| key.text == "states")
        {
            let message = "state machines (`states:`) are left out on purpose";
            self.problem(key.place, message, "write steps with `if` and `while`");
            return None;
        }
        let fields = Fields::of(root, "a workflow", &WORKFLOW, &mut self.problems)?;
        for name in ["version", "description"] {
            let node = fields.get(name);
            if let Some(node) = node.filter(|node| matches!(node.data, Data::List(_) | Data::Map(_))) {
                node.text(name, &mut self.problems);
            }
        }
        let name = fields.get("name");
        let name = name.and_then(|node| node.text("name", &mut self.problems).map(ToOwned::to_owned));
        let processes = self.own_processes(fields.get("processes"));
        let recipes = match fields.get("process_recipes") {
            Some(node) => crate::audit::read_recipes(node, &mut self.problems),
            None => Recipes::new(),
        };
        let flows = self.flows(fields.get("flows"));
        let steps = match fields.get("steps") {
            Some(node) => self.block(node, "steps"),
            None => {
                self.problem(root.place, "the key `steps` is missing", "");
                None
            }
        };
        Some(Model {
            name,
            isolation: self.isolation(&fields).unwrap_or_default(),
            on_failure: self.on_failure(fields.get("on_failure")),
            max_ops: self.max_ops(&fields),
            timeout: self.duration(fields.get("timeout"), "timeout"),
            processes,
            recipes,
            flows,
            steps: steps?,
        })
    }

    fn flows(&mut self, node: Option<&Node>) -> Vec<(Name, Block)> {
        let mut flows = Vec::new();
        for (key, node) in self.entries(node, "flows") {
            let list = match &node.data {
                Data::Map(_) => Fields::of(node, "a flow", &["steps"], &mut self.problems)
                    .and_then(|fields| fields.get("steps")),
                _ => Some(node),
            };
            let Some(block) = list.and_then(|list| self.block(list, "a flow's steps")) else {
                continue;
            };
            flows.push((name_of(key), block));
        }
        flows
    }

    fn own_processes(&mut self, node: Option<&Node>) -> Vec<OwnProcess> {
        let mut processes = Vec::new();
        for (key, node) in self.entries(node, "processes") {
            let known = ["inputs", "outputs", "set"];
            let Some(fields) = Fields::of(node, "a process", &known, &mut self.problems) else {
                continue;
            };
            let Some(set) = fields.get("set") else {
                self.problem(key.place, format!("the process `{}` has no `set`", key.text), "");
                continue;
            };
            let assignments = self.assignments(set);
            let mut texts = |name: &str| {
                let node = fields.get(name)?;
                node.texts(name, &mut self.problems)
            };
            processes.push(OwnProcess {
                name: name_of(key),
                inputs: texts("inputs"),
                outputs: texts("outputs"),
                assignments,
            });
        }
        processes
    }

    fn entries<'n>(&mut self, node: Option<&'n Node>, what: &str) -> &'n [(Key, Node)] {
        node.and_then(|node| node.entries(what, &mut self.problems))
            .unwrap_or_default()
    }

    fn block(&mut self, node: &Node, what: &str) -> Option<Block> {
        let list = node.list(what, &mut self.problems)?;
        if list.is_empty() {
            self.problem(node.place, format!("{what} must not be empty"), "");
            return None;
        }
        let mut block = Block::default();
        for item in list {
            let members = match &item.data {
                Data::List(members) => members.as_slice(),
                _ => std::slice::from_ref(item),
            };
            if members.is_empty() {
                self.problem(item.place, "a parallel list must not be empty", "");
            }
            let mut element = Element { steps: Vec::new() };
            for member in members {
                if matches!(member.data, Data::List(_)) {
                    let message = "a list inside a parallel list";
                    self.problem(member.place, message, "a sequence is written `steps: [...]`");
                    continue;
                }
                element.steps.extend(self.step(member));
            }
            block.elements.push(element);
        }
        Some(block)
    }

    fn step(&mut self, node: &Node) -> Option<Step> {
        if let Data::Text(name) = &node.data {
            return Some(Step {
                place: node.place,
                id: None,
                needs: None,
                isolation: None,
                retry: Retry::default(),
                timeout: None,
                action: Action::Process(Name {
                    text: name.clone(),
                    place: node.place,
                }),
            });
        }
        if let Data::Map(map) = &node.data
            && let Some((key, kind)) = map.iter().find(|(key, _)| key.text == "flux")
        {
            self.flux(key.place, kind, map);
            return None;
        }
        let fields = Fields::of(node, "a step", &STEP, &mut self.problems)?;
        let kind_of = |name| KINDS.iter().find(|(kind, _)| *kind == name);
        let mut kinds = fields.names().filter_map(kind_of);
        let Some((kind, allowed)) = kinds.next() else {
            let message = "the step says not what to do";
            self.problem(node.place, message, "one of process, set, if, while, flow, steps");
            return None;
        };
        if let Some((second, _)) = kinds.next() {
            let place = fields.key(second).unwrap_or(node.place);
            self.problem(
                place,
                format!("a step is either `{kind}` or `{second}`"),
                "make two steps of it",
            );
            return None;
        }
        for name in STEP
            .iter()
            .filter(|name| fields.has(name) && !allowed.contains(name))
        {
            let place = fields.key(name).unwrap_or(node.place);
            let message = format!("`{name}` does not go with `{kind}`");
            self.problem(place, message, format!("with it go {}", allowed[1..].join(", ")));
        }
        let action = self.action(kind, &fields)?;
        Some(Step {
            place: node.place,
            id: self.name(fields.get("id"), "id"),
            needs: self.needs(fields.get("needs")),
            isolation: self.isolation(&fields),
            retry: self.retry(fields.get("retry")),
            timeout: self.duration(fields.get("timeout"), "timeout"),
            action,
        })
    }

    fn action(&mut self, kind: &str, fields: &Fields<'_>) -> Option<Action> {
        let node = fields.get(kind)?;
        let mut inner = |name: &str| match fields.get(name) {
            Some(node) => self.block(node, name),
            None => {
                self.problem(fields.place, format!("`{kind}` without `{name}`"), "");
                None
            }
        };
        Some(match kind {
            "process" => Action::Process(self.name(Some(node), kind)?),
            "set" => Action::Set(self.assignments(node)),
            "flow" => Action::Flow(self.name(Some(node), kind)?),
            "steps" => Action::Steps(self.block(node, kind)?),
            "if" => {
                let then = inner("then");
                let otherwise = fields.get("else").map(|node| self.block(node, "else"));
                Action::If {
                    condition: self.condition(node, kind)?,
                    then: then?,
                    otherwise: match otherwise {
                        Some(block) => Some(block?),
                        None => None,
                    },
                }
            }
            _ => {
                let body = inner("do");
                Action::While {
                    condition: self.condition(node, kind)?,
                    body: body?,
                    max_ops: self.max_ops(fields),
                }
            }
        })
    }

    /// The step of the original that this one is written as here.
    fn flux(&mut self, place: Place, kind: &Node, map: &[(Key, Node)]) {
        let text = |name: &str| {
            let found = map.iter().find(|(key, _)| key.text == name);
            match found.map(|(_, node)| &node.data) {
                Some(Data::Text(text)) => text.clone(),
                _ => "...".to_owned(),
            }
        };
        let (message, suggestion) = match &kind.data {
            Data::Text(kind) if matches!(kind.as_str(), "while" | "if") => (
                format!("`flux: {kind}` with `condition:`"),
                format!("is written `{kind}: \"{}\"`", text("condition")),
            ),
            Data::Text(kind) if kind == "run" => (
                "`flux: run` with `steps:`".to_owned(),
                "is written `steps: [...]` alone".to_owned(),
            ),
            _ => (
                "`flux:` is not known here".to_owned(),
                "known are if, while, steps".to_owned(),
            ),
        };
        self.problem(place, message, suggestion);
    }
}

fn name_of(key: &Key) -> Name {
    Name {
        text: key.text.clone(),
        place: key.place,
    }
}
