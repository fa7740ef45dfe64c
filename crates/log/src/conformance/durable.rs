//! What must hold for anything that remembers values through a [`Directory`]: nothing acknowledged is ever lost, what
//! comes back is a prefix of what was given, and nothing that was once lost comes back later.
//!
//! The suites answer a [`Violation`] instead of panicking, so that they can be shown to catch broken stores.

use crate::{CrashDirectory, Directory, Fault, FaultDirectory, MemDirectory};
use quintet_core::{ErrorKind, Result};
use std::{fmt, sync::Arc};

/// A store of values, as the suites see it.
pub trait Durable {
    /// Stores one more value; it need not be durable yet.
    ///
    /// # Errors
    /// Whatever makes the store useless, or that it is out of space.
    fn push(&mut self, value: u64) -> Result<()>;

    /// Commits, and answers how many values, counted from the first one ever, will survive a power cut from now on.
    ///
    /// # Errors
    /// When it cannot tell.
    fn commit(&mut self) -> Result<u64>;

    /// All values, oldest first.
    ///
    /// # Errors
    /// When they cannot be read, or contradict each other.
    fn values(&mut self) -> Result<Vec<u64>>;
}

/// Opens the store in a directory.
pub type Open<'a> = &'a dyn Fn(Arc<dyn Directory>) -> Result<Box<dyn Durable>>;

/// What went wrong, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// How much work a run does.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Values given to an empty store.
    pub values: u64,
    /// Commits come after every so many.
    pub batch: u64,
}

/// Compares what came back with what was given.
fn check(
    found: &[u64],
    given: &[u64],
    acknowledged: u64,
    context: &dyn Fn() -> String,
) -> Result<(), Violation> {
    if let Some(at) = found.iter().zip(given).position(|(found, given)| found != given) {
        let text = format!("value {at} is {:#x}, given was {:#x}", found[at], given[at]);
        return Err(Violation(format!("{}: {text}", context())));
    }
    let (found, given) = (found.len() as u64, given.len() as u64);
    if found > given || found < acknowledged {
        let text = format!("{found} values came back, {acknowledged} were acknowledged and {given} given");
        return Err(Violation(format!("{}: {text}", context())));
    }
    Ok(())
}

/// Gives values and commits, noting each acknowledgement in the record. Unique values tell the runs apart.
fn work(store: &mut dyn Durable, crash: &CrashDirectory, given: &[u64], batch: u64) -> Result<()> {
    for (index, value) in given.iter().enumerate() {
        store.push(*value)?;
        if (index as u64 + 1).is_multiple_of(batch) {
            crash.note(store.commit()?);
        }
    }
    Ok(())
}

/// Runs a workload once, then looks at `images` states that a power cut during it could have left, spread evenly over
/// all moments. In each, the store must open with an acknowledged prefix, take more values, and survive a second cut.
/// Answers how many images were looked at (two per first image).
///
/// # Errors
/// The first violation, with moment and seed.
pub fn survives_power_cuts(
    open: Open<'_>,
    workload: Workload,
    images: u64,
    seed: u64,
) -> Result<u64, Violation> {
    let failed = |error: quintet_core::Error| Violation(format!("the workload itself failed: {error}"));
    let crash = CrashDirectory::new();
    let given: Vec<u64> = (1..=workload.values).map(|number| seed << 40 | number).collect();
    {
        let mut store = open(Arc::new(crash.clone())).map_err(failed)?;
        work(&mut *store, &crash, &given, workload.batch).map_err(failed)?;
    }
    let moments = crash.moments() as u64;
    for index in 0..images {
        let moment = (index * (moments + 1) / images) as usize;
        let image_seed = seed
            .wrapping_mul(0x1_0000_0001)
            .wrapping_add(index % 97 + index / 97 * 1009);
        let image = crash.image(moment, image_seed);
        let acknowledged = crash.noted(moment).unwrap_or(0);
        let context = || format!("power cut at moment {moment} of {moments}, image seed {image_seed}");
        cut_again(
            open,
            &image,
            &given,
            acknowledged,
            workload.batch,
            image_seed,
            &context,
        )?;
    }
    Ok(2 * images)
}

