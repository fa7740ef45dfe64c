//! [`State`]: one attempt's reads and writes over a context, and its commit. Shared by [`ContextTx`](super::ContextTx)
//! and the message handler.

use super::{
    Shared,
    cell::Cell,
    change::{Change, Message},
    path::Path,
    short::Short,
    value::Value,
    write::{Op, Write, merged},
    zone::{Capability, Zone},
};
use crate::{
    Error, Isolation,
    label::Label,
    protocol::{commit::Pending, read_set::ReadSet, slot::Slot, stamp::Stamp},
    transaction::{Abort, Step},
};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

/// One attempt.
pub(crate) struct State {
    pub(crate) isolation: Isolation,
    pub(crate) admin: bool,
    pub(crate) label: Label,
    pub(crate) reads: ReadSet,
    pub(super) writes: Vec<Write>,
    /// The only write, instead of those.
    pub(super) short: Option<Short>,
    /// Whether a first write may be a short one.
    pub(super) shortens: bool,
    /// The cell that was read first: mostly the one that is then written.
    pub(super) last: Option<Arc<Cell>>,
    /// Where in `writes` a slot is.
    index: HashMap<usize, usize, foldhash::fast::RandomState>,
    /// Where in `writes` a path is that this transaction makes; the shared index does not know it yet. In order, because
    /// what is below a branch is asked for with every path that is made.
    pub(super) made: BTreeMap<Path, usize>,
    pub(super) messages: Vec<Message>,
    /// What has been committed so far, if somebody wants to know.
    pub(super) noted: Option<Vec<Change>>,
    /// The latest version read in what `reads` has forgotten.
    read_before: u64,
    /// The clock when the attempt began.
    pub(super) began: u64,
    pub(crate) written: bool,
    /// What a raw or a finished attempt has recorded last.
    pub(crate) committed: Option<u64>,
}

/// Writes up to which a linear search is faster than the index.
const LINEAR: usize = 16;

/// A path looked up.
pub(super) enum Found {
    Here(Value, Stamp),
    Missing,
}

impl State {
    /// The same for another transaction, with the memory of the last one.
    pub(crate) fn renew(&mut self, isolation: Isolation, admin: bool, label: Label, shortens: bool) {
        (self.isolation, self.admin, self.label) = (isolation, admin, label);
        self.shortens = shortens;
        (self.written, self.committed) = (false, None);
    }

    pub(crate) fn new(isolation: Isolation, admin: bool, label: Label) -> Self {
        Self {
            isolation,
            admin,
            label,
            reads: ReadSet::default(),
            writes: Vec::new(),
            short: None,
            shortens: false,
            last: None,
            index: HashMap::default(),
            made: BTreeMap::new(),
            noted: None,
            read_before: 0,
            began: 0,
            messages: Vec::new(),
            written: false,
            committed: None,
        }
    }

    pub(crate) fn begin(&mut self, shared: &Shared, aged: bool) {
        self.clear();
        self.read_before = 0;
        self.began = shared.domain.now();
        self.reads.begin(&shared.domain, self.isolation, aged);
    }

    pub(crate) fn clear(&mut self) {
        self.writes.clear();
        (self.short, self.last) = (None, None);
        if !self.index.is_empty() {
            self.index.clear();
        }
        if !self.made.is_empty() {
            self.made.clear();
        }
        self.messages.clear();
    }

    pub(super) fn position(&self, slot: &Slot) -> Option<usize> {
        if self.writes.len() <= LINEAR {
            let same = |write: &Write| write.slot().address() == slot.address();
            return self.writes.iter().position(same);
        }
        self.index.get(&slot.address()).copied()
    }

    /// Where in the writes a path is that this transaction makes.
    #[inline]
    pub(super) fn made_at(&self, path: &str) -> Option<usize> {
        if self.made.is_empty() {
            return None;
        }
        self.made.get(path).copied()
    }

    /// The paths below a branch that this transaction makes and has not removed again, in order.
    pub(super) fn made_below<'a>(&'a self, branch: &'a str) -> impl Iterator<Item = &'a Path> {
        let from = (Bound::Excluded(branch), Bound::Unbounded);
        self.made
            .range::<str, _>(from)
            // Between a branch and what is below it come the names that go on with a character before the dot.
            .take_while(move |(path, _)| path.as_str().starts_with(branch))
            .filter(move |(path, _)| path.is_below(branch))
            .filter(|(_, at)| !matches!(self.writes[**at].op, Op::Set(None)))
            .map(|(path, _)| path)
    }

    pub(super) fn own(&self, path: &str, shared: &Shared) -> Option<usize> {
        match self.made_at(path) {
            Some(at) => Some(at),
            None => shared.index.with(path, |cell| self.position(cell.slot)).flatten(),
        }
    }

    /// Finds the writes anew after some have gone.
    pub(super) fn index_again(&mut self) {
        self.index.clear();
        if self.writes.len() > LINEAR {
            let positions = self.writes.iter().enumerate();
            self.index
                .extend(positions.map(|(at, write)| (write.slot().address(), at)));
        }
    }

    pub(super) fn push(&mut self, write: Write) {
        if let Some(cell) = write.cell.as_ref().filter(|_| write.creates) {
            self.made.insert(cell.path.clone(), self.writes.len());
        }
        self.writes.push(write);
        match self.writes.len() {
            ..=LINEAR => {}
            full if full == LINEAR + 1 => self.index_again(),
            more => {
                self.index
                    .insert(self.writes[more - 1].slot().address(), more - 1);
            }
        }
    }

    #[inline]
    pub(super) fn permit(&self, path: &Path, zone: Zone, any_of: &[Capability]) -> Step<()> {
        if !self.admin {
            zone.demand(path, any_of).map_err(Abort::failed)?;
        }
        Ok(())
    }

