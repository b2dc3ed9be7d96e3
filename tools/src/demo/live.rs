//! After the table: Postern stays up for the reader's own mail, and its log is shown as it grows.

use super::installed::Installed;
use super::stream::people::DOMAIN;
use std::io::{self, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

const GLANCE: Duration = Duration::from_millis(100);

/// The lines to paste.
#[must_use]
pub fn invitation(postern: &Installed) -> String {
    let address = postern.address;
    format!(
        "\n  Try it yourself: Postern listens on {address} until you press Ctrl-C.\n\n\
         \x20 Somebody who exists:\n\
         \x20   swaks --server {address} --from you@far.example --to linda@{DOMAIN}\n\
         \x20 Nobody:\n\
         \x20   swaks --server {address} --from you@far.example --to nobody@{DOMAIN}\n\n\
         \x20 Its log, as it happens ({}):\n\n",
        postern.log.display()
    )
}

/// Shows what is added to the log until Ctrl-C.
/// # Errors
/// When the log cannot be read or standard output is gone.
pub async fn show(log: &Path, out: &mut dyn Write) -> io::Result<()> {
    let mut file = File::open(log).await?;
    file.seek(SeekFrom::End(0)).await?;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut line = Vec::new();
    loop {
        tokio::select! {
            pressed = &mut interrupt => return pressed,
            () = tokio::time::sleep(GLANCE) => {}
        }
        file.read_to_end(&mut line).await?;
        // What is not yet a whole line waits.
        let Some(end) = memchr::memrchr(b'\n', &line) else { continue };
        out.write_all(&line[..=end])?;
        out.flush()?;
        line.drain(..=end);
    }
}
