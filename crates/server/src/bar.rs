//! How far a long command is: a bar on standard error where that is a terminal, and nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// What a command counts.
#[cfg(feature = "blockstore")]
const BLOCKS: &str = "{msg} {wide_bar} {human_pos}/{human_len} blocks, {prefix}, {eta} left";
const BYTES: &str = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {eta} left";

/// A bar that goes away when it is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar for blocks.
    #[cfg(feature = "blockstore")]
    pub(crate) fn blocks(verb: &'static str) -> Self {
        Self::with(verb, BLOCKS)
    }

    /// A bar for bytes.
    pub(crate) fn bytes(verb: &'static str) -> Self {
        Self::with(verb, BYTES)
    }

    fn with(verb: &'static str, template: &str) -> Self {
        let bar = ProgressBar::new(0).with_message(verb).with_prefix("0 B");
        // The template is a constant; were it wrong, the plain bar would do.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Moves a bar for blocks.
    #[cfg(feature = "blockstore")]
    pub(crate) fn show(&self, progress: quintet_blockstore::Progress) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_length(progress.total_blocks.max(progress.done_blocks));
        self.0.set_position(progress.done_blocks);
        self.0
            .set_prefix(crate::size::ByteSize(progress.done_bytes).to_string());
    }

    /// Says something else.
    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// Whether nobody sees it.
    pub(crate) fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Moves a bar for bytes; the total may be a guess.
    pub(crate) fn show_bytes(&self, done: u64, total: u64) {
        self.0.set_length(total.max(done));
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
