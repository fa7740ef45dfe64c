//! Recipes from YAML.
//!
//! ```text
//! process_recipes:
//!   _base:
//!     outputs: [{field: order.total, min: 0, level: B}]
//!   pay:
//!     inherits: _base
//!     errors: [Declined]
//!     inputs: [{field: cart.size, min: 1, max: 100, level: A, max_threshold: 3, min_threshold: 2}]
//! ```
//! A recipe that others inherit from and that no process bears is a template; it begins with `_`.

use super::{Condition, Recipe, Recipes, Rule};
use crate::{
    Level, Path, Value,
    yaml::{Data, Document, Fields, Node, Place, Problem, Problems, closest},
};
use std::collections::BTreeMap;

const RECIPE: [&str; 5] = ["inherits", "side_effects", "errors", "inputs", "outputs"];
const CONDITIONS: [&str; 6] = ["min", "max", "eq", "neq", "min_len", "max_len"];
const RULE: [&str; 13] = [
    "field",
    "min",
    "max",
    "eq",
    "neq",
    "min_len",
    "max_len",
    "level",
    "threshold",
    "max_threshold",
    "min_threshold",
    "reset_on_success",
    "message",
];
const MAX_COUNT: u32 = 1_000_000;

struct Draft<'n> {
    recipe: Recipe,
    inherits: Vec<(&'n str, Place)>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Own,
    Merging,
    Merged,
}

impl Recipes {
    /// Reads recipes.
    ///
    /// # Errors
    /// Everything that is wrong, with line and column.
    pub fn parse(source: &str) -> Result<Self, Problems> {
        let document = Document::parse(source)?;
        let mut problems = Problems::default();
        let recipes = read(&document.root, &mut problems);
        if problems.is_empty() {
            Ok(recipes)
        } else {
            Err(problems.located(source))
        }
    }
}

fn read(root: &Node, problems: &mut Problems) -> Recipes {
    let Some(fields) = Fields::of(root, "an audit file", &["process_recipes"], problems) else {
        return Recipes::new();
    };
    match fields.get("process_recipes") {
        Some(all) => read_recipes(all, problems),
        None => {
            problems.push(Problem::new(root.place, "the key `process_recipes` is missing"));
            Recipes::new()
        }
    }
}

/// Reads what stands under `process_recipes`.
pub(crate) fn read_recipes(all: &Node, problems: &mut Problems) -> Recipes {
    let mut recipes = Recipes::new();
    let mut drafts = BTreeMap::new();
    for (key, node) in all.entries("process_recipes", problems).unwrap_or_default() {
        if let Some(draft) = read_recipe(node, problems) {
            drafts.insert(key.text.as_str(), draft);
        }
    }
    let names: Vec<&str> = drafts.keys().copied().collect();
    for name in &names {
        merge(name, &mut drafts, problems);
    }
    for (name, draft) in drafts {
        if !name.starts_with('_') {
            recipes.insert(name, draft.recipe);
        }
    }
    recipes
}

/// Merges what a recipe inherits into it, ancestors first. Recursion is bounded by the number of levels, and a circle
/// ends it.
fn merge(name: &str, drafts: &mut BTreeMap<&str, Draft<'_>>, problems: &mut Problems) {
    // Depth first, with the way down kept here: a long chain needs no deep stack.
    let mut path: Vec<(String, usize)> = vec![(name.to_owned(), 0)];
    while let Some((current, next)) = path.pop() {
        let Some(draft) = drafts.get_mut(current.as_str()) else {
            continue;
        };
        if draft.state == State::Merged {
            continue;
        }
        draft.state = State::Merging;
        let Some((base, place)) = draft.inherits.get(next).copied() else {
            finish(&current, drafts);
            continue;
        };
        let base = base.to_owned();
        path.push((current, next + 1));
        match drafts.get(base.as_str()).map(|draft| draft.state) {
            Some(State::Own) => path.push((base, 0)),
            Some(State::Merged) => {}
            Some(State::Merging) => {
                problems.push(Problem::new(place, format!("`{base}` inherits from itself")));
            }
            None => {
                let close = closest(&base, drafts.keys().copied());
                problems.push(
                    Problem::new(place, format!("there is no recipe `{base}` to inherit from"))
                        .maybe(close.map(|close| format!("did you mean `{close}`?"))),
                );
            }
        }
    }
}

fn finish(name: &str, drafts: &mut BTreeMap<&str, Draft<'_>>) {
    let Some(draft) = drafts.get(name) else { return };
    let mut recipe = draft.recipe.clone();
    // The last one named is the nearest.
    for (base, _) in draft.inherits.iter().rev() {
        if let Some(base) = drafts.get(base).filter(|base| base.state == State::Merged) {
            recipe = recipe.inheriting(&base.recipe);
        }
    }
    if let Some(draft) = drafts.get_mut(name) {
        draft.recipe = recipe;
        draft.state = State::Merged;
    }
}

