//! `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever starts and stops nodes.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ascribe_engine::{ChainView, EngineHandle};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, sync::watch};
use tracing::info;

/// Age of the head block above which the node is not ready.
const READY_AGE: Duration = Duration::from_secs(60);

/// A monitor that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The address is taken or not ours.
    #[error("cannot serve metrics on {addr}: {source}")]
    Listen {
        /// As given.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The process records metrics elsewhere already.
    #[error("metrics are recorded already: {0}")]
    Recorder(String),
}

/// Starts recording metrics. Before anything that counts, and once for the process.
pub(crate) fn record() -> Result<PrometheusHandle, MonitorError> {
    PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| MonitorError::Recorder(error.to_string()))
}

#[derive(Clone)]
struct Monitored {
    metrics: PrometheusHandle,
    chain: ChainView,
    engine: EngineHandle,
}

/// Serves until `stop` changes. Returns the address, with the port that a 0 became.
pub(crate) async fn serve(
    addr: SocketAddr,
    metrics: PrometheusHandle,
    chain: ChainView,
    engine: EngineHandle,
    mut stop: watch::Receiver<bool>,
) -> Result<SocketAddr, MonitorError> {
    let listen = |source| MonitorError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(listen)?;
    let local = listener.local_addr().map_err(listen)?;
    let router = Router::new()
        .route("/metrics", get(|State(it): State<Monitored>| async move { it.metrics.render() }))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .with_state(Monitored { metrics, chain, engine });
    info!(target: "ascribe::node", %local, "Serving metrics");
    tokio::spawn(async move {
        let stopped = async move {
            // A sender that is gone means stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let _ = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    });
    Ok(local)
}

async fn health(State(it): State<Monitored>) -> (StatusCode, String) {
    match it.engine.persistence_failure() {
        Some(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("blocks cannot be written: {error}\n"))
        }
        None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

async fn readiness(State(it): State<Monitored>) -> (StatusCode, String) {
    let head = it.chain.head();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let age = Duration::from_secs(now.saturating_sub(head.timestamp));
    let status = if age <= READY_AGE { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("head {} is {} s old\n", head.number, age.as_secs()))
}
