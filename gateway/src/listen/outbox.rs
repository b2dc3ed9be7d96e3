//! Replies that were written and have not left: sent in as many pieces as the client takes, by
//! whatever waits, and never twice.

use mail::smtp::reply::Reply;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use wire::buffers;
use wire::stream::Stream;

/// What is to be sent. Holds a buffer only while there is something in it.
#[derive(Default)]
pub(super) struct Outbox {
    octets: Vec<u8>,
    /// So much of it has left.
    sent: usize,
    is_broken: bool,
}

impl Outbox {
    pub(super) fn write(&mut self, reply: &Reply) {
        if self.octets.capacity() == 0 {
            self.octets = buffers::take();
        }
        reply.write_to(&mut self.octets);
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Whether the client takes nothing more: it is gone.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Sends what the client takes now; ready when everything has left, or when it is gone.
    pub(super) fn poll_send(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_empty() {
            return Poll::Ready(());
        }
        while self.sent < self.octets.len() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &self.octets[self.sent..])) {
                Ok(octets @ 1..) => self.sent += octets,
                Ok(0) | Err(_) => return self.empty(true),
            }
        }
        // Under TLS some may be held back.
        let flushed = ready!(Pin::new(stream).poll_flush(cx));
        self.empty(flushed.is_err())
    }

    fn empty(&mut self, is_broken: bool) -> Poll<()> {
        self.is_broken |= is_broken;
        self.sent = 0;
        buffers::give(std::mem::take(&mut self.octets));
        Poll::Ready(())
    }
}
