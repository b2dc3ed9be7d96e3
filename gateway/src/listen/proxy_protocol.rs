//! The PROXY header, v1 and v2: from listed peers only, on a listener that is declared for it,
//! where it is mandatory. The header is looked at before it is taken, so that not one octet of
//! what follows is swallowed.

use proxy_header::{ParseConfig, ProxyHeader};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A header, in octets.
const HEADER_OCTETS_MAX: usize = 4_096;
/// Until it must be there.
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// Between the first two looks at a header that comes in pieces; then twice as long each time.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Between two looks, at most: thousands that never come whole cost next to nothing.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(640);

/// Takes the header; the client's own address, or the peer's for a health check of the proxy.
/// # Errors
/// When there is none in time, or it is malformed.
pub async fn take_header(stream: &mut TcpStream) -> io::Result<SocketAddr> {
    let taken = tokio::time::timeout(HEADER_PATIENCE, header(stream)).await;
    taken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn header(stream: &mut TcpStream) -> io::Result<SocketAddr> {
    let (mut seen, mut pause) = (vec![0; HEADER_OCTETS_MAX], LOOK_AGAIN);
    loop {
        let octets = stream.peek(&mut seen).await?;
        if octets == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match ProxyHeader::parse(&seen[..octets], ParseConfig::default()) {
            Ok((header, consumed)) => {
                let client = header.proxied_address().map(|address| address.source);
                stream.read_exact(&mut seen[..consumed]).await?;
                return client.map_or_else(|| stream.peer_addr(), Ok);
            }
            Err(proxy_header::Error::BufferTooShort) if octets < HEADER_OCTETS_MAX => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOOK_AGAIN_MAX);
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}
