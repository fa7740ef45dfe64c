//! Which shapes of workload are measured, with how much effort: the bare run, everything, one of the reader's own, smoke.

use super::{
    record::Axis,
    workload::{Choice, Level, Mix, Workload, bytes, count},
};

/// Of every draw, unless the command line says otherwise.
pub(super) const SEED: u64 = 42;
/// How many clients the tables go through.
pub(super) const CLIENTS: [u64; 4] = [1, 2, 4, 64];

/// One section to measure.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) workload: Workload,
    pub(super) axis: Axis,
    pub(super) points: Vec<u64>,
    /// Operations a second of the open loop.
    pub(super) rates: Vec<f64>,
    /// Every subject of the level, or those that take part when nobody asks for all.
    pub(super) everybody: bool,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) repetitions: usize,
    pub(super) window_ms: u64,
    pub(super) latency_repetitions: usize,
    pub(super) latency_ms: u64,
    pub(super) idle_ms: u64,
}

impl Effort {
    /// For somebody who waits.
    pub(super) const QUICK: Self = Self {
        repetitions: 5,
        window_ms: 100,
        latency_repetitions: 1,
        latency_ms: 700,
        idle_ms: 150,
    };
    /// For a report.
    pub(super) const FULL: Self = Self {
        repetitions: 5,
        window_ms: 200,
        latency_repetitions: 3,
        latency_ms: 1000,
        idle_ms: 300,
    };
    /// For the gate: whether everything works.
    pub(super) const SMOKE: Self = Self {
        repetitions: 1,
        window_ms: 8,
        latency_repetitions: 1,
        latency_ms: 20,
        idle_ms: 5,
    };
}

const BASE: Workload = Workload {
    mix: Mix::reads(95),
    choice: Choice::Zipf,
    keys: 100_000,
    value_bytes: 1024,
    clients: 4,
    depth: 1,
    level: Level::Memory,
    seed: SEED,
};

fn by_clients(id: &str, title: &str, workload: Workload, rates: &[f64]) -> Shape {
    Shape {
        id: id.to_owned(),
        title: title.to_owned(),
        workload,
        axis: Axis::Clients,
        points: CLIENTS.to_vec(),
        rates: rates.to_vec(),
        everybody: false,
    }
}

/// The three shapes of the bare run.
pub(super) fn headline() -> Vec<Shape> {
    vec![
        by_clients(
            "cache",
            "A cache: many reads, few updates, some keys much hotter than others",
            Workload {
                value_bytes: 128,
                ..BASE
            },
            &[50_000.0],
        ),
        by_clients(
            "counters",
            "Hot counters: everybody adds to the same 16 keys",
            Workload {
                mix: Mix::ADDS,
                choice: Choice::Uniform,
                keys: 16,
                value_bytes: 8,
                ..BASE
            },
            &[50_000.0],
        ),
        by_clients(
            "durable",
            "A durable store: half reads, half updates, on stable storage before the reply",
            Workload {
                mix: Mix::reads(50),
                keys: 10_000,
                clients: 4,
                level: Level::Full,
                ..BASE
            },
            &[500.0],
        ),
    ]
}

/// YCSB's six core workloads at one level.
fn ycsb(level: Level, keys: u64, rates: &[f64]) -> impl Iterator<Item = Shape> {
    ('a'..='f').filter_map(move |letter| {
        let title = match letter {
            'a' => "update heavy",
            'b' => "read mostly",
            'c' => "read only",
            'd' => "read latest",
            'e' => "short ranges",
            _ => "read-modify-write",
        };
        let workload = Workload {
            mix: Mix::ycsb(letter)?,
            choice: if letter == 'd' {
                Choice::Latest
            } else {
                Choice::Zipf
            },
            keys,
            level,
            ..BASE
        };
        let id = format!("ycsb-{letter}-{level}");
        let title = format!(
            "YCSB {}, {title}, durability {level}",
            letter.to_ascii_uppercase()
        );
        // Ranges are many operations each: the rates of the others would drown everybody.
        let rates = if letter == 'e' { &[] } else { rates };
        let mut shape = by_clients(&id, &title, workload, rates);
        shape.everybody = true;
        Some(shape)
    })
}