/// Opens an image, checks it, goes on, cuts the power again and checks once more.
fn cut_again(
    open: Open<'_>,
    image: &MemDirectory,
    given: &[u64],
    acknowledged: u64,
    batch: u64,
    seed: u64,
    context: &dyn Fn() -> String,
) -> Result<(), Violation> {
    let failed = |error: quintet_core::Error| Violation(format!("{}: {error}", context()));
    let crash = CrashDirectory::over(image.clone());
    crash.note(acknowledged);
    let mut given_again;
    {
        let mut store = open(Arc::new(crash.clone())).map_err(failed)?;
        given_again = store.values().map_err(failed)?;
        check(&given_again, given, acknowledged, context)?;
        let more = (1..=3 * batch).map(|number| (seed | 1 << 23) << 40 | number);
        let first_new = given_again.len();
        given_again.extend(more);
        work(&mut *store, &crash, &given_again[first_new..], batch).map_err(failed)?;
    }
    let moments = crash.moments() as u64;
    let moment = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % (moments + 1);
    let image = crash.image(moment as usize, seed ^ 0x5555);
    let acknowledged = crash.noted(moment as usize).unwrap_or(0);
    let twice = || format!("{}, again at moment {moment} of {moments}", context());
    let failed = |error: quintet_core::Error| Violation(format!("{}: {error}", twice()));
    let mut store = open(Arc::new(image)).map_err(failed)?;
    let found = store.values().map_err(failed)?;
    check(&found, &given_again, acknowledged, &twice)
}

/// Runs a workload again and again; in run N the Nth I/O fails in the given way, until a run sees no fault. After each,
/// the store is reopened as it is (the process died) and from power-cut images: what was acknowledged must be there.
/// Answers how many faults there were.
///
/// # Errors
/// The first violation, with the I/O's number.
pub fn survives_every_fault(
    open: Open<'_>,
    workload: Workload,
    fault: Fault,
    sticky: bool,
) -> Result<u64, Violation> {
    let given: Vec<u64> = (1..=workload.values).map(|number| 0xfa << 40 | number).collect();
    for nth in 0.. {
        let crash = CrashDirectory::new();
        let faulty = FaultDirectory::new(Arc::new(crash.clone()));
        if sticky {
            faulty.fail_from(nth, fault);
        } else {
            faulty.fail_nth(nth, fault);
        }
        let outcome = open(Arc::new(faulty.clone())).and_then(|mut store| {
            let outcome = work(&mut *store, &crash, &given, workload.batch);
            if let Err(error) = &outcome
                && error.kind() == ErrorKind::Poisoned
            {
                faulty.heal();
                if let Ok(count) = store.push(0).and_then(|()| store.commit()) {
                    crash.note(count | 1 << 63);
                }
            }
            outcome
        });
        let context = || format!("{fault:?} at I/O {nth} (sticky: {sticky})");
        if let Err(error) = outcome
            && !matches!(
                error.kind(),
                ErrorKind::Io | ErrorKind::Full | ErrorKind::Poisoned
            )
        {
            return Err(Violation(format!("{}: unexpected error: {error}", context())));
        }
        let acknowledged = crash.noted(usize::MAX).unwrap_or(0);
        if acknowledged >> 63 == 1 {
            return Err(Violation(format!("{}: a poisoned store went on", context())));
        }
        let images = (0..6).map(|seed| crash.image(crash.moments(), seed));
        for (which, image) in [crash.now()].into_iter().chain(images).enumerate() {
            let context = || format!("{}, image {which}", context());
            let failed = |error: quintet_core::Error| Violation(format!("{}: {error}", context()));
            let mut store = open(Arc::new(image)).map_err(failed)?;
            check(&store.values().map_err(failed)?, &given, acknowledged, &context)?;
        }
        if faulty.fired() == 0 {
            return Ok(nth);
        }
    }
    unreachable!("the loop ends when no fault fires")
}
