//! The log as the durability suites see it, at each level and with a companion, and the ways to break it.

use crate::support::small;
use quintet_core::{Durability, Error, ErrorKind, Result, Seq, SystemClock};
use quintet_log::{Directory, File, Log, LogConfig, LogError, OpenMode, conformance::durable::Durable};
use std::sync::Arc;

/// How a [`LogStore`] is set up, or broken.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) durability: Durability,
    /// Values live in a data file; records name their place.
    pub(crate) data_file: bool,
    /// The log knows about the data file.
    pub(crate) companion: bool,
    /// Acknowledges without waiting.
    pub(crate) hasty: bool,
    /// A record may outlive its bytes: the replay looks, and ends the log there.
    pub(crate) verifies: bool,
    /// Says that it looks, and takes a record without its bytes for damage.
    pub(crate) trusts: bool,
    /// Below level full: how often commits sync.
    pub(crate) sync_every: u64,
}

pub(crate) const FULL: Setup = Setup {
    durability: Durability::Full,
    data_file: false,
    companion: false,
    hasty: false,
    verifies: false,
    trusts: false,
    sync_every: 0,
};

pub(crate) const INTERVAL: Setup = Setup {
    durability: Durability::Interval,
    sync_every: 4,
    ..FULL
};

pub(crate) const WITH_DATA: Setup = Setup {
    data_file: true,
    companion: true,
    ..FULL
};

/// Data file and log are synced together, so the replay looks.
pub(crate) const WITH_VERIFIED_DATA: Setup = Setup {
    verifies: true,
    ..WITH_DATA
};

pub(crate) const INTERVAL_WITH_DATA: Setup = Setup {
    data_file: true,
    companion: true,
    verifies: true,
    ..INTERVAL
};

pub(crate) struct LogStore {
    log: Log,
    setup: Setup,
    values: Vec<u64>,
    data: Option<Arc<dyn File>>,
    commits: u64,
}

/// A value's bytes: itself, and padding whose length and bytes follow from it.
fn encode(value: u64) -> Vec<u8> {
    let len = (value % 1000 * 37 % 400) as usize;
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.extend((0..len).map(|at| (value as usize).wrapping_add(at) as u8));
    bytes
}

fn decode(bytes: &[u8]) -> Result<u64> {
    let head = bytes.first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
    if encode(head) != bytes {
        return Err(Error::new(
            ErrorKind::Corrupted,
            format!("{head:#x} came back with other bytes"),
        ));
    }
    Ok(head)
}

pub(crate) fn open(directory: Arc<dyn Directory>, setup: Setup) -> Result<Box<dyn Durable>> {
    let data = match setup.data_file {
        true => {
            let file = directory.open("data", OpenMode::Create)?;
            directory.sync()?;
            Some(file)
        }
        false => None,
    };
    let config = LogConfig {
        companions: data.iter().filter(|_| setup.companion).cloned().collect(),
        verified: setup.verifies,
        ..small(setup.durability)
    };
    let mut values = Vec::new();
    let replay = &mut |seq: Seq, record: &[u8]| {
        assert_eq!(seq.0, values.len() as u64 + 1);
        match &data {
            None => values.push(decode(record)?),
            Some(file) => {
                let value = u64::from_le_bytes(record.try_into().unwrap());
                let mut bytes = vec![0; encode(value).len()];
                // Past the end there are zeros: missing too.
                file.read_at(&mut bytes, (seq.0 - 1) * 512)?;
                if bytes != encode(value) {
                    return match setup.verifies && !setup.trusts {
                        true => Err(LogError::BytesMissing { seq: seq.0 }.into()),
                        false => Err(Error::new(
                            ErrorKind::Conflict,
                            format!("record {seq} names missing bytes"),
                        )),
                    };
                }
                values.push(value);
            }
        }
        Ok(())
    };
    let (log, _) = Log::open(directory, config, Arc::new(SystemClock), Seq::ZERO, replay)?;
    Ok(Box::new(LogStore {
        log,
        setup,
        values,
        data,
        commits: 0,
    }))
}

impl Durable for LogStore {
    fn push(&mut self, value: u64) -> Result<()> {
        match &self.data {
            None => drop(self.log.append(&encode(value))?),
            Some(file) => {
                let place = self.values.len() as u64 * 512;
                file.write_at(&encode(value), place)?;
                self.log.append(&value.to_le_bytes())?;
            }
        }
        self.values.push(value);
        Ok(())
    }

    fn commit(&mut self) -> Result<u64> {
        self.commits += 1;
        if self.setup.hasty {
            self.log.commit()?;
            return Ok(self.log.last().0);
        }
        match self.setup.durability {
            Durability::Full => {
                self.log.commit()?;
                self.log.wait_durable(self.log.last(), None)?;
                Ok(self.log.durable()?.0)
            }
            _ => {
                self.log.commit()?;
                if self.commits.is_multiple_of(self.setup.sync_every) {
                    self.log.sync()?;
                }
                Ok(self.log.synced().0)
            }
        }
    }

    fn values(&mut self) -> Result<Vec<u64>> {
        Ok(self.values.clone())
    }
}
