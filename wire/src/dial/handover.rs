//! Content on its way to the next hop: trace field, what is read from anywhere, final dot.
//! What the next hop says before the dot is heard here; the answer behind it is the caller's.

use super::connection::Connection;
use crate::content::Parts;
use mail::smtp::client::{ClientFault, ClientStep};
use mail::smtp::reply::{Class, HeardReply};
use std::sync::Arc;
use std::time::Duration;

/// Whether content is small enough to be sent in one piece, in octets.
const ONE_PIECE_OCTETS_MAX: usize = 48 << 10;

/// What went wrong while content was sent.
#[derive(Debug)]
pub enum Sending {
    /// The content could not be read back.
    Local,
    /// The connection, before the final dot.
    Lost,
    /// The next hop refused before the final dot, which it never saw.
    Refused(HeardReply),
    /// The connection, in the write that held the final dot.
    LostAtEnd,
}

/// Sends trace field, content and final dot, behind 354; waits at most `patience` for each write. A
/// small message leaves in one piece. `reached` names the host as soon as it may have seen the dot.
/// # Errors
/// When the next hop may not have taken all of it.
pub async fn send(
    connection: &mut Connection,
    content: &mut impl Parts,
    trace: &str,
    patience: Duration,
    reached: &mut Option<Arc<str>>,
) -> Result<(), Sending> {
    let mut wire = Vec::with_capacity(ONE_PIECE_OCTETS_MAX.min(content.octets() as usize + 1_024));
    connection.session().encode(trace.as_bytes(), |slice| wire.extend_from_slice(slice));
    match send_content(connection, &mut wire, content, patience).await {
        Err(Sending::Lost) => return Err(spoken_early(connection)),
        sent => sent?,
    }
    if connection.overhear().is_err() {
        return Err(spoken_early(connection));
    }
    let end = connection.session().finish();
    if end.is_empty() {
        return Err(spoken_early(connection));
    }
    wire.extend_from_slice(end);
    *reached = Some(Arc::clone(&connection.host.name));
    connection.send(&wire, patience).await.map_err(|_| Sending::LostAtEnd)?;
    connection.flush().await.map_err(|_| Sending::LostAtEnd)
}

/// What a next hop says out of turn is no answer to content that it has not seen the end of. But
/// a refusal stands: such a next hop would say the same to every retry.
fn spoken_early(connection: &mut Connection) -> Sending {
    let _ = connection.overhear();
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
    content: &mut impl Parts,
    patience: Duration,
) -> Result<(), Sending> {
    // Read where it may block: see `Parts`.
    while let Some(part) = content.next_part().map_err(|_| Sending::Local)? {
        transmit(connection, wire, part, patience).await?;
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
