//! Bytes that are read while they are sent, on a thread that waits for the disk and the client.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::TaskTracker;
use tracing::warn;

const PIECE: usize = 64 << 10;
/// Pieces that wait for the client.
const WAITING: usize = 4;

/// What is sent, in pieces. An error ends it early; whoever drops it ends the reading.
#[derive(Debug)]
pub struct ByteStream {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
}

impl Stream for ByteStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.pieces.poll_recv(context)
    }
}

/// Where the work writes what is sent.
pub(crate) struct Pipe {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.pieces.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Streams what `work` writes. The permit goes along.
pub(crate) fn stream(
    tasks: &TaskTracker,
    permit: OwnedSemaphorePermit,
    work: impl FnOnce(&mut Pipe) -> io::Result<()> + Send + 'static,
) -> ByteStream {
    let (sender, pieces) = mpsc::channel(WAITING);
    tasks.spawn_blocking(move || {
        let _permit = permit;
        let mut pipe = Pipe { pieces: sender, piece: Vec::with_capacity(PIECE) };
        if let Err(error) = work(&mut pipe).and_then(|()| pipe.flush())
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            warn!(%error, "What was being sent of an environment cannot be read");
            // Nobody may be there to see it.
            let _ = pipe.pieces.blocking_send(Err(error));
        }
    });
    ByteStream { pieces }
}
