//! The listener that shows figures: `/metrics` for Prometheus, `/healthz` for whoever restarts us.
//! On loopback unless the operator says otherwise.

use super::metrics::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Serves until the task is dropped.
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    metrics: Arc<Metrics>,
    draining: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let page = move || {
        let metrics = Arc::clone(&metrics);
        async move {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], metrics.page()).into_response()
        }
    };
    let health = move || async move {
        if draining.load(Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else {
            (StatusCode::OK, "ok\n")
        }
    };
    let router = Router::new().route("/metrics", get(page)).route("/healthz", get(health));
    axum::serve(listener, router).await
}
