//! The design's scenario: a thousand workers, a thousand session keys, each worker at its own.

use super::{
    Effort,
    embedded::{Map, key_names, millions_a_second, plain, random},
    grid,
};
use crate::measure::{Subject, alternate};
use anyhow::Result;
use quintet_kv::Store;
use std::{
    sync::{Barrier, Mutex, RwLock},
    thread,
    time::Instant,
};

pub(super) const NAMES: [&str; 3] = [
    "one Mutex<HashMap>, 1000 sessions",
    "one RwLock<HashMap>, 1000 sessions",
    "quintet-kv, 1000 sessions",
];

fn rate<'n>(map: &dyn Map, names: &'n [String], operations: usize, writes: u64) -> f64 {
    let start = Barrier::new(names.len());
    let spans = thread::scope(|scope| {
        let work = |(number, name): (usize, &'n String)| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let begun = Instant::now();
                let (mut state, mut found) = (number as u64 + 1, 0);
                for _ in 0..operations {
                    if writes > 0 && random(&mut state) % 100 < writes {
                        map.set(name.as_bytes(), b"a session's state, a little longer than short");
                    } else {
                        found += map.get(name.as_bytes());
                    }
                }
                std::hint::black_box(found);
                (begun, Instant::now())
            })
        };
        let workers: Vec<_> = names.iter().enumerate().map(work).collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .collect()
    });
    millions_a_second(names.len() * operations, spans)
}

pub(super) fn run(effort: &Effort) -> Result<Vec<String>> {
    let names = key_names(effort.workers);
    let maps: [(&str, Box<dyn Map>); 3] = [
        (NAMES[0], Box::new(Mutex::new(plain()))),
        (NAMES[1], Box::new(RwLock::new(plain()))),
        (NAMES[2], Box::new(Store::in_memory())),
    ];
    for (_, map) in &maps {
        names.iter().for_each(|name| map.set(name.as_bytes(), b"new"));
    }
    let subjects = maps.iter().map(|(name, map)| {
        let names = &names;
        Subject::several(name, move || {
            [0, 5, 50]
                .map(|writes| rate(&**map, names, effort.worker_operations, writes))
                .to_vec()
        })
    });
    let samples = alternate(subjects.collect(), effort.repetitions);
    let title = format!("{} workers, a key each", names.len());
    let columns = ["reads, M/s", "5 % writes", "50 % writes"];
    Ok(vec![grid(&title, &columns, &samples)])
}
