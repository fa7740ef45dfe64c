//! What rules cost in process: a read as the port makes it, without rules, and under rules of the usual kinds.
//!
//! Without rules the port asks for the rules in force, finds none, and reads: that is timed beside the bare read. A request
//! under rules is timed whole; what it takes more than the bare one is what deciding costs.

use super::{Effort, Home};
use crate::measure::Subject;
use arc_swap::ArcSwapOption;
use quintet_core::auth::Principal;
use quintet_tree::{
    Guard, Path, Value,
    rules::{Auth, JsonData, Request, Rules, RulesGuard},
};
use serde_json::json;
use std::{
    path,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

pub(super) const NAMES: [&str; 5] = [
    "the bare read",
    "as the port reads without rules",
    "rules by the token: auth.uid == $uid",
    "rules by membership: root.child(…).hasChild(auth.uid)",
    "five rules on the way, a pattern, a claim",
];

pub(super) const DECIDED: [&str; 1] = ["a write of two fields, each validated"];

const BY_TOKEN: &str =
    r#"{"rules": {"users": {"$uid": {".read": "auth.uid == $uid", ".write": "auth.uid == $uid"}}}}"#;
const BY_MEMBERSHIP: &str = r#"{"rules": {"users": {"$uid": {
    ".read": "root.child('members').child($uid).hasChild(auth.uid) && root.child('open').val() == true"}}}}"#;
const FIVE: &str = r#"{"rules": {
    ".read": "auth.token.admin == true",
    "users": {".read": "auth.token.level > 5 || now < 5",
        "$uid": {".read": "auth.token.email.matches(/@nowhere[.]example$/)",
            "name": {".read": "auth != null && (auth.uid == $uid || data.parent().child('friends').hasChild(auth.uid))"}}}}}"#;

const VALIDATED: &str = r#"{"rules": {"users": {"$uid": {".write": "auth.uid == $uid",
    ".validate": "newData.hasChildren(['name', 'age'])",
    "name": {".validate": "newData.isString() && newData.val().length < 100"},
    "age": {".validate": "newData.isNumber() && newData.val() >= 0"}, "$other": {".validate": false}}}}}"#;

pub(super) struct Bench {
    home: Home,
    validated: Rules,
    auth: Auth,
    old: Value,
    new: Value,
    path: Path,
    principal: Principal,
    none: ArcSwapOption<Rules>,
    rules: [ArcSwapOption<Rules>; 3],
    window: Duration,
}

impl Bench {
    pub(super) fn prepare(effort: &Effort, dir: &path::Path) -> anyhow::Result<Self> {
        let home = Home::new(dir)?;
        home.tree.set(
            &Path::root(),
            json!({"users": {"ada": {"name": "Ada Lovelace", "friends": {"bob": true}}},
                "members": {"ada": {"ada": true}}, "open": true}),
        )?;
        let claims = json!({"email": "ada@example.org", "level": 3}).to_string();
        let parsed = |text: &str| Rules::parse(text).map(|rules| ArcSwapOption::from_pointee(Some(rules)));
        let bench = Self {
            home,
            validated: Rules::parse(VALIDATED)?,
            auth: Auth::user("ada", json!({"email": "ada@example.org"})),
            old: json!({"users": {"ada": {"name": "Ada"}}}),
            new: json!({"users": {"ada": {"name": "Ada Lovelace", "age": 36}}}),
            path: Path::from_names(["users", "ada", "name"])?,
            principal: Principal::user("ada", claims),
            none: ArcSwapOption::empty(),
            rules: [parsed(BY_TOKEN)?, parsed(BY_MEMBERSHIP)?, parsed(FIVE)?],
            window: effort.window,
        };
        anyhow::ensure!(bench.decided(), "a write is refused");
        anyhow::ensure!(
            bench.bare() && bench.asked(&bench.none),
            "a read does not find a leaf"
        );
        for rules in &bench.rules {
            anyhow::ensure!(bench.asked(rules), "rules do not allow what is timed");
        }
        let guard = RulesGuard::new(
            bench.rules[0].load_full().expect("just put"),
            &Principal::anonymous(),
        )?;
        let refused = bench.home.tree.reader().guarded(Arc::new(guard)).get(&bench.path);
        anyhow::ensure!(refused.is_err(), "rules are not asked");
        Ok(bench)
    }

    fn bare(&self) -> bool {
        self.home
            .tree
            .reader()
            .get(&self.path)
            .is_ok_and(|value| value.is_string())
    }

    /// What the port does between knowing who asks and answering.
    fn asked(&self, rules: &ArcSwapOption<Rules>) -> bool {
        let guard = rules.load_full().map(|rules| {
            let guard = RulesGuard::new(rules, &self.principal).expect("claims are an object");
            Arc::new(guard) as Arc<dyn Guard>
        });
        let reader = match &guard {
            Some(guard) => self.home.tree.reader().guarded(Arc::clone(guard)),
            None => self.home.tree.reader().clone(),
        };
        reader.get(&self.path).is_ok_and(|value| value.is_string())
    }

    /// Microseconds of one call.
    fn time(&self, call: impl Fn() -> bool) -> f64 {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < self.window {
            for _ in 0..64 {
                assert!(call(), "a read is refused");
            }
            calls += 64;
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    }

    pub(super) fn subjects(&self) -> Vec<Subject<'_>> {
        let rules = [&self.none, &self.rules[0], &self.rules[1], &self.rules[2]];
        let under = rules
            .into_iter()
            .zip(&NAMES[1..])
            .map(|(rules, name)| Subject::new(name, move || self.time(|| self.asked(rules))));
        std::iter::once(Subject::new(NAMES[0], || self.time(|| self.bare())))
            .chain(under)
            .collect()
    }

    /// A write waits for a flush, so what its rules take is timed alone: a user with two fields, each validated.
    pub(super) fn decision(&self) -> Vec<Subject<'_>> {
        vec![Subject::new(DECIDED[0], || self.time(|| self.decided()))]
    }

    fn decided(&self) -> bool {
        let request = Request {
            auth: &self.auth,
            now: UNIX_EPOCH,
            old: &JsonData(&self.old),
            explain: false,
        };
        let decision = self
            .validated
            .may_write(&request, &["users", "ada"], &JsonData(&self.new));
        decision.is_ok_and(|decision| decision.allowed)
    }
}
