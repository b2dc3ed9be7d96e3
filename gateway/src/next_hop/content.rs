//! Content on its way to the next hop: trace field, what was kept, final dot. What the next hop
//! says before the dot is heard here; the answer behind it is the transaction's.

use super::connection::Connection;
use super::pool::NextHop;
use crate::listen::content::Content;
use mail::smtp::client::{ClientFault, ClientStep};
use mail::smtp::reply::{Class, HeardReply};
use std::sync::Arc;
use std::time::Duration;

/// Whether content is small enough to be sent in one piece, in octets.
const ONE_PIECE_OCTETS_MAX: usize = 48 << 10;

/// What went wrong while content was sent.
pub(super) enum Sending {
    /// The content could not be read back.
    Local,
    /// The connection, before the final dot.
    Lost,
    /// The next hop refused before the final dot, which it never saw.
    Refused(HeardReply),
    /// The connection, in the write that held the final dot.
    LostAtEnd,
}

/// Sends trace field, content and final dot. A small message leaves in one piece.
pub(super) async fn send(
    connection: &mut Connection,
    hop: &NextHop,
    content: &mut Content,
    trace: &str,
    reached: &mut Option<Arc<str>>,
) -> Result<(), Sending> {
    let mut wire = Vec::with_capacity(ONE_PIECE_OCTETS_MAX.min(content.octets() as usize + 1_024));
    connection.session().encode(trace.as_bytes(), |slice| wire.extend_from_slice(slice));
    let patience = hop.settings.data_max;
    match send_content(connection, &mut wire, content, patience).await {
        Err(Sending::Lost) => return Err(said_early(connection).await),
        sent => sent?,
    }
    if connection.overhear().await.is_err() {
        return Err(said_early(connection).await);
    }
    let end = connection.session().finish();
    if end.is_empty() {
        return Err(said_early(connection).await);
    }
    wire.extend_from_slice(end);
    *reached = Some(Arc::clone(&connection.host.name));
    connection.send(&wire, patience).await.map_err(|_| Sending::LostAtEnd)?;
    connection.flush().await.map_err(|_| Sending::LostAtEnd)
}

/// What a next hop says out of turn is no answer to content that it has not seen the end of. But
/// a refusal stands: such a next hop would say the same to every retry.
async fn said_early(connection: &mut Connection) -> Sending {
    let _ = connection.overhear().await;
    if !connection.session().finish().is_empty() {
        return Sending::Lost;
    }
    match connection.session().step() {
        ClientStep::Failed(ClientFault::Unasked(reply))
            if matches!(reply.class(), Class::Transient | Class::Permanent) =>
        {
            Sending::Refused(reply)
        }
        _ => Sending::Lost,
    }
}

async fn send_content(
    connection: &mut Connection,
    wire: &mut Vec<u8>,
    content: &mut Content,
    patience: Duration,
) -> Result<(), Sending> {
    if content.is_in_file() {
        let mut part = Vec::new();
        let mut first = true;
        loop {
            // Read where it may block: the file is ours, without a name, and small reads of it
            // come from memory in all likelihood.
            content.read_part(first, &mut part).map_err(|_| Sending::Local)?;
            first = false;
            if part.is_empty() {
                break;
            }
            transmit(connection, wire, &part, patience).await?;
        }
    }
    // All of it, or what came after the last move to the file.
    for chunk in content.in_memory() {
        transmit(connection, wire, chunk, patience).await?;
    }
    Ok(())
}

/// Encodes a chunk: gathered while it is little, sent as it lies when it is much.
async fn transmit(
    connection: &mut Connection,
    wire: &mut Vec<u8>,
    chunk: &[u8],
    patience: Duration,
) -> Result<(), Sending> {
    let mut slices: Vec<&[u8]> = Vec::new();
    connection.session().encode(chunk, |slice| slices.push(slice));
    for slice in slices {
        if wire.len() + slice.len() <= ONE_PIECE_OCTETS_MAX {
            wire.extend_from_slice(slice);
            continue;
        }
        if !wire.is_empty() {
            connection.send(wire, patience).await.map_err(|_| Sending::Lost)?;
            wire.clear();
        }
        if slice.len() > ONE_PIECE_OCTETS_MAX / 4 {
            connection.send(slice, patience).await.map_err(|_| Sending::Lost)?;
        } else {
            wire.extend_from_slice(slice);
        }
    }
    Ok(())
}
