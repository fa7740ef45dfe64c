//! How far a long command is: a bar on standard error where that is a terminal, and nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use quintet_blockstore::Progress;
use std::time::Duration;

/// A bar that goes away when it is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar for what the command counts.
    pub(crate) fn new(verb: &'static str) -> Self {
        let bar = ProgressBar::new(0).with_message(verb);
        let template = "{msg} {wide_bar} {human_pos}/{human_len} blocks, {prefix}, {eta} left";
        // The template is a constant; were it wrong, the plain bar would do.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Moves it.
    pub(crate) fn show(&self, progress: Progress) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_length(progress.total_blocks.max(progress.done_blocks));
        self.0.set_position(progress.done_blocks);
        self.0
            .set_prefix(crate::size::ByteSize(progress.done_bytes).to_string());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
