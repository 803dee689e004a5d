//! The bytes of a medium on their way to the process that reads it: a piece at a time.

use std::io;

use antiphon_wire::{Code, Data, Error};
use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tracing::error;

/// Pieces that wait to be taken.
const WAITING: usize = 2;

/// Reads on a thread of its own, as far ahead as pieces may wait, and no longer than somebody takes
/// them.
pub(crate) fn source(data: &Data) -> impl AsyncRead + Send + Unpin + use<> {
    let (pieces, taken) = mpsc::channel::<io::Result<bytes::Bytes>>(WAITING);
    let data = data.clone();
    tokio::task::spawn_blocking(move || {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let given =
            data.each_piece(|piece| pieces.blocking_send(Ok(bytes::Bytes::copy_from_slice(piece))).map_err(gone));
        if let Err(error) = given {
            // Where nobody listens any more, nobody misses it.
            let _ = pieces.blocking_send(Err(error));
        }
    });
    let next = |mut taken: mpsc::Receiver<_>| async move { Some((taken.recv().await?, taken)) };
    StreamReader::new(stream::unfold(taken, next).boxed())
}

/// That bytes which were accepted cannot be read again; the cause is for the log.
pub(crate) fn unreadable(error: &dyn std::fmt::Display) -> Error {
    error!(%error, "The bytes of a medium cannot be read or written");
    Error::new(Code::ServiceUnavailable, "The server cannot read media now; its log has the cause")
}
