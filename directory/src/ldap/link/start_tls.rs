//! The StartTLS operation (RFC 4511 §4.14), spoken before the library takes over: it can begin TLS
//! only on a connection that nobody screens. The handshake itself is left to `link.rs`.

use super::super::trouble::{Asked, Problem, of_code, of_io};
use super::screen::Screen;
use ldap3::asn1::{parse_tag, parse_uint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Asks for TLS. Nothing is read beyond the answer: what somebody else put behind
/// it is no part of what follows.
pub(super) async fn start_tls(stream: &mut TcpStream) -> Result<(), Problem> {
    const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    stream.write_all(REQUEST).await.map_err(|error| of_io(&error))?;
    let mut screen = Screen::default();
    loop {
        // One octet at a time, because the next belongs to the handshake.
        let octet = stream.read_u8().await.map_err(|error| of_io(&error))?;
        screen.room().push(octet);
        let answer = screen.take().map_err(|error| of_io(&error))?;
        if !answer.is_empty() {
            return match result_code(&answer) {
                Some((0, _)) => Ok(()),
                Some((code, said)) => Err(of_code(Asked::StartTls, code, &said)),
                None => Err(of_code(Asked::StartTls, 2, "")),
            };
        }
    }
}

/// Code and text of a message with a result.
fn result_code(message: &[u8]) -> Option<(u32, String)> {
    let (_, message) = parse_tag(message).ok()?;
    let result = message.expect_constructed()?.into_iter().nth(1)?;
    let mut parts = result.expect_constructed()?.into_iter().map(|part| part.expect_primitive());
    let code = parse_uint(&parts.next()??).ok()?.1;
    let said = String::from_utf8_lossy(&parts.nth(1)??).into_owned();
    Some((u32::try_from(code).ok()?, said))
}
