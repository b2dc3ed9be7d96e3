//! A connection, in the clear or under TLS, for both directions.

use super::buffers;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection.
pub enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// A handshake took it and failed.
    Gone,
}

impl Stream {
    /// Reads what there is into a buffer of this thread's; an empty one means the end. While
    /// nothing comes, no buffer is held.
    /// # Errors
    /// As the connection's.
    pub async fn read_some(&mut self) -> io::Result<Vec<u8>> {
        poll_fn(|cx| self.poll_read_some(cx)).await
    }

    /// Moves it to the runtime of the calling thread, from whichever watched it before, which may
    /// have ended. What a TLS session holds goes with it.
    /// # Errors
    /// As the system's, or when the other side has hung up.
    pub fn move_here(&mut self) -> io::Result<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
            Self::Gone => return Err(io::ErrorKind::NotConnected.into()),
        };
        // The same socket by another descriptor: the old one is taken from its runtime and closed
        // in its turn, and nothing need stand in for it meanwhile.
        let same = std::net::TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        // Looked at here, since a runtime says nothing of a socket that it has only just met.
        match same.peek(&mut [0]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => *socket = TcpStream::from_std(same)?,
        }
        Ok(())
    }

    /// As [`Stream::read_some`], for callers that poll.
    pub fn poll_read_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let mut buffer = buffers::take();
        let polled = pin!(self.read_buf(&mut buffer)).poll(cx);
        match polled {
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(buffer)),
            Poll::Ready(Err(error)) => {
                buffers::give(buffer);
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                buffers::give(buffer);
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}
