//! Serving HTTP to few, within limits: every connection costs a descriptor that mail may need. One
//! request a connection.

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What clients may cost.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at a time; more wait until they are accepted.
    pub connections_max: usize,
    /// From the beginning of a connection until the whole header of the request is there.
    pub header_max: Duration,
    /// From the beginning of a connection to its end.
    pub connection_max: Duration,
}

/// Serves until the task is dropped; connections that are open go on without it, within their
/// limits.
pub async fn serve(mut listener: impl Listener, router: Router, limits: HttpLimits) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let (stream, _) = listener.accept().await;
        let router = router.clone();
        tokio::spawn(async move {
            let _slot = slot;
            answer(stream, router, limits).await;
        });
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    limits: HttpLimits,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_max)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that leaves in the middle, or stays for too long, has nobody to be told of.
    let _ = timeout(limits.connection_max, connection).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    const LIMITS: HttpLimits = HttpLimits {
        connections_max: 4,
        header_max: Duration::from_millis(400),
        connection_max: Duration::from_millis(1_500),
    };
    /// Longer than anything here takes; a test that waits for it has failed.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "ok\n" }));
        tokio::spawn(serve(listener, router, LIMITS));
        address
    }

    async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn half_requests_are_ended_and_take_no_more_than_their_slots() {
        let address = start().await;
        let before = Instant::now();
        let mut half = Vec::new();
        for _ in 0..LIMITS.connections_max {
            half.push(say(address, "GET / HTTP/1.1\r\nHost: localhost\r\n").await);
        }
        let whole = say(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let answer = rest(whole).await;
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
        assert!(before.elapsed() >= LIMITS.header_max, "{:?}", before.elapsed());
        for stream in half {
            rest(stream).await;
        }
    }

    #[tokio::test]
    async fn whoever_does_not_take_the_answer_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endless = Router::new().route("/", get(|| async { "x".repeat(64 << 20) }));
        let client = say(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let (stream, _) = listener.accept().await.unwrap();
        timeout(PATIENCE, answer(stream, endless, LIMITS)).await.unwrap();
        drop(client);
    }
}
