//! [`Zone`]: what a value is for, told by the prefix of its leaf name, and what may therefore be done to it.
//!
//! | zone | prefix | read | append | update | delete |
//! |---|---|---|---|---|---|
//! | data | none of those below | yes | yes | yes | yes |
//! | signal | `SIG_`, `CMD_` | yes | yes | | |
//! | meta | `META_` | yes | | yes | |
//! | heavy | `HEAVY_` | yes | | yes | |
//! | log | `LOG_`, `AUDIT_` | yes | yes | | |
//! | const | `CONST_` | yes | | | |
//! | internal | `INTERNAL_` | | | | |
//!
//! Making a value that is not there takes *append* or *update*; adding to a list takes either too; replacing, counting
//! and merging take *update*. Upper and lower case are the same. A new name that begins like a zone in capitals and is none
//! (`HEAVI_frame`) is refused, so that a slip does not land among the data; `DATA_` may be written out. An
//! [admin](crate::Transaction::admin) transaction may do everything.

use super::path::Path;
use crate::Error;

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Durable business state.
    Data,
    /// Signals and commands.
    Signal,
    /// Notes about the state.
    Meta,
    /// Large buffers, shared and never copied.
    Heavy,
    /// Logs.
    Log,
    /// Constants.
    Const,
    /// The application's own, hidden from ordinary transactions.
    Internal,
}

/// One thing that a zone may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// See the value.
    Read,
    /// Make it, or add to a list.
    Append,
    /// Replace it.
    Update,
    /// Remove it.
    Delete,
}

const PREFIXES: [(&str, Zone); 8] = [
    ("sig_", Zone::Signal),
    ("cmd_", Zone::Signal),
    ("meta_", Zone::Meta),
    ("heavy_", Zone::Heavy),
    ("log_", Zone::Log),
    ("audit_", Zone::Log),
    ("const_", Zone::Const),
    ("internal_", Zone::Internal),
];

impl Capability {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Append => "append",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Zone {
    /// The zone of a path.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let leaf = path.leaf().as_bytes();
        PREFIXES
            .iter()
            .find(|(prefix, _)| {
                leaf.get(..prefix.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            })
            .map_or(Self::Data, |(_, zone)| *zone)
    }

    /// Refuses a name that looks like one of a zone that does not exist: capitals and an underscore that are no prefix.
    pub(crate) fn refuse_unknown(path: &Path) -> Result<(), Error> {
        let Some((word, _)) = path.leaf().split_once('_') else {
            return Ok(());
        };
        let is_capitals = word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if !is_capitals || word == "DATA" || Self::of(path) != Self::Data {
            return Ok(());
        }
        Err(Error::InvalidPath {
            path: path.as_str().chars().take(80).collect(),
            reason: format!(
                "there is no zone {word}_; there are DATA_, SIG_, CMD_, META_, HEAVY_, LOG_, AUDIT_, CONST_ and INTERNAL_"
            ),
        })
    }

    /// Whether the zone allows it.
    #[must_use]
    pub const fn allows(self, capability: Capability) -> bool {
        match self {
            Self::Data => true,
            Self::Signal | Self::Log => matches!(capability, Capability::Read | Capability::Append),
            Self::Meta | Self::Heavy => matches!(capability, Capability::Read | Capability::Update),
            Self::Const => matches!(capability, Capability::Read),
            Self::Internal => false,
        }
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Signal => "signal",
            Self::Meta => "meta",
            Self::Heavy => "heavy",
            Self::Log => "log",
            Self::Const => "const",
            Self::Internal => "internal",
        }
    }

    /// Refuses unless the zone allows one of these.
    pub(crate) fn demand(self, path: &Path, any_of: &[Capability]) -> Result<(), Error> {
        if any_of.iter().any(|capability| self.allows(*capability)) {
            return Ok(());
        }
        Err(Error::Forbidden {
            path: path.to_string(),
            zone: self.as_str(),
            capability: any_of.last().map_or("access", |capability| capability.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_decides() {
        for (path, zone) in [
            ("domain.items", Zone::Data),
            ("SIG_stop", Zone::Signal),
            ("domain.cmd_go", Zone::Signal),
            ("sig_a.total", Zone::Data),
            ("META_", Zone::Meta),
            ("x.HEAVY_frame", Zone::Heavy),
            ("x.Audit_trail", Zone::Log),
            ("const_pi", Zone::Const),
            ("internal_x", Zone::Internal),
            ("sigma", Zone::Data),
            ("\u{e4}\u{e4}\u{e4}", Zone::Data),
        ] {
            assert_eq!(Zone::of(&Path::new(path).unwrap()), zone, "{path}");
        }
    }

    #[test]
    fn the_capability_table() {
        use Capability::{Append, Delete, Read, Update};
        let row = |zone: Zone| [Read, Append, Update, Delete].map(|capability| zone.allows(capability));
        assert_eq!(row(Zone::Data), [true; 4]);
        assert_eq!(row(Zone::Signal), [true, true, false, false]);
        assert_eq!(row(Zone::Meta), [true, false, true, false]);
        assert_eq!(row(Zone::Heavy), [true, false, true, false]);
        assert_eq!(row(Zone::Log), [true, true, false, false]);
        assert_eq!(row(Zone::Const), [true, false, false, false]);
        assert_eq!(row(Zone::Internal), [false; 4]);
    }
}