    /// Reads the shared state.
    pub(super) fn look(&mut self, shared: &Shared, path: &Path) -> Step<Found> {
        let Self { reads, isolation, .. } = self;
        loop {
            if let Some(cell) = shared.index.get(path.as_str()) {
                let read = reads.read(&shared.domain, *isolation, cell.slot, || cell.load());
                let (value, stamp) = read.map_err(|_| Abort::CONFLICT)?;
                if let Some(value) = value {
                    return Ok(Found::Here(value, stamp));
                }
            }
            let gap = shared.index.gap(path.as_str());
            let read = reads.read(&shared.domain, *isolation, gap, || {
                shared.index.with(path.as_str(), |_| ())
            });
            let (there, _) = read.map_err(|_| Abort::CONFLICT)?;
            if there.is_none() {
                return Ok(Found::Missing);
            }
        }
    }

    /// The shared value of a path and its stamp, or the stamp of its absence.
    pub(crate) fn get_stamped(&mut self, shared: &Shared, path: &Path) -> Step<(bool, Stamp)> {
        self.unfold();
        self.permit(path, Zone::of(path), &[Capability::Read])?;
        Ok(match self.look(shared, path)? {
            Found::Here(_, stamp) => (true, stamp),
            Found::Missing => {
                let gap = shared.index.gap(path.as_str());
                (false, self.reads.seen(gap).unwrap_or_default())
            }
        })
    }

    /// Forgets what was read, but for how late it was.
    pub(super) fn forget_reads(&mut self) {
        self.read_before = self.read_before.max(self.reads.latest());
    }

    /// The latest version that an answer of this attempt can rest on: of what it has read and of what it has recorded.
    pub(crate) fn rests_on(&self) -> u64 {
        self.read_before
            .max(self.reads.latest())
            .max(self.committed.unwrap_or(0))
    }

    /// Who wrote last at a path, as far as known.
    pub(super) fn writer_of(shared: &Shared, path: &Path) -> Label {
        let writer = shared.index.with(path.as_str(), |cell| cell.slot.writer());
        Label::from_u32(writer.unwrap_or_else(|| shared.index.gap(path.as_str()).writer()))
    }

    /// Whether nothing is buffered.
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.messages.is_empty() && self.short.is_none()
    }

    /// The value of a path as this transaction sees it.
    pub(crate) fn get(&mut self, shared: &Shared, name: &str) -> Step<Option<Value>> {
        self.unfold();
        if let Some(value) = self.glance(shared, name) {
            return Ok(Some(value));
        }
        let path = shared.path(name)?;
        self.permit(&path, Zone::of(&path), &[Capability::Read])?;
        self.fetch(shared, &path)
    }

    /// The usual case of [`get`](Self::get) at one look-up: a path that is there, that may be read, that this transaction
    /// has not written, and that no commit is writing.
    #[inline]
    fn glance(&mut self, shared: &Shared, name: &str) -> Option<Value> {
        if !self.made.is_empty() {
            return None;
        }
        shared.index.with(name, |cell| {
            let is_allowed = self.admin || cell.zone.allows(Capability::Read);
            if !is_allowed || self.position(cell.slot).is_some() {
                return None;
            }
            let value = self
                .reads
                .glance(self.isolation, cell.slot, || cell.load())
                .flatten()?;
            if self.shortens && self.reads.reads().len() == 1 {
                self.last = Some(Arc::clone(cell));
            }
            Some(value)
        })?
    }

    fn fetch(&mut self, shared: &Shared, path: &Path) -> Step<Option<Value>> {
        let Some(at) = (if self.writes.is_empty() {
            None
        } else {
            self.own(path.as_str(), shared)
        }) else {
            return Ok(match self.look(shared, path)? {
                Found::Here(value, _) => Some(value),
                Found::Missing => None,
            });
        };
        match &self.writes[at].op {
            Op::Set(value) => Ok(value.clone()),
            Op::Touch | Op::Merge(..) => self.settle(shared, path, at),
        }
    }

    /// Turns merges into a plain write of what they give, because the body wants to see it.
    fn settle(&mut self, shared: &Shared, path: &Path, at: usize) -> Step<Option<Value>> {
        let (base, stamp) = match self.look(shared, path)? {
            Found::Here(value, stamp) => (Some(value), Some(stamp)),
            Found::Missing => (None, None),
        };
        let write = &mut self.writes[at];
        if base.is_none() && !write.creates {
            return Err(Abort::CONFLICT);
        }
        let value = match &write.op {
            Op::Merge(first, more) => Some(merged(path, base, first, more).map_err(Abort::failed)?),
            Op::Touch | Op::Set(_) => base,
        };
        write.op = Op::Set(value.clone());
        write.seen = write.seen.or(stamp);
        Ok(value)
    }

    /// Puts a message into the outbox, if the transaction commits.
    pub(crate) fn send(&mut self, shared: &Shared, topic: &str, payload: Value) -> Step<()> {
        self.unfold();
        let at = Path::new(topic).map_err(Abort::failed)?;
        shared
            .check_size(topic, Zone::of(&at), &payload)
            .map_err(Abort::failed)?;
        if self.messages.len() >= shared.config.max_messages {
            return Err(Abort::failed(Error::TooLarge {
                at: "transaction".into(),
                what: "the number of messages",
                size: self.messages.len() + 1,
                limit: shared.config.max_messages,
            }));
        }
        self.messages.push(Message {
            id: 0,
            topic: Arc::from(topic),
            payload,
        });
        if self.isolation == Isolation::Raw {
            self.commit(shared)?;
            self.written = true;
        }
        Ok(())
    }
}
