//! The listener that shows figures: `/metrics` for Prometheus, `/healthz` for whoever restarts us.
//! On loopback unless the operator says otherwise; limited all the same.

use super::health::Health;
use super::metrics::{Format, Metrics};
use crate::http::{self, HttpLimits};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What clients of the figures may cost.
pub const LIMITS: HttpLimits = HttpLimits {
    connections_max: 32,
    header_max: Duration::from_secs(10),
    connection_max: Duration::from_secs(30),
};

/// Serves until the task is dropped.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: impl Fn() -> Health + Clone + Send + Sync + 'static,
) {
    let is_loopback = listener.local_addr().is_ok_and(|at| at.ip().to_canonical().is_loopback());
    let router = router(metrics, health);
    let router = if is_loopback { router.layer(from_fn(for_loopback)) } else { router };
    http::serve(listener, router, LIMITS).await;
}

fn router(
    metrics: Arc<Metrics>,
    health: impl Fn() -> Health + Clone + Send + Sync + 'static,
) -> Router {
    let page = move |headers: HeaderMap| {
        let metrics = Arc::clone(&metrics);
        async move {
            let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            let format = Format::accepted(accept.unwrap_or_default());
            let kind = (header::CONTENT_TYPE, format.content_type());
            // Caches between us and the scraper must not mix the two.
            let vary = (header::VARY, "Accept");
            ([kind, vary], metrics.page(format)).into_response()
        }
    };
    let health = move |uri: Uri| async move { health().answer(uri.query()) };
    Router::new().route("/metrics", get(page)).route("/healthz", get(health))
}

/// A page in somebody's browser may have its own name lead here, and read what is for the operator
/// alone: on loopback, only names of loopback are answered. Browsers always name a host; checks in
/// HTTP/1.0 do not.
async fn for_loopback(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| !is_loopback_name(host)) {
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