fn read_recipe<'n>(node: &'n Node, problems: &mut Problems) -> Option<Draft<'n>> {
    let fields = Fields::of(node, "a recipe", &RECIPE, problems)?;
    let mut draft = Draft {
        recipe: Recipe::default(),
        inherits: Vec::new(),
        state: State::Own,
    };
    match fields.get("inherits") {
        None => {}
        Some(Node {
            data: Data::List(list),
            ..
        }) => {
            for item in list {
                draft
                    .inherits
                    .extend(item.text("inherits", problems).map(|name| (name, item.place)));
            }
        }
        Some(one) => draft
            .inherits
            .extend(one.text("inherits", problems).map(|name| (name, one.place))),
    }
    let texts = |name: &str, problems: &mut Problems| fields.get(name)?.texts(name, problems);
    draft.recipe.errors = texts("errors", problems);
    draft.recipe.side_effects = texts("side_effects", problems);
    draft.recipe.inputs = read_rules(fields.get("inputs"), "inputs", problems);
    draft.recipe.outputs = read_rules(fields.get("outputs"), "outputs", problems);
    Some(draft)
}

fn read_rules(node: Option<&Node>, what: &str, problems: &mut Problems) -> Vec<Rule> {
    let list = node
        .and_then(|node| node.list(what, problems))
        .unwrap_or_default();
    let mut rules = Vec::new();
    for node in list {
        read_rule(node, &mut rules, problems);
    }
    rules
}

/// One rule of the file may have several conditions; each becomes a rule with a count of its own.
fn read_rule(node: &Node, rules: &mut Vec<Rule>, problems: &mut Problems) -> Option<()> {
    let fields = Fields::of(node, "a rule", &RULE, problems)?;
    let require = |name: &str, problems: &mut Problems| {
        let found = fields.get(name);
        if found.is_none() {
            problems.push(Problem::new(node.place, format!("the rule has no `{name}`")));
        }
        found
    };
    let field = require("field", problems)?;
    let field = match Path::new(field.text("field", problems)?) {
        Ok(path) => path,
        Err(error) => {
            problems.push(Problem::new(field.place, error.to_string()));
            return None;
        }
    };
    let level_node = require("level", problems)?;
    let level: Level = match level_node.text("level", problems)?.parse() {
        Ok(level) => level,
        Err(error) => {
            problems.push(Problem::new(level_node.place, error.to_string()));
            return None;
        }
    };
    if fields.has("threshold") && fields.has("max_threshold") {
        let message = "`threshold` is another name of `max_threshold`; give one";
        problems.push(Problem::new(fields.key("threshold")?, message));
    }
    let most = fields.get("max_threshold").or_else(|| fields.get("threshold"));
    let most = most.map_or(Some(1), |node| {
        node.count("max_threshold", 1, MAX_COUNT, problems)
    })?;
    let least = fields.get("min_threshold");
    let least = least.map_or(Some(0), |node| {
        node.count("min_threshold", 0, MAX_COUNT, problems)
    })?;
    let reset = fields.get("reset_on_success");
    let reset = reset.map_or(Some(false), |node| node.flag("reset_on_success", problems))?;
    let message = match fields.get("message") {
        Some(node) => Some(node.text("message", problems)?.to_owned()),
        None => None,
    };
    let before = rules.len();
    for name in CONDITIONS {
        let Some(node) = fields.get(name) else { continue };
        let mut rule = Rule::new(field.clone(), condition(name, node, problems)?, level);
        (rule.max_threshold, rule.min_threshold) = (most, least);
        rule.reset_on_success = reset;
        rule.message.clone_from(&message);
        rules.push(rule);
    }
    if rules.len() == before && fields.names().all(|name| RULE.contains(&name)) {
        let message = format!("the rule has no condition; one of {}", CONDITIONS.join(", "));
        problems.push(Problem::new(node.place, message));
    }
    Some(())
}

fn condition(name: &str, node: &Node, problems: &mut Problems) -> Option<Condition> {
    let length = |problems: &mut Problems| {
        node.count(name, 0, u32::MAX, problems)
            .map(|count| count as usize)
    };
    Some(match name {
        "min" => Condition::Min(node.number(name, problems)?),
        "max" => Condition::Max(node.number(name, problems)?),
        "eq" => Condition::Eq(value(node)),
        "neq" => Condition::Neq(value(node)),
        "min_len" => Condition::MinLen(length(problems)?),
        _ => Condition::MaxLen(length(problems)?),
    })
}

fn value(node: &Node) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(set) => Value::Bool(*set),
        Data::Int(number) => Value::Int(*number),
        Data::Float(number) => Value::Float(*number),
        Data::Text(text) => Value::from(text.as_str()),
        Data::List(list) => Value::from(list.iter().map(value).collect::<Vec<_>>()),
        Data::Map(map) => {
            let map = map.iter().map(|(key, node)| (key.text.clone(), value(node)));
            Value::from(map.collect::<BTreeMap<_, _>>())
        }
    }
}
