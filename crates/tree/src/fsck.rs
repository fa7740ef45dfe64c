//! [`fsck`]: looks at every row of a tree that nobody has open, and changes nothing.
//!
//! It checks what the other modules take for granted: whole paths, values that decode, no leaf above another, pieces that
//! are led to exactly once and are not empty, index entries exactly for what is there.

use crate::{
    Config, Index, Path, TreeError, View,
    index::{Indexes, read_built},
    path::{Pieces, key},
    store::{
        ENTRIES, LEAVES, NEXT_PIECE_MARK, PIECES, Rows, SEQ_MARK,
        home::Home,
        lmdb::{Lmdb, Snapshot},
        long::{self, Way},
        read_mark,
    },
    value::scalar,
};
use std::{collections::BTreeMap, ops::ControlFlow, path};

/// How many faults are reported at most.
const MAX_FAULTS: usize = 100;

/// What [`fsck`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Leaves: values that are not containers.
    pub leaves: u64,
    /// Entries of indexes that are not whole: their build was cut off. Nobody reads them; the next open removes them.
    pub unbuilt_entries: u64,
    /// Entries of whole indexes.
    pub entries: u64,
    /// Pieces of paths too long for one row.
    pub pieces: u64,
    /// The sequence of the last write.
    pub last_seq: u64,
    /// What is wrong, at most 100 lines; empty = nothing.
    pub faults: Vec<String>,
}

impl FsckReport {
    fn fault(&mut self, fault: impl FnOnce() -> String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault());
        }
    }
}

/// Looks at every row of the tree in `dir`. `indexes` are those that were last declared: the entries of one that is left
/// out are counted and not checked; one that is not built yet has none that matter. Memory grows with the number
/// of entries.
///
/// # Errors
/// When it cannot be looked at: nobody may have it open. Damage is no error; it is in the report.
pub fn fsck(dir: &path::Path, indexes: &[Index]) -> Result<FsckReport, TreeError> {
    let _home = Home::take_existing(dir, false)?;
    let config = Config {
        indexes: indexes.to_vec(),
        ..Config::new(dir)
    };
    let lmdb = Lmdb::open_read_only(dir, config.map_bytes)?;
    let snapshot = lmdb.snapshot()?;
    let mut report = FsckReport {
        last_seq: read_mark(&snapshot, SEQ_MARK)?,
        ..FsckReport::default()
    };
    check_pieces(&snapshot, &mut report)?;
    check_leaves(&snapshot, &mut report)?;
    check_entries(
        &View::new(&snapshot, &config),
        &Indexes::prepare(indexes)?,
        &mut report,
    )?;
    Ok(report)
}

fn check_leaves(rows: &dyn Rows, report: &mut FsckReport) -> Result<(), TreeError> {
    let mut last: Vec<u8> = Vec::new();
    let _all = long::scan(rows, &[LEAVES], &[LEAVES + 1], Way::Up, &mut |row, value| {
        report.leaves += 1;
        let bytes = &row[1..];
        let whole: usize = Pieces(bytes).map(<[u8]>::len).sum();
        if whole != bytes.len() || Pieces(bytes).any(|piece| key::name(piece).is_none()) {
            report.fault(|| format!("the key {row:02x?} is no path"));
            return Ok(ControlFlow::Continue(()));
        }
        let place = Path::from_bytes(bytes.to_vec());
        if let Err(error) = scalar::decode(value) {
            report.fault(|| format!("{place}: {error}"));
        }
        if !last.is_empty() && key::is_within(row, &last) {
            report.fault(|| format!("{place}: there is a leaf above it"));
        }
        last = row.to_vec();
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}

fn check_pieces(snapshot: &Snapshot, report: &mut FsckReport) -> Result<(), TreeError> {
    // How often each piece is led to, and whether something is in it.
    let mut pieces: BTreeMap<u64, (u32, bool)> = BTreeMap::new();
    let _all = snapshot.scan(&[0], &[PIECES + 1], &mut |row, value| {
        if row[0] == PIECES {
            match row.get(1..9).and_then(|number| number.try_into().ok()) {
                Some(number) => pieces.entry(u64::from_be_bytes(number)).or_default().1 = true,
                None => report.fault(|| format!("the key {row:02x?} is of no piece")),
            }
        }
        if row[0] >= LEAVES
            && let Some(piece) = long::linked(value)?
        {
            pieces.entry(piece).or_default().0 += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let next = read_mark(snapshot, NEXT_PIECE_MARK)?;
    report.pieces = pieces.len() as u64;
    for (piece, (led_to, filled)) in pieces {
        if led_to != 1 {
            report.fault(|| format!("piece {piece} is led to {led_to} times"));
        }
        if !filled {
            report.fault(|| format!("piece {piece} is empty"));
        }
        if piece >= next {
            report.fault(|| format!("piece {piece} is beyond the next number, {next}"));
        }
    }
    Ok(())
}

fn check_entries(view: &View<'_>, indexes: &Indexes, report: &mut FsckReport) -> Result<(), TreeError> {
    let built = read_built(view.rows)?;
    let mut expected = Vec::new();
    for index in indexes.0.iter().filter(|index| built.contains(&index.id)) {
        index.entries(view, &Path::root(), &mut |key| {
            expected.push(key);
            Ok(())
        })?;
    }
    expected.sort_unstable();
    let mut expected = expected.into_iter().peekable();
    let given = |id: &[u8]| indexes.0.iter().any(|index| index.id == *id);
    let _all = long::scan(view.rows, &[ENTRIES], &[ENTRIES + 1], Way::Up, &mut |entry, _| {
        let id = entry.get(1..9).unwrap_or_default();
        if !built.iter().any(|built| built == id) {
            report.unbuilt_entries += 1;
            return Ok(ControlFlow::Continue(()));
        }
        report.entries += 1;
        if !given(id) {
            return Ok(ControlFlow::Continue(()));
        }
        while let Some(missing) = expected.next_if(|key| key.as_slice() < entry) {
            report.fault(|| format!("the index entry {missing:02x?} is missing"));
        }
        if expected.next_if(|key| key == entry).is_none() {
            report.fault(|| format!("the index entry {entry:02x?} is of nothing"));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for missing in expected {
        report.fault(|| format!("the index entry {missing:02x?} is missing"));
    }
    Ok(())
}
