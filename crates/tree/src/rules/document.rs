//! Reads a rules document: the tree of paths with their rules, each compiled, each knowing its line.
//!
//! The document is JSON, with comments allowed as Firebase's own tools allow them. Everything that is not understood is an
//! error with line and column: a rule that is silently ignored is a hole.

use super::{
    DOCUMENT_BYTES_MAX, PATH_DEPTH_MAX,
    compile::{Scope, compile},
    error::{Fault, RulesError},
    program::Program,
};
use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Object, StringLit, Value},
    common::Ranged,
    parse_to_ast,
};
use std::{collections::HashMap, sync::Arc};

/// Compiled rules. Shared between threads by `Arc`; a new document replaces it whole.
///
/// ```
/// use quintet_tree::rules::Rules;
///
/// let rules = Rules::parse(r#"{"rules": {"users": {"$uid": {".read": "auth.uid == $uid"}}}}"#).unwrap();
/// let error = Rules::parse(r#"{"rules": {".read": "auth.uid = $uid"}}"#).unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 31: `=` assigns nothing here; compare with `==`");
/// ```
#[derive(Debug)]
pub struct Rules {
    pub(super) root: RuleNode,
    text: Arc<str>,
}

/// The rules at one path.
#[derive(Debug, Default)]
pub(super) struct RuleNode {
    pub(super) read: Option<Rule>,
    pub(super) write: Option<Rule>,
    pub(super) validate: Option<Rule>,
    pub(super) index_on: Vec<String>,
    pub(super) children: HashMap<String, RuleNode>,
    pub(super) captured: Option<Box<RuleNode>>,
    /// Whether a `.validate` stands here or below.
    pub(super) validates: bool,
}

/// One compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) program: Program,
    /// As it was written.
    pub(super) text: Arc<str>,
    /// `/users/$uid/.read`
    pub(super) place: Arc<str>,
    pub(super) line: usize,
}

impl Rules {
    /// Reads and compiles a document `{"rules": {…}}`.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(RulesError::at(
                text,
                0,
                format!(
                    "a document of {} bytes is longer than the {DOCUMENT_BYTES_MAX} allowed",
                    text.len()
                ),
            ));
        }
        let options = ParseOptions {
            allow_comments: true,
            allow_loose_object_property_names: false,
            allow_trailing_commas: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            ..ParseOptions::default()
        };
        let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
            .map_err(|error| RulesError::at(text, error.range().start, lower(&error.kind().to_string())))?;
        let reader = Reader { text };
        let top = match parsed.value {
            Some(Value::Object(top)) => top,
            Some(other) => return Err(reader.at(&other, "a rules document is an object: {\"rules\": {…}}")),
            None => {
                return Err(RulesError::at(
                    text,
                    0,
                    "the document is empty; write {\"rules\": {}}",
                ));
            }
        };
        let rules = reader.only_rules(&top)?;
        let mut path = Path::default();
        let root = reader.node(rules, &mut path)?;
        let text = text.into();
        Ok(Self { root, text })
    }

    /// The document as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl RuleNode {
    /// The rules one segment further, and whether a `$name` took it. What is named wins over the `$name` beside it.
    pub(super) fn below(&self, segment: &str) -> Option<(&Self, bool)> {
        self.children
            .get(segment)
            .map(|node| (node, false))
            .or_else(|| self.captured.as_deref().map(|node| (node, true)))
    }
}

/// Where the reader is.
#[derive(Default)]
pub(super) struct Path {
    place: String,
    /// The same with `*` for each `$name`.
    pub(super) pattern: String,
    /// How many indexes were declared so far.
    pub(super) indexes: usize,
    captures: Vec<String>,
    depth: usize,
}

