//! Starts the edge: settings from the environment, one JSON line per request on standard output, a graceful stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use edge::config::Settings;
use edge::server::Edge;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_env_filter(
            EnvFilter::try_from_env("LOG_LEVEL").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "edge stopped");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::from_environment()?;
    let listener = tokio::net::TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("EDGE_LISTEN {} cannot be used: {error}", settings.listen))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (address, status) = (settings.listen, settings.status_listen);
    let edge = Edge::following(settings).await;
    if let Some(status) = status {
        let listener = tokio::net::TcpListener::bind(status)
            .await
            .map_err(|error| format!("EDGE_STATUS_LISTEN {status} cannot be used: {error}"))?;
        let service = Arc::clone(&edge).status().into_make_service();
        tokio::spawn(async move { axum::serve(listener, service).await });
    }
    tracing::info!(%address, "edge ready");
    axum::serve(
        listener,
        Arc::clone(&edge).router().into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await?;
    for (behaviour, count) in edge.hits().counts() {
        let (requests, hits, errors) = (count.requests, count.hits, count.errors);
        tracing::info!(behaviour, requests, hits, errors, rate = count.rate, "hit rate");
    }
    tracing::info!("edge stopped");
    Ok(())
}
