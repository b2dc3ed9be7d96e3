//! What moves while a half runs, on a terminal only.

use super::stream::Stream;
use super::stream::senders::Tally;
use super::world::World;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinHandle;

const REDRAW: Duration = Duration::from_millis(100);

/// Whether there is something to draw on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Standard error is a terminal.
    Shown,
    /// It is not, or nobody wants to see it.
    Hidden,
}

/// Draws until it is dropped.
pub struct Watching(Option<(JoinHandle<()>, ProgressBar)>);

impl Progress {
    /// Begins to draw.
    #[must_use]
    pub fn watch(self, stream: &Stream, world: &World, tally: &Arc<Tally>) -> Watching {
        if self == Self::Hidden {
            return Watching(None);
        }
        let bar = ProgressBar::new(stream.letters().count() as u64);
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let template = "  {bar:28} {pos:>5} of {len} messages{msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let (tally, drawn) = (Arc::clone(tally), bar.clone());
        let (legacy, internet) = (Arc::clone(&world.legacy), Arc::clone(&world.internet));
        let task = tokio::spawn(async move {
            loop {
                drawn.set_position(tally.done.load(Relaxed));
                let (sent, waiting) = (internet.notices_count(), legacy.waiting());
                drawn.set_message(format!(", {sent} NDRs sent, {waiting} queued"));
                tokio::time::sleep(REDRAW).await;
            }
        });
        Watching(Some((task, bar)))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some((task, bar)) = &self.0 {
            task.abort();
            bar.finish_and_clear();
        }
    }
}
