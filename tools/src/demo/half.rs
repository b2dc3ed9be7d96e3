//! One half of the demo: a fresh world, the whole stream at one door, and everything counted when
//! the last queue is empty.

use super::DemoError;
use super::figures::{Figures, add_up};
use super::installed::Installed;
use super::progress::Progress;
use super::stream::senders::{Tally, send_all};
use super::stream::{Stream, people};
use super::world::World;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Machines that send at the same time.
const SENDERS_MAX: usize = 48;
/// Between two looks at a queue.
const GLANCE: Duration = Duration::from_millis(5);

/// Straight at the server that cannot say no.
/// # Errors
/// When there can be no listener.
pub async fn without(stream: &Arc<Stream>, progress: &Progress) -> Result<Figures, DemoError> {
    let world = World::start(&people::mailboxes()).await?;
    Ok(play(stream, &world, world.legacy_address, progress).await)
}

/// Through Postern, which is left running.
/// # Errors
/// When there can be no listener, or Postern does not start.
pub async fn with(
    stream: &Arc<Stream>,
    progress: &Progress,
) -> Result<(Figures, World, Installed), DemoError> {
    let mailboxes = people::mailboxes();
    let world = World::start(&mailboxes).await?;
    let postern = Installed::start(&mailboxes, world.legacy_address)?;
    let figures = play(stream, &world, postern.address, progress).await;
    Ok((figures, world, postern))
}

async fn play(
    stream: &Arc<Stream>,
    world: &World,
    door: SocketAddr,
    progress: &Progress,
) -> Figures {
    let tally = Arc::new(Tally::default());
    let watching = progress.watch(stream, world, &tally);
    let begun = Instant::now();
    let slots = Arc::new(Semaphore::new(SENDERS_MAX));
    let mut senders = JoinSet::new();
    for n in 0..stream.senders.len() {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let (stream, tally) = (Arc::clone(stream), Arc::clone(&tally));
        let wire = Arc::clone(&world.internet.wire);
        senders.spawn(async move {
            send_all(&stream.senders[n], door, &wire, &tally).await;
            drop(slot);
        });
    }
    while senders.join_next().await.is_some() {}
    while world.legacy.waiting() > 0 {
        tokio::time::sleep(GLANCE).await;
    }
    let figures = add_up(stream, world, &tally, begun.elapsed());
    drop(watching);
    figures
}
