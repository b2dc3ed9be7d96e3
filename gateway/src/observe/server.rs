//! The listener that shows figures: `/metrics` for Prometheus, `/healthz` for whoever restarts us.
//! On loopback unless the operator says otherwise; limited all the same, since every connection
//! costs a descriptor that mail may need. One request a connection.

use super::health::Health;
use super::metrics::Metrics;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// How long a server that is short of descriptors waits before it accepts again.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What clients of the figures may cost.
#[derive(Clone, Copy, Debug)]
pub struct FigureLimits {
    /// Connections at a time; more wait until they are accepted.
    pub connections_max: usize,
    /// From the beginning of a connection until the whole header of the request is there.
    pub header_max: Duration,
    /// From the beginning of a connection to its end.
    pub connection_max: Duration,
}

/// The request came over loopback.
#[derive(Clone, Copy)]
struct OnLoopback;

impl Default for FigureLimits {
    fn default() -> Self {
        Self {
            connections_max: 32,
            header_max: Duration::from_secs(10),
            connection_max: Duration::from_secs(30),
        }
    }
}

/// Serves until the task is dropped; connections that are open go on without it, within their
/// limits.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: impl Fn() -> Health + Clone + Send + Sync + 'static,
    limits: FigureLimits,
) {
    let router = router(metrics, health);
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let is_loopback = stream.local_addr().is_ok_and(|at| at.ip().to_canonical().is_loopback());
        let router = match is_loopback {
            true => router.clone().layer(Extension(OnLoopback)),
            false => router.clone(),
        };
        tokio::spawn(async move {
            let _slot = slot;
            answer(stream, router, limits).await;
        });
    }
}

async fn answer(stream: TcpStream, router: Router, limits: FigureLimits) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_max)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that leaves in the middle, or stays for too long, has nobody to be told of.
    let _ = timeout(limits.connection_max, connection).await;
}

fn router(
    metrics: Arc<Metrics>,
    health: impl Fn() -> Health + Clone + Send + Sync + 'static,
) -> Router {
    let page = move || {
        let metrics = Arc::clone(&metrics);
        async move {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], metrics.page()).into_response()
        }
    };
    let health = move |uri: Uri| async move { health().answer(uri.query()) };
    Router::new()
        .route("/metrics", get(page))
        .route("/healthz", get(health))
        .layer(from_fn(for_this_host))
}

/// A page in somebody's browser may have its own name lead here, and read what is for the operator
/// alone: on loopback, only names of loopback are answered. Browsers always name a host; checks in
/// HTTP/1.0 do not.
async fn for_this_host(request: Request, next: Next) -> Response {
    let is_loopback = request.extensions().get::<OnLoopback>().is_some();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if is_loopback && host.is_some_and(|host| !is_loopback_name(host)) {
        let text = "this listener answers for localhost, 127.0.0.1 and [::1]\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    next.run(request).await
}

fn is_loopback_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    const LIMITS: FigureLimits = FigureLimits {
        connections_max: 4,
        header_max: Duration::from_millis(400),
        connection_max: Duration::from_millis(1_500),
    };
    /// Longer than anything here takes; a test that waits for it has failed.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = || Health { has_next_hop: true, ..Health::default() };
        tokio::spawn(serve(listener, Arc::new(Metrics::default()), health, LIMITS));
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
            half.push(say(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n").await);
        }
        let whole = say(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
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
