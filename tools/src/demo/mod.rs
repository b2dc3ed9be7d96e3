//! `postern demo`: the same mail twice, without Postern and with it, on one machine and on
//! loopback. `stream` is the mail, `world` the servers around us, `half` one run, `figures` what
//! is counted, `table` how it is told, `live` what comes after.
//! Limits: the source addresses 127.1.2.3 and the like are at hand on Linux only.

pub mod figures;
pub mod half;
pub mod installed;
pub mod live;
pub mod progress;
pub mod stream;
pub mod table;
pub mod wire;
pub mod world;

use figures::{Figures, Report};
use gateway::run::StartError;
use installed::Installed;
use mail::address::AddressError;
use progress::Progress;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use stream::{Size, Stream};
use table::Paint;
use thiserror::Error;
use world::World;

/// Why the demo cannot be given.
#[derive(Debug, Error)]
pub enum DemoError {
    /// Sockets, files, standard output.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Postern did not start.
    #[error("Postern did not start: {0}")]
    Start(#[from] StartError),
    /// Postern did not like its configuration.
    #[error("{0}")]
    Configuration(String),
    /// Postern listens nowhere.
    #[error("Postern listens nowhere")]
    Listener,
    /// A name in the stream is none.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// Only 127.0.0.1 is at hand.
    #[error(
        "the senders of the demo need addresses of their own, such as 127.1.2.3, and this system \
         has none ({0}); Linux has them without further ado"
    )]
    Loopback(io::Error),
}

/// What the reader wants to see.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// How much mail.
    pub size: Size,
    /// Which mail.
    pub seed: u64,
    /// To leave after the table.
    pub once: bool,
    /// One JSON object, and nothing else.
    pub json: bool,
    /// Colour on standard output.
    pub colour: bool,
    /// Whether to draw what moves.
    pub progress: Progress,
}

/// Gives the demo; whether the promise was kept.
/// # Errors
/// When it cannot be given.
pub async fn give(wishes: &Wishes, out: &mut dyn Write) -> Result<bool, DemoError> {
    let paint = Paint { colour: wishes.colour };
    let tell = !wishes.json;
    let (report, _world, postern) = compare(wishes, |moment| {
        let text = match moment {
            Moment::Without(messages) => table::before_without(messages, paint),
            Moment::With(without) => table::between(without, paint),
        };
        if tell { out.write_all(text.as_bytes()).and_then(|()| out.flush()) } else { Ok(()) }
    })
    .await?;
    if wishes.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
        postern.stop(false).await;
        return Ok(report.promise_kept);
    }
    out.write_all(table::table(&report, paint).as_bytes())?;
    if wishes.once {
        writeln!(out, "  Postern's log: {}", postern.log.display())?;
    } else {
        postern.settle().await;
        out.write_all(live::invitation(&postern).as_bytes())?;
        out.flush()?;
        live::show(&postern.log, out).await?;
    }
    postern.stop(true).await;
    Ok(report.promise_kept)
}

/// When there is something to be told.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// Before the first half, with so many messages.
    Without(u64),
    /// Before the second half, with what the first came to.
    With(&'a Figures),
}

/// Plays both halves. What they ran in is given back running.
/// # Errors
/// When it cannot be done, or `tell` fails.
pub async fn compare(
    wishes: &Wishes,
    mut tell: impl FnMut(Moment<'_>) -> io::Result<()>,
) -> Result<(Report, World, Installed), DemoError> {
    has_addresses().map_err(DemoError::Loopback)?;
    let stream = Arc::new(Stream::new(&wishes.size, wishes.seed)?);
    tell(Moment::Without(stream.letters().count() as u64))?;
    let without = half::without(&stream, &wishes.progress).await?;
    tell(Moment::With(&without))?;
    let (with, world, postern) = half::with(&stream, &wishes.progress).await?;
    Ok((Report::new(wishes.seed, &stream, without, with), world, postern))
}

fn has_addresses() -> io::Result<()> {
    std::net::TcpListener::bind((Ipv4Addr::new(127, 1, 2, 3), 0)).map(drop)
}
