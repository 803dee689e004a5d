//! Connections, from the first to the last.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::Engine;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::router::{Options, router};
use crate::write_timeout::WriteTimeout;

/// How long a client may take to send the head of a request; an idle connection is
/// closed after it too.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take no bytes of its answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How long answers that are under way may take once the server is to stop.
const DRAIN: Duration = Duration::from_secs(25);
/// Bounds the head of a request and what waits to be written to a slow client.
const BUFFER_BYTES: usize = 64 << 10;

/// Serves HTTP/1.1 until `shutdown` is cancelled, then drains: no new connections,
/// event streams end after the current event, plain answers are waited for. Returns when
/// all connections are closed, or after 25 seconds, when those left are cut.
///
/// Cancels [`Engine::closing`] when draining starts, so `/readyz` fails from then on.
pub async fn serve(listener: TcpListener, engine: Engine, options: Options, shutdown: CancellationToken) {
    let closing = engine.closing().clone();
    let tasks = engine.tasks().clone();
    let slots = Arc::new(Semaphore::new(options.limits.connections));
    let service = TowerToHyperService::new(router(engine, options));
    let graceful = GracefulShutdown::new();
    let cut = CancellationToken::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(BUFFER_BYTES);

    while let Some((stream, slot)) = shutdown.run_until_cancelled(accept(&listener, &slots)).await {
        let io = TokioIo::new(WriteTimeout::new(stream, WRITE_PATIENCE));
        let connection = graceful.watch(http.serve_connection(io, service.clone()));
        let connection = cut.clone().run_until_cancelled_owned(connection);
        tasks.spawn(async move {
            if let Some(Err(error)) = connection.await {
                debug!(%error, "A connection ended early");
            }
            drop(slot);
        });
    }

    drop(listener);
    closing.cancel();
    info!(connections = graceful.count(), "Draining");
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!("Cut the connections that were still open after {} s", DRAIN.as_secs());
        cut.cancel();
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            unreachable!("the semaphore is never closed");
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                // Each event goes out when it happens. A stream that refuses the option
                // is slower, not broken.
                let _ = stream.set_nodelay(true);
                return (stream, slot);
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                // Out of files or memory, most likely: others have to finish first.
                warn!(%error, "Cannot accept connections");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// A client that left before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
