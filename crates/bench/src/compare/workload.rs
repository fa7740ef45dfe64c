//! What is asked of every subject: how often which operation, on which keys, with how large values, by how many clients.
//!
//! A workload is plain data, so that it travels to the subject's process and into the report. The names A to F are those
//! of the YCSB core workloads.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What an acknowledged write survives: nothing, or one of the engines' durability levels. Tables never mix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Level {
    /// Nothing outlives the process.
    Memory,
    /// In the kernel before the reply.
    Relaxed,
    /// In the kernel before the reply, on stable storage within 100 ms.
    Interval,
    /// On stable storage before the reply.
    Full,
}

impl Level {
    /// As it is written on the command line.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Relaxed => "relaxed",
            Self::Interval => "interval",
            Self::Full => "full",
        }
    }

    /// The engines' name for it; `None` in memory.
    #[must_use]
    pub(crate) const fn durability(self) -> Option<quintet_core::Durability> {
        match self {
            Self::Memory => None,
            Self::Relaxed => Some(quintet_core::Durability::Relaxed),
            Self::Interval => Some(quintet_core::Durability::Interval),
            Self::Full => Some(quintet_core::Durability::Full),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Memory, Self::Relaxed, Self::Interval, Self::Full]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not one of memory, relaxed, interval, full"))
    }
}

/// Percent of the operations of each kind; together 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mix {
    /// One `Get`.
    pub read: u32,
    /// One `Put` on a key that is there.
    pub update: u32,
    /// One `Put` on a new key.
    pub insert: u32,
    /// 1 to 100 neighbouring keys, asked for at once: `Keyed` has no range, so every subject answers so many `Get`s.
    pub scan: u32,
    /// A `Get`, and after its answer a `Put` on the same key.
    pub read_modify_write: u32,
    /// One `Add` on a counter: the atomic read-modify-write.
    pub add: u32,
}

impl Mix {
    const NONE: Self = Self {
        read: 0,
        update: 0,
        insert: 0,
        scan: 0,
        read_modify_write: 0,
        add: 0,
    };

    /// So many percent reads, the rest updates.
    #[must_use]
    pub(crate) const fn reads(percent: u32) -> Self {
        Self {
            read: percent,
            update: 100 - percent,
            ..Self::NONE
        }
    }

    /// Adds only.
    pub(crate) const ADDS: Self = Self {
        add: 100,
        ..Self::NONE
    };

    /// YCSB's core workload of that letter.
    #[must_use]
    pub(crate) const fn ycsb(letter: char) -> Option<Self> {
        let mix = match letter {
            'a' => Self::reads(50),
            'b' => Self::reads(95),
            'c' => Self::reads(100),
            'd' => Self {
                read: 95,
                insert: 5,
                ..Self::NONE
            },
            'e' => Self {
                scan: 95,
                insert: 5,
                ..Self::NONE
            },
            'f' => Self {
                read: 50,
                read_modify_write: 50,
                ..Self::NONE
            },
            _ => return None,
        };
        Some(mix)
    }

    /// In words.
    #[must_use]
    pub(crate) fn describe(&self) -> String {
        let parts = [
            (self.read, "reads"),
            (self.update, "updates"),
            (self.insert, "inserts"),
            (self.scan, "runs of 1 to 100 keys"),
            (self.read_modify_write, "reads followed by a write"),
            (self.add, "adds to counters"),
        ];
        let shown: Vec<_> = parts
            .iter()
            .filter(|(percent, _)| *percent > 0)
            .map(|(percent, what)| format!("{percent} % {what}"))
            .collect();
        shown.join(", ")
    }
}

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Choice {
    /// Each as often as every other.
    Uniform,
    /// Zipf with the exponent 0.99, ranks scattered over the keys.
    Zipf,
    /// Zipf over the age: the newest most.
    Latest,
}

impl Choice {
    /// In one word.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Latest => "latest",
        }
    }
}

/// Everything that a subject is told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// How often which operation.
    pub mix: Mix,
    /// Which keys.
    pub choice: Choice,
    /// How many keys are there before the clock starts.
    pub keys: u64,
    /// The size of each value; counters have 8 bytes.
    pub value_bytes: usize,
    /// How many threads ask at once.
    pub clients: usize,
    /// How many operations each client keeps on the way. 1 = it waits for each answer.
    pub depth: usize,
    /// What a write survives.
    pub level: Level,
    /// Of every random draw.
    pub seed: u64,
}

impl Workload {
    /// In one line, for a table's head.
    #[must_use]
    pub(crate) fn describe(&self) -> String {
        let depth = match self.depth {
            1 => String::new(),
            depth => format!(", {depth} on the way each"),
        };
        let size = if self.mix.add == 100 {
            "counters".to_owned()
        } else {
            format!("values of {}", bytes(self.value_bytes as u64))
        };
        format!(
            "{}; {} keys, {}, {size}; durability {}{depth}",
            self.mix.describe(),
            count(self.keys),
            self.choice.as_str(),
            self.level
        )
    }

    /// About how much memory a subject needs to hold it.
    #[must_use]
    pub(crate) fn about_bytes(&self) -> u64 {
        self.keys * (self.value_bytes as u64 + 300)
    }
}

/// `1000` as `1k`, `1000000` as `1M`.
#[must_use]
pub(crate) fn count(n: u64) -> String {
    match n {
        n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => format!("{}M", n / 1_000_000),
        n if n >= 1_000 && n.is_multiple_of(1_000) => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

/// `1024` as `1 KiB`.
#[must_use]
pub(crate) fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
        n => format!("{n} B"),
    }
}

/// Reads a number as people write it: `1M`, `100k`, `1KiB`, `16 B`.
///
/// # Errors
/// Says what is accepted.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        other => {
            return Err(format!("unit `{other}` is not one of B, k, M, KiB, MiB"));
        }
    };
    let value: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is not a number such as 1000, 100k, 1M or 1KiB"))?;
    value
        .checked_mul(unit)
        .ok_or_else(|| format!("`{text}` is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!(number("1M"), Ok(1_000_000));
        assert_eq!(number("100k"), Ok(100_000));
        assert_eq!(number("1KiB"), Ok(1024));
        assert_eq!(number("16 B"), Ok(16));
        assert!(number("1 furlong").is_err_and(|why| why.contains("furlong")));
        assert!(number("x").is_err() && number("99999999999999999999").is_err());
        assert!(number("99999999999999999M").is_err());
    }

    #[test]
    fn every_mix_adds_up() {
        for letter in 'a'..='f' {
            let Mix {
                read,
                update,
                insert,
                scan,
                read_modify_write,
                add,
            } = Mix::ycsb(letter).unwrap();
            assert_eq!(read + update + insert + scan + read_modify_write + add, 100);
        }
        assert_eq!(Mix::ycsb('g'), None);
    }
}