/// Every section of the full run, in groups that can be measured one at a time.
pub(super) fn everything() -> Vec<Shape> {
    let mut shapes: Vec<Shape> = headline();
    for shape in &mut shapes {
        shape.everybody = true;
        shape.rates = match shape.workload.level {
            Level::Memory => vec![50_000.0, 200_000.0],
            _ => vec![500.0, 2_000.0],
        };
    }
    shapes.extend(ycsb(Level::Memory, BASE.keys, &[50_000.0]));
    shapes.extend(ycsb(Level::Full, 20_000, &[1_000.0]));
    for level in [Level::Relaxed, Level::Interval] {
        let workload = Workload {
            mix: Mix::reads(50),
            keys: 20_000,
            level,
            ..BASE
        };
        let title = format!("YCSB A, update heavy, durability {level}");
        let mut shape = by_clients(&format!("ycsb-a-{level}"), &title, workload, &[10_000.0]);
        shape.everybody = true;
        shapes.push(shape);
    }
    for (choice, letter) in [(Choice::Uniform, 'a'), (Choice::Uniform, 'b')] {
        let workload = Workload {
            mix: Mix::ycsb(letter).unwrap_or(BASE.mix),
            choice,
            ..BASE
        };
        let title = format!("YCSB {} on uniform keys", letter.to_ascii_uppercase());
        let mut shape = by_clients(&format!("ycsb-{letter}-uniform"), &title, workload, &[]);
        shape.everybody = true;
        shapes.push(shape);
    }
    let mut batched = by_clients(
        "cache-batched",
        "The same cache when each client asks 32 things at once",
        Workload {
            value_bytes: 128,
            depth: 32,
            ..BASE
        },
        &[],
    );
    batched.everybody = true;
    shapes.push(batched);
    shapes.push(contention());
    shapes.extend([Level::Memory, Level::Full].map(sizes));
    shapes
}

/// From one hot counter to a million that nobody shares.
fn contention() -> Shape {
    Shape {
        id: "contention".into(),
        title: "Contention: two clients add to one counter, to 16, to a million".into(),
        workload: Workload {
            mix: Mix::ADDS,
            choice: Choice::Uniform,
            keys: 1,
            value_bytes: 8,
            clients: 2,
            ..BASE
        },
        axis: Axis::Keys,
        points: vec![1, 16, 1_000, 100_000, 1_000_000],
        rates: Vec::new(),
        everybody: true,
    }
}

fn sizes(level: Level) -> Shape {
    Shape {
        id: format!("sizes-{level}"),
        title: format!("Sizes of values: 16 B, 1 KiB, 16 KiB, durability {level}"),
        workload: Workload {
            mix: Mix::reads(if level == Level::Memory { 95 } else { 50 }),
            keys: 5_000,
            clients: 2,
            level,
            ..BASE
        },
        axis: Axis::ValueBytes,
        points: vec![16, 1024, 16 << 10],
        rates: Vec::new(),
        everybody: true,
    }
}

/// The reader's own workload.
pub(super) fn mine(workload: Workload) -> Shape {
    let mut points = CLIENTS.to_vec();
    points.push(workload.clients as u64);
    points.sort_unstable();
    points.dedup();
    let title = format!(
        "Yours: {} keys, values of {}, {} clients, durability {}",
        count(workload.keys),
        bytes(workload.value_bytes as u64),
        workload.clients,
        workload.level
    );
    let rate = if workload.level == Level::Full {
        500.0
    } else {
        20_000.0
    };
    Shape {
        points,
        everybody: true,
        ..by_clients("mine", &title, workload, &[rate])
    }
}

/// A moment of everything that has a code path of its own.
pub(super) fn smoke() -> Vec<Shape> {
    let mut shapes = everything();
    let kept = |id: &str| {
        [
            "cache",
            "cache-batched",
            "counters",
            "durable",
            "ycsb-e-memory",
            "ycsb-f-memory",
            "ycsb-d-full",
            "ycsb-a-relaxed",
            "ycsb-a-interval",
            "sizes-memory",
        ]
        .contains(&id)
    };
    shapes.retain(|shape| kept(&shape.id));
    for shape in &mut shapes {
        shape.workload.keys = shape.workload.keys.min(200);
        shape.rates.truncate(1);
        shape.points.truncate(2);
        if shape.axis == Axis::Clients {
            shape.workload.clients = 2;
        }
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_a_name_of_its_own_and_its_main_point() {
        let shapes = everything();
        for (at, shape) in shapes.iter().enumerate() {
            assert!(
                shapes[..at].iter().all(|other| other.id != shape.id),
                "{} is there twice",
                shape.id
            );
            let main = match shape.axis {
                Axis::Clients => shape.workload.clients as u64,
                Axis::Keys => shape.workload.keys,
                Axis::ValueBytes => shape.workload.value_bytes as u64,
            };
            assert!(shape.points.contains(&main), "{}", shape.id);
            assert!(shape.points.is_sorted());
        }
        assert_eq!(headline().len(), 3);
    }
}
