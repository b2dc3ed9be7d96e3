//! How far the reading of a list is, on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::OnceCell;

/// A line on standard error, from the first that is told; none where that is no terminal.
#[derive(Default)]
pub(super) struct Reading(OnceCell<ProgressBar>);

impl Reading {
    pub(super) fn show(&self, source: &str, addresses: u64) {
        let bar = self.0.get_or_init(|| {
            let bar = ProgressBar::no_length();
            // It stays silent where nobody looks.
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(
                "  {spinner} reading {msg}: {human_pos} addresses, {elapsed}",
            ) {
                bar.set_style(style);
            }
            bar.set_message(source.to_owned());
            bar
        });
        bar.set_position(addresses);
    }

    pub(super) fn end(&self) {
        if let Some(bar) = self.0.get() {
            bar.finish_and_clear();
        }
    }
}