pub(super) struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    pub(super) fn at(&self, what: &impl Ranged, message: impl Into<String>) -> RulesError {
        RulesError::at(self.text, what.range().start, message)
    }

    fn only_rules<'o, 'a>(&self, top: &'o Object<'a>) -> Result<&'o Object<'a>, RulesError> {
        let mut rules = None;
        for property in &top.properties {
            let name = property.name.as_str();
            if name != "rules" {
                return Err(self.at(
                    property,
                    format!("`{name}` is not known here; the only key is `rules`"),
                ));
            }
            let Value::Object(object) = &property.value else {
                return Err(self.at(&property.value, "`rules` is an object of paths"));
            };
            if rules.replace(object).is_some() {
                return Err(self.at(property, "`rules` stands here for the second time"));
            }
        }
        rules.ok_or_else(|| self.at(top, "there is no `rules` in the document"))
    }

    fn node(&self, object: &Object<'_>, path: &mut Path) -> Result<RuleNode, RulesError> {
        let mut node = RuleNode::default();
        let mut seen = std::collections::HashSet::new();
        // The key `$name` of this level, to say so when there is a second one.
        let mut captured_as: Option<String> = None;
        for property in &object.properties {
            let name = property.name.as_str();
            if !seen.insert(name.to_owned()) {
                return Err(self.at(property, format!("`{name}` stands here for the second time")));
            }
            match name {
                ".read" => node.read = Some(self.rule(name, &property.value, path)?),
                ".write" => node.write = Some(self.rule(name, &property.value, path)?),
                ".validate" => node.validate = Some(self.rule(name, &property.value, path)?),
                ".indexOn" => node.index_on = self.index_on(&property.value, path)?,
                _ => {
                    self.check_key(property, name)?;
                    if let (true, Some(other)) = (name.starts_with('$'), &captured_as) {
                        return Err(self.at(
                            property,
                            format!("`{name}` and `{other}` stand beside each other; a level has one $name"),
                        ));
                    }
                    let Value::Object(below) = &property.value else {
                        return Err(self.at(
                            &property.value,
                            format!("`{name}` is a path, so an object follows; rules begin with a dot: .read .write .validate"),
                        ));
                    };
                    let child = self.child(property, name, below, path)?;
                    if name.starts_with('$') {
                        captured_as = Some(name.to_owned());
                        node.captured = Some(Box::new(child));
                    } else {
                        node.children.insert(name.to_owned(), child);
                    }
                }
            }
        }
        node.validates = node.validate.is_some()
            || node.children.values().any(|child| child.validates)
            || node.captured.as_ref().is_some_and(|child| child.validates);
        Ok(node)
    }

    fn child(
        &self,
        property: &impl Ranged,
        name: &str,
        below: &Object<'_>,
        path: &mut Path,
    ) -> Result<RuleNode, RulesError> {
        if path.depth == PATH_DEPTH_MAX {
            return Err(self.at(
                property,
                format!("paths nest deeper than the {PATH_DEPTH_MAX} levels allowed"),
            ));
        }
        let captures = name.starts_with('$');
        let (length, pattern_length) = (path.place.len(), path.pattern.len());
        path.place.push('/');
        path.place.push_str(name);
        path.pattern.push('/');
        path.pattern.push_str(if captures { "*" } else { name });
        path.depth += 1;
        if captures {
            path.captures.push(name.to_owned());
        }
        let child = self.node(below, path);
        path.place.truncate(length);
        path.pattern.truncate(pattern_length);
        path.depth -= 1;
        if captures {
            path.captures.pop();
        }
        child
    }

    fn check_key(&self, property: &impl Ranged, name: &str) -> Result<(), RulesError> {
        if let Some(captured) = name.strip_prefix('$') {
            let legal =
                !captured.is_empty() && captured.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !legal {
                return Err(self.at(
                    property,
                    format!("`{name}`: a $name has letters, digits and _ after the $"),
                ));
            }
        } else if name.starts_with('.') {
            return Err(self.at(
                property,
                format!("`{name}` is not known; there are .read .write .validate .indexOn"),
            ));
        } else if name.is_empty()
            || name.contains(['.', '#', '$', '[', ']', '/'])
            || name.chars().any(char::is_control)
        {
            return Err(self.at(
                property,
                format!("`{name}` cannot be a key: keys are not empty and have none of . # $ [ ] /"),
            ));
        }
        Ok(())
    }

    fn rule(&self, kind: &str, value: &Value<'_>, path: &Path) -> Result<Rule, RulesError> {
        let scope = Scope {
            captures: &path.captures,
            writes: kind != ".read",
        };
        let (text, program) = match value {
            Value::BooleanLit(literal) => {
                let text = if literal.value { "true" } else { "false" };
                (
                    text.to_owned(),
                    compile(text, scope).map_err(|fault| self.at(value, fault.message))?,
                )
            }
            Value::StringLit(literal) => {
                let program = compile(&literal.value, scope).map_err(|fault| self.inside(literal, &fault))?;
                (literal.value.to_string(), program)
            }
            other => {
                return Err(self.at(
                    other,
                    format!("{kind} is an expression in quotes, or true or false"),
                ));
            }
        };
        Ok(Rule {
            program,
            text: text.into(),
            place: format!("{}/{kind}", path.place).into(),
            line: self.at(value, "").line,
        })
    }

    /// An error at an offset of a string's value: found in the document by reading the literal's escapes once more.
    fn inside(&self, literal: &StringLit<'_>, fault: &Fault) -> RulesError {
        let start = literal.range.start + 1;
        let raw = self.text.get(start..literal.range.end).unwrap_or_default();
        let mut decoded = 0;
        let mut at = 0;
        let mut characters = raw.char_indices();
        while decoded < fault.offset {
            let Some((_, character)) = characters.next() else {
                break;
            };
            decoded += match character {
                '\\' => match characters.next() {
                    Some((_, 'u')) => {
                        let digits: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                        // Half of a pair counts for half of the four bytes that the pair has.
                        u32::from_str_radix(&digits, 16)
                            .map_or(1, |code| char::from_u32(code).map_or(2, char::len_utf8))
                    }
                    _ => 1,
                },
                other => other.len_utf8(),
            };
            at = raw.len() - characters.as_str().len();
        }
        RulesError::at(self.text, start + at, fault.message.clone())
    }
}

/// The library begins its sentences with a capital; ours follow "line 1, column 2: ".
fn lower(message: &str) -> String {
    let mut characters = message.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}
