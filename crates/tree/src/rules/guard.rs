//! [`RulesGuard`]: the rules as the tree's guard, for one principal.
//!
//! Asked inside the reader's snapshot and the writer's transaction, so `root` and `data` are exactly the state that the
//! operation meets and `newData` exactly the one it leaves. Administrators pass; the read-only token reads.

use super::{
    data::{Data, Found},
    decide::{Auth, Decision, Request},
    document::Rules,
};
use crate::{Guard, Path, ReadAccess, TreeError, View, WriteAccess};
use quintet_core::{
    Result,
    auth::{Principal, Role},
};
use serde_json::Value as Json;
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

/// The most children that are listed for a rule; a decision's steps end long before.
const CHILDREN_MAX: usize = super::STEPS_MAX as usize;

/// Rules and a principal. Made per request; cheap.
pub struct RulesGuard {
    rules: Arc<Rules>,
    auth: Auth,
    role: Role,
    explained: Option<Mutex<Vec<Decision>>>,
}

impl RulesGuard {
    /// The rules as they decide about `principal`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](quintet_core::ErrorKind::InvalidInput) when the principal's claims are no JSON object.
    pub fn new(rules: Arc<Rules>, principal: &Principal) -> Result<Self> {
        Ok(Self {
            rules,
            auth: Auth::try_from(principal)?,
            role: principal.role(),
            explained: None,
        })
    }

    /// The rules as they decide about somebody else, keeping how they came to it. Whatever they decide, the operation is
    /// refused: it is asked about, not done.
    #[must_use]
    pub fn explaining(rules: Arc<Rules>, auth: Auth) -> Self {
        Self {
            rules,
            auth,
            role: Role::User,
            explained: Some(Mutex::default()),
        }
    }

    /// The decisions so far; empty unless made to explain.
    #[must_use]
    pub fn decisions(&self) -> Vec<Decision> {
        let decisions = self.explained.as_ref();
        decisions.map_or_else(Vec::new, |decisions| {
            decisions.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Takes decisions until one refuses; all of them where they are to be explained.
    fn settle(&self, decisions: impl Iterator<Item = Result<Decision>>) -> Result<(), TreeError> {
        for decision in decisions {
            let decision = decision?;
            match &self.explained {
                Some(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).push(decision),
                None if decision.allowed => {}
                None => {
                    return Err(TreeError::Denied {
                        reason: decision.reason,
                    });
                }
            }
        }
        match self.explained {
            None => Ok(()),
            Some(_) => Err(TreeError::Denied {
                reason: "explained, not done".to_owned(),
            }),
        }
    }

    fn request<'a>(&'a self, now_ms: u64, old: &'a dyn Data) -> Request<'a> {
        Request {
            auth: &self.auth,
            now: UNIX_EPOCH
                .checked_add(Duration::from_millis(now_ms))
                .unwrap_or(UNIX_EPOCH),
            old,
            explain: self.explained.is_some(),
        }
    }
}

impl fmt::Debug for RulesGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesGuard")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Guard for RulesGuard {
    fn check_read(&self, access: &ReadAccess<'_>, root: &View<'_>) -> Result<(), TreeError> {
        if matches!(self.role, Role::Admin | Role::ReadOnly) {
            return Ok(());
        }
        let names: Vec<Cow<'_, str>> = access.path.names().collect();
        let path: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let data = Viewed(root);
        let request = self.request(access.now_ms, &data);
        self.settle(std::iter::once_with(|| self.rules.may_read(&request, &path)))
    }

    fn read_depends_on_state(&self, path: &Path) -> bool {
        if matches!(self.role, Role::Admin | Role::ReadOnly) {
            return false;
        }
        let mut node = &self.rules.root;
        let mut names = path.names();
        loop {
            if node
                .read
                .as_ref()
                .is_some_and(|rule| rule.program.looks_at_state())
            {
                return true;
            }
            match names.next().and_then(|name| node.below(&name)) {
                Some((below, _)) => node = below,
                None => return false,
            }
        }
    }

    fn check_write(
        &self,
        access: &WriteAccess<'_>,
        before: &View<'_>,
        after: &View<'_>,
    ) -> Result<(), TreeError> {
        match self.role {
            Role::Admin => return Ok(()),
            Role::ReadOnly => {
                return Err(TreeError::Denied {
                    reason: "the read-only token may not write".to_owned(),
                });
            }
            _ => {}
        }
        let (old, new) = (Viewed(before), Viewed(after));
        let request = self.request(access.now_ms, &old);
        self.settle(access.changes.iter().map(|(changed, _)| {
            let names: Vec<Cow<'_, str>> = changed.names().collect();
            let path: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            self.rules.may_write(&request, &path, &new)
        }))
    }
}

/// A view as rules see it.
struct Viewed<'a, 'v>(&'a View<'v>);

impl Viewed<'_, '_> {
    /// `None` = a path that cannot be in a tree, so nothing is there.
    fn path(names: &[Cow<'_, str>]) -> Option<Path> {
        Path::from_names(names.iter().map(AsRef::as_ref)).ok()
    }
}

impl Data for Viewed<'_, '_> {
    fn look(&self, path: &[Cow<'_, str>]) -> Result<Found> {
        let Some(path) = Self::path(path) else {
            return Ok(Found::Nothing);
        };
        Ok(match self.0.leaf_or_container(&path)? {
            Json::Null => Found::Nothing,
            Json::Bool(value) => Found::Bool(value),
            Json::Number(value) => Found::Number(value.as_f64().unwrap_or(f64::NAN)),
            Json::String(value) => Found::String(value),
            Json::Array(_) | Json::Object(_) => Found::Inner,
        })
    }

    fn children(&self, path: &[Cow<'_, str>]) -> Result<Vec<String>> {
        match Self::path(path) {
            Some(path) => Ok(self.0.child_names(&path, CHILDREN_MAX)?),
            None => Ok(Vec::new()),
        }
    }
}
