//! Decisions: the walk down a path that collects grants, and the walk over what was written that validates it.
//!
//! Called by whoever holds the two states: the reader's snapshot for reads, queries and streams, the writer's transaction
//! for writes, so that a rule sees exactly the state that its write would follow.

use super::{
    STEPS_MAX,
    data::{Data, Found},
    document::{Rule, RuleNode, Rules},
    eval::{Context, Stop, run},
};
use quintet_core::{
    Error, ErrorKind, Result,
    auth::{Principal, Role},
};
use serde_json::{Map, Value as Json};
use std::{
    borrow::Cow,
    cell::Cell,
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// The user as the variable `auth`: null, or `{uid, provider, token}` where `token` has the claims.
#[derive(Clone, Debug, Default)]
pub struct Auth(Json);

impl Auth {
    /// Nobody: `auth` is null.
    #[must_use]
    pub const fn none() -> Self {
        Self(Json::Null)
    }

    /// The bearer of a token with these claims.
    #[must_use]
    pub fn user(uid: &str, claims: Json) -> Self {
        let provider = claims
            .pointer("/firebase/sign_in_provider")
            .and_then(Json::as_str)
            .unwrap_or("custom")
            .to_owned();
        let mut fields = Map::new();
        fields.insert("uid".to_owned(), Json::String(uid.to_owned()));
        fields.insert("provider".to_owned(), Json::String(provider));
        fields.insert("token".to_owned(), claims);
        Self(Json::Object(fields))
    }

    /// Takes the variable as it stands: null, or an object; anything else is `None`.
    #[must_use]
    pub fn of_variable(auth: Json) -> Option<Self> {
        matches!(auth, Json::Null | Json::Object(_)).then_some(Self(auth))
    }
}

impl TryFrom<&Principal> for Auth {
    type Error = Error;

    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the principal's claims are no JSON object.
    fn try_from(principal: &Principal) -> Result<Self> {
        let (Role::User, Some(uid)) = (principal.role(), principal.uid()) else {
            return Ok(Self::none());
        };
        match serde_json::from_str(principal.claims().unwrap_or("{}")) {
            Ok(claims @ Json::Object(_)) => Ok(Self::user(uid, claims)),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "the token's claims are not a JSON object",
            )),
        }
    }
}

/// Who asks, when, and against which committed state.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub auth: &'a Auth,
    /// The variable `now`: the time of day.
    pub now: SystemTime,
    /// The committed state: `root` and `data`.
    pub old: &'a dyn Data,
    /// Whether the decision shall say what each rule came to. Costs an allocation per rule.
    pub explain: bool,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("now", &self.now)
            .field("explain", &self.explain)
            .finish_non_exhaustive()
    }
}

/// What a rule came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is true.
    True,
    /// The rule is false.
    False,
    /// The rule could not be evaluated on this data, and so counts as false: why.
    Failed(String),
}

/// One rule that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Where it stands: `/users/$uid/.read`.
    pub rule: Arc<str>,
    /// Its line in the document.
    pub line: usize,
    /// Its text.
    pub expression: Arc<str>,
    /// The path it was asked about.
    pub path: String,
    /// What it came to.
    pub outcome: Outcome,
}

/// Yes or no, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// What decided, in one line: the rule that granted or refused, or that none granted.
    pub reason: String,
    /// Every rule that was asked, in order; empty unless the request asked to explain.
    pub trace: Vec<Trace>,
}

impl Rules {
    /// Whether the value at `path`, and with it all below, may be read. Also for queries and streams.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn may_read(&self, request: &Request<'_>, path: &[&str]) -> Result<Decision> {
        let mut walk = Walk::new(request, None);
        let granted = walk.grant(self, path, |node| node.read.as_ref());
        walk.conclude(granted, ".read")
    }

    /// Whether `path` may be written so that the tree becomes `new`: a `.write` on the way grants, and every `.validate` of
    /// what is written holds. A write of several paths asks for each of them, with the state after all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn may_write(&self, request: &Request<'_>, path: &[&str], new: &dyn Data) -> Result<Decision> {
        let mut walk = Walk::new(request, Some(new));
        let granted = walk.grant(self, path, |node| node.write.as_ref());
        let granted = match granted {
            Ok(true) => walk.validate(self, path),
            other => other,
        };
        walk.conclude(granted, ".write")
    }
}

/// A decision in the making.
struct Walk<'a> {
    request: &'a Request<'a>,
    new: Option<&'a dyn Data>,
    now_ms: f64,
    steps: Cell<u32>,
    /// The rule that decided so far.
    decisive: Option<(Arc<str>, usize, Outcome)>,
    trace: Vec<Trace>,
}

/// A node of the rules beside the place in the tree it stands for.
struct Level<'a, 's> {
    node: &'a RuleNode,
    path: Vec<Cow<'s, str>>,
    captures: Vec<Cow<'s, str>>,
}

