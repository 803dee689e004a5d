//! A run as server-sent events (spec 04): one frame for each event of its log, a comment
//! while it is silent, the trailer after its last.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use antiphon_engine::{Followed, Handle};
use antiphon_wire::{ErrorEvent, EventId, InteractionEvent, encode_comment, encode_done, encode_event};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The events after number `after`, then live ones. `closing` ends the stream after the
/// current event, without the trailer: the client may resume elsewhere.
pub(crate) fn event_stream(handle: Handle, after: u64, closing: CancellationToken) -> Response {
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    // nginx would otherwise collect events before it passes them on.
    let unbuffered = [("x-accel-buffering", "no")];
    let frames = Frames {
        events: Box::pin(handle.follow(after)),
        handle,
        silence: Box::pin(sleep(KEEP_ALIVE)),
        closing: Box::pin(closing.cancelled_owned()),
        next: Next::Event,
    };
    (headers, unbuffered, Body::from_stream(frames)).into_response()
}

struct Frames {
    events: Pin<Box<dyn Stream<Item = Followed> + Send>>,
    /// Dropped with the stream: an unstored run ends when its client leaves.
    handle: Handle,
    silence: Pin<Box<Sleep>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    next: Next,
}

/// What the stream does next.
enum Next {
    Event,
    End,
    /// Lets what was written leave, then cuts the connection: unlike a clean end, a cut
    /// cannot be taken for the end of the interaction.
    FlushAndCut,
    Cut,
}

impl Frames {
    fn frame(&self, followed: &Followed) -> String {
        match followed {
            Followed::Event(event) => {
                let id = EventId::new(self.handle.id(), event.seq).into_string();
                encode_event(&event.body, Some(&id))
            }
            Followed::Broken(failure) => {
                encode_event(&InteractionEvent::Error(ErrorEvent { error: failure.clone() }), None)
            }
        }
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.next {
            Next::Event => {}
            Next::End => return Poll::Ready(None),
            Next::FlushAndCut => {
                self.next = Next::Cut;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Next::Cut => return Poll::Ready(Some(Err("the log of the interaction cannot be written"))),
        }
        if self.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let frame = match self.events.as_mut().poll_next(context) {
            Poll::Ready(Some(followed)) => {
                if matches!(followed, Followed::Broken(_)) {
                    self.next = Next::FlushAndCut;
                }
                self.frame(&followed)
            }
            Poll::Ready(None) => {
                self.next = Next::End;
                encode_done().to_owned()
            }
            Poll::Pending => {
                if self.silence.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                encode_comment().to_owned()
            }
        };
        self.silence.as_mut().reset(Instant::now() + KEEP_ALIVE);
        Poll::Ready(Some(Ok(frame.into())))
    }
}
