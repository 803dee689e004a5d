//! Media on their way to a model that takes them as they are.
//!
//! The worker's decoders of files are C; it gets none to decode. What a file holds is found out by a process of its own,
//! which bounds itself, and the worker gets pixels and samples, no more of them than it has room for.

use std::sync::Arc;

use antiphon_engine::{BackendError, Media, MediaKind, Message, ModelRequest, Part};
use antiphon_wire::{Error, MediaOptions, Resolution};
use antiphon_worker::protocol::{MOST_MEDIA_BYTES, ModelCard, Shape};
use async_trait::async_trait;

/// Samples a second of the sounds that are given; models that want others get none.
pub const SAMPLE_RATE: u32 = 16_000;

/// A medium as a worker takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub shape: Shape,
    /// As many bytes as the shape has.
    pub data: Vec<u8>,
}

/// Finds out what is in the file of a medium.
#[async_trait]
pub trait Opener: Send + Sync {
    /// The pixels of an image, with at most `side` of them on the longest side.
    ///
    /// # Errors
    /// [`BackendError::Rejected`] when it is the image's fault.
    async fn image(&self, image: &Media, side: u32) -> Result<Opened, BackendError>;

    /// The samples of a recording, or of the part of it that is asked for, in one channel at [`SAMPLE_RATE`].
    ///
    /// # Errors
    /// [`BackendError::Rejected`] when it is the recording's fault.
    async fn audio(&self, audio: &Media) -> Result<Opened, BackendError>;
}

/// Whether a model takes media of a kind.
pub(super) fn takes(card: &ModelCard, kind: MediaKind) -> bool {
    match kind {
        MediaKind::Image => card.images,
        MediaKind::Audio => card.sample_rate == Some(SAMPLE_RATE),
        MediaKind::Video | MediaKind::Document => false,
    }
}

/// Whether media of a kind are read as they are to be.
///
/// # Errors
/// Of the first option that is not honoured.
pub(super) fn honours(kind: MediaKind, options: &MediaOptions) -> Result<(), Error> {
    let honoured: &[&str] = match kind {
        MediaKind::Image => &["resolution"],
        MediaKind::Audio => &["sample_rate", "channels", "processing.start_offset", "processing.end_offset"],
        MediaKind::Video | MediaKind::Document => &[],
    };
    match options.set().find(|option| !honoured.contains(option)) {
        None => Ok(()),
        Some(option) => Err(Error::invalid(option, "the model takes this medium itself, as it is")),
    }
}

/// The media of a conversation as its worker takes them, in order.
///
/// # Errors
/// [`BackendError::Rejected`] when one cannot be decoded, or all of them together are too much.
pub(super) async fn open(
    opener: Option<&Arc<dyn Opener>>,
    request: &ModelRequest,
) -> Result<Vec<Opened>, BackendError> {
    let mut opened: Vec<Opened> = Vec::new();
    let mut bytes = 0;
    for medium in media(&request.messages) {
        let Some(opener) = opener else {
            return Err(BackendError::Rejected(format!("`input`: the model takes no {} input", medium.kind.as_str())));
        };
        let medium = match medium.kind {
            MediaKind::Image => opener.image(medium, side(medium.options.resolution)).await?,
            MediaKind::Audio => opener.audio(medium).await?,
            MediaKind::Video | MediaKind::Document => {
                let kind = medium.kind.as_str();
                return Err(BackendError::Rejected(format!("`input`: the model takes no {kind} input")));
            }
        };
        bytes += medium.data.len();
        if bytes > MOST_MEDIA_BYTES {
            return Err(BackendError::Rejected(format!(
                "`input`: the images and recordings of this conversation have more than {MOST_MEDIA_BYTES} bytes of \
                 pixels and samples together; expected fewer, or images at a lower `resolution`"
            )));
        }
        opened.push(medium);
    }
    Ok(opened)
}

/// What users have sent, in order.
pub(super) fn media(messages: &[Message]) -> impl Iterator<Item = &Media> {
    let parts = messages.iter().flat_map(|message| match message {
        Message::User(parts) => parts.as_slice(),
        Message::Model(_) | Message::Result(_) => &[],
    });
    parts.filter_map(|part| match part {
        Part::Text(_) => None,
        Part::Media(media) => Some(media),
    })
}

/// The longest side of an image that is looked at so closely, in pixels.
fn side(resolution: Option<Resolution>) -> u32 {
    match resolution {
        Some(Resolution::Low) => 512,
        Some(Resolution::Medium) | None => 1024,
        Some(Resolution::High) => 1536,
        Some(Resolution::UltraHigh) => 2048,
    }
}