impl<'a> Walk<'a> {
    fn new(request: &'a Request<'a>, new: Option<&'a dyn Data>) -> Self {
        let now = request.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            request,
            new,
            now_ms: (now.as_secs_f64() * 1000.0).floor(),
            steps: Cell::new(STEPS_MAX),
            decisive: None,
            trace: Vec::new(),
        }
    }

    /// The first rule of a kind, from the root down to `path`, that is true.
    fn grant(
        &mut self,
        rules: &Rules,
        path: &[&str],
        kind: impl Fn(&RuleNode) -> Option<&Rule>,
    ) -> Result<bool, Stop> {
        let mut at: Vec<Cow<'_, str>> = Vec::with_capacity(path.len());
        let mut captures: Vec<Cow<'_, str>> = Vec::new();
        let mut node = &rules.root;
        loop {
            if let Some(rule) = kind(node)
                && self.ask(rule, &at, &captures)?
            {
                return Ok(true);
            }
            let Some(segment) = path.get(at.len()) else {
                return Ok(false);
            };
            let Some((below, captured)) = node.below(segment) else {
                return Ok(false);
            };
            at.push(Cow::Borrowed(segment));
            if captured {
                captures.push(Cow::Borrowed(segment));
            }
            node = below;
        }
    }

    /// Whether every `.validate` holds: of the nodes above the written place, which changed with it, and of all that was
    /// written. A deletion is not validated.
    fn validate(&mut self, rules: &Rules, path: &[&str]) -> Result<bool, Stop> {
        let written: Vec<Cow<'_, str>> = path.iter().map(|segment| Cow::Borrowed(*segment)).collect();
        if self.look(&written)? == Found::Nothing {
            return Ok(true);
        }
        let mut level = Level {
            node: &rules.root,
            path: Vec::with_capacity(path.len()),
            captures: Vec::new(),
        };
        loop {
            if !level.node.validates {
                return Ok(true);
            }
            if let Some(rule) = &level.node.validate
                && !self.ask(rule, &level.path, &level.captures)?
            {
                return Ok(false);
            }
            let Some(segment) = written.get(level.path.len()) else {
                break;
            };
            let Some((below, captured)) = level.node.below(segment) else {
                return Ok(true);
            };
            level.path.push(segment.clone());
            if captured {
                level.captures.push(segment.clone());
            }
            level.node = below;
        }
        self.validate_below(level)
    }

    /// The nodes below the written place, without recursion: the written value decides how deep it goes.
    fn validate_below(&mut self, top: Level<'_, '_>) -> Result<bool, Stop> {
        let mut open = vec![top];
        while let Some(level) = open.pop() {
            for name in self.names_below(&level)? {
                let Some((node, captured)) = level.node.below(&name) else {
                    continue;
                };
                if !node.validates {
                    continue;
                }
                let mut path = level.path.clone();
                path.push(Cow::Owned(name.clone()));
                if self.look(&path)? == Found::Nothing {
                    continue;
                }
                let mut captures = level.captures.clone();
                if captured {
                    captures.push(Cow::Owned(name));
                }
                if let Some(rule) = &node.validate
                    && !self.ask(rule, &path, &captures)?
                {
                    return Ok(false);
                }
                open.push(Level { node, path, captures });
            }
        }
        Ok(true)
    }

    /// The children that may have a `.validate`: those with a name in the rules, and all where a `$name` stands.
    fn names_below(&self, level: &Level<'_, '_>) -> Result<Vec<String>, Stop> {
        if !level.node.captured.as_ref().is_some_and(|node| node.validates) {
            return Ok(level.node.children.keys().cloned().collect());
        }
        let names = match self.new {
            Some(new) => new.children(&level.path).map_err(Stop::Store)?,
            None => Vec::new(),
        };
        self.spend(u32::try_from(names.len()).unwrap_or(u32::MAX))?;
        Ok(names)
    }

    fn spend(&self, steps: u32) -> Result<(), Stop> {
        let left = self.steps.get().checked_sub(steps).ok_or(Stop::Steps)?;
        self.steps.set(left);
        Ok(())
    }

    fn look(&self, path: &[Cow<'_, str>]) -> Result<Found, Stop> {
        self.spend(1)?;
        self.new
            .map_or(Ok(Found::Nothing), |new| new.look(path))
            .map_err(Stop::Store)
    }

    /// What one rule comes to.
    fn ask(&mut self, rule: &Rule, path: &[Cow<'_, str>], captures: &[Cow<'_, str>]) -> Result<bool, Stop> {
        let captures: Vec<&str> = captures.iter().map(AsRef::as_ref).collect();
        let outcome = match run(
            &rule.program,
            Context {
                auth: &self.request.auth.0,
                now_ms: self.now_ms,
                captures: &captures,
                path,
                old: self.request.old,
                new: self.new,
                steps: &self.steps,
            },
        ) {
            Ok(true) => Outcome::True,
            Ok(false) => Outcome::False,
            Err(Stop::Fails(why)) => Outcome::Failed(why),
            Err(stop) => return Err(stop),
        };
        let holds = outcome == Outcome::True;
        if self.request.explain {
            self.trace.push(Trace {
                rule: rule.place.clone(),
                line: rule.line,
                expression: rule.text.clone(),
                path: format!("/{}", path.join("/")),
                outcome: outcome.clone(),
            });
        }
        self.decisive = Some((rule.place.clone(), rule.line, outcome));
        Ok(holds)
    }

    fn conclude(self, answer: Result<bool, Stop>, kind: &str) -> Result<Decision> {
        let (allowed, reason) = match answer {
            Err(Stop::Store(error)) => return Err(error),
            Err(Stop::Fails(why)) => (false, why),
            Err(Stop::Steps) => (
                false,
                format!("the rules take more than {STEPS_MAX} steps on this request"),
            ),
            Ok(allowed) => match &self.decisive {
                None if allowed => (true, "granted".to_owned()),
                None => (false, format!("no {kind} rule stands on the way to this path")),
                Some((rule, line, outcome)) => {
                    let came_to = match outcome {
                        Outcome::True => "is true".to_owned(),
                        Outcome::False => "is false".to_owned(),
                        Outcome::Failed(why) => format!("fails: {why}"),
                    };
                    (allowed, format!("{rule} (line {line}) {came_to}"))
                }
            },
        };
        Ok(Decision {
            allowed,
            reason,
            trace: self.trace,
        })
    }
}
