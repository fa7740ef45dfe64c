//! The load: a few clients write at once, noting each step before and after the tree answers.
//!
//! The process ends without closing the tree. On a disk that the recorder makes fail, a client stops at the first error that
//! is not a lack of room, after it has seen that reads go on.

use crate::{
    Task,
    script::{self, CLIENTS, Note, State, Step, WRITES},
};
use quintet_core::ErrorKind;
use quintet_log::recording::note;
use quintet_tree::{Config, Index, OrderBy, Tree, Value};
use std::{
    error::Error,
    fs::{File, OpenOptions},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// What the load prints when the failing disk was noticed.
const FAULT_MET: &str = "fault met";

pub(crate) fn config(task: &Task) -> Config {
    Config {
        durability: task.durability,
        map_bytes: 1 << 30,
        indexes: indexes(),
        ..Config::new(&task.dir)
    }
}

pub(crate) fn indexes() -> Vec<Index> {
    let stamp = [
        OrderBy::Value,
        OrderBy::Child(quintet_tree::Path::from_names(["stamp"]).unwrap_or_default()),
    ];
    stamp.into_iter().map(|on| Index { at: "*".into(), on }).collect()
}

pub(crate) fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    let recording = OpenOptions::new().append(true).open(&task.recording)?;
    let failing_disk = std::env::var_os("QUINTET_FAIL_NTH").is_some();
    let tree = match Tree::open(config(task)) {
        Err(error) if failing_disk => {
            println!("{FAULT_MET}: the tree did not open: {error}");
            return Ok(());
        }
        opened => opened?,
    };
    let failed = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (tree, recording, failed) = (&tree, &recording, &failed);
                scope.spawn(move || {
                    let mut client = Client {
                        tree,
                        recording,
                        client,
                        state: State::new(),
                        refused: false,
                    };
                    let outcome = client.run(task.seed);
                    failed.fetch_or(client.refused, Ordering::Relaxed);
                    match outcome {
                        Err(error) if failing_disk => {
                            failed.store(true, Ordering::Relaxed);
                            client.expect_reads(&*error)
                        }
                        other => other.map_err(|error| error.to_string()),
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a client panicked".to_owned())?)
    })?;
    if failing_disk && failed.into_inner() {
        println!("{FAULT_MET}: a client met the fault");
    }
    // Not closed: the recording ends in the middle of things.
    std::process::exit(0);
}

/// One thread's documents.
struct Client<'a> {
    tree: &'a Tree,
    recording: &'a File,
    client: u8,
    state: State,
    /// The tree said that it is full.
    refused: bool,
}

impl Client<'_> {
    fn tell(&self, step: Step, write: u32) -> std::io::Result<()> {
        let client = self.client;
        note(self.recording, &Note { step, client, write }.encode())
    }

    fn run(&mut self, seed: u64) -> Result<(), Box<dyn Error>> {
        for write in 0..WRITES {
            if self.client == 0 && write % 8 == 4 {
                self.declare(write)?;
            }
            let changes = script::changes(seed, self.client, write);
            let request = script::write(self.client, &changes)?;
            self.tell(Step::Begun, write)?;
            match self.tree.write_blocking(request) {
                Ok(_) => {
                    self.tell(Step::Acknowledged, write)?;
                    script::apply(&mut self.state, changes);
                }
                Err(error) if error.kind() == ErrorKind::Full => {
                    self.refused = true;
                    self.tell(Step::Refused, write)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Other indexes each time, while the others write.
    fn declare(&mut self, write: u32) -> Result<(), Box<dyn Error>> {
        let mut indexes = indexes();
        indexes.truncate((write / 8 % 3) as usize);
        match self.tree.reindex(&indexes) {
            Err(error) if error.kind() == ErrorKind::Full => self.refused = true,
            other => other?,
        }
        Ok(())
    }

    /// After a failed write: what was acknowledged still reads back, unless the write in question came after all.
    fn expect_reads(&self, error: &dyn Error) -> Result<(), String> {
        for (name, value) in &self.state {
            let read = || -> Result<Value, Box<dyn Error>> {
                Ok(self
                    .tree
                    .get(&script::home(self.client)?.join(&script::place(*name)?)?)?)
            };
            let read = read().map_err(|read| format!("after `{error}` reads fail: {read}"))?;
            if read != *value && read["stamp"][0].as_u64() < value["stamp"][0].as_u64() {
                return Err(format!("after `{error}` document {name} does not read back"));
            }
        }
        Ok(())
    }
}
