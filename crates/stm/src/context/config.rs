//! [`ContextConfig`]: the limits of a context. Every one is here, with unit, default and range.

use crate::{Error, Result};

/// The limits of a context. Checked by [`validate`](Self::validate) when it is made.
#[derive(Clone, Debug)]
pub struct ContextConfig {
    /// How many change sets are kept in memory for history, diff and replay. Default 1000; 1 to 1 000 000. Each holds the
    /// old and new values of what it changed.
    pub history: usize,
    /// The most values at one time. Default 4 194 304; 1 to 2^30.
    pub max_keys: usize,
    /// The largest value, in bytes. Default 16 MiB; 16 bytes to 1 GiB.
    pub max_value_bytes: usize,
    /// The largest value in the heavy zone, in bytes. Default 1 GiB; 16 bytes to 16 GiB. Heavy values are not logged.
    pub max_heavy_bytes: usize,
    /// How many paths one transaction may write. Default 65 536; 1 to 2^20.
    pub max_writes: usize,
    /// How many messages may wait for delivery. Default 65 536; 1 to 2^24.
    pub max_messages: usize,
    /// Whether raw writes enter the history too. Default `false`: a raw write then costs no more than the write itself,
    /// and `replay` does not know of it. In a durable context raw writes are always recorded.
    pub record_raw: bool,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self {
            history: 1000,
            max_keys: 4 << 20,
            max_value_bytes: 16 << 20,
            max_heavy_bytes: 1 << 30,
            max_writes: 1 << 16,
            max_messages: 1 << 16,
            record_raw: false,
        }
    }
}

impl ContextConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Error::InvalidOperation`] that names the field, its value and the bounds.
    pub fn validate(&self) -> Result<()> {
        for (field, value, least, most) in [
            ("history", self.history, 1, 1_000_000),
            ("max_keys", self.max_keys, 1, 1 << 30),
            ("max_value_bytes", self.max_value_bytes, 16, 1 << 30),
            ("max_heavy_bytes", self.max_heavy_bytes, 16, 16 << 30),
            ("max_writes", self.max_writes, 1, 1 << 20),
            ("max_messages", self.max_messages, 1, 1 << 24),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Error::InvalidOperation {
                    at: field.into(),
                    reason: format!("{value} is not between {least} and {most}"),
                });
            }
        }
        Ok(())
    }
}
