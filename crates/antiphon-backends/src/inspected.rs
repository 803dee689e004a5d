//! Pictures that come from elsewhere: looked at before anybody gets them.
//!
//! What a service sends is not believed. Each picture is decoded by a process of its own, which tells
//! its kind by its bytes, bounds its pixels, and gives it in the encoding that was asked for.

use std::sync::Arc;

use antiphon_engine::{
    Backend, BackendError, Media, MediaKind, ModelEvent, ModelRequest, ModelStream, Prepared, WantedPicture,
};
use antiphon_wire::{Error, MediaOptions};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};

use crate::artist::{Painter, Unpainted};

/// Of one answer.
const MOST_PICTURES: usize = 8;

/// The code of an answer that should be a picture and is none (spec 00 §5).
const NO_IMAGE: &str = "no_image";

/// The backend whose pictures are another's.
pub struct Inspected {
    backend: Arc<dyn Backend>,
    inspector: Painter,
}

impl Inspected {
    /// `inspector` is given the bytes of a picture on its input, and `--type` where the request asks for one. It
    /// answers as a painter does.
    pub fn new(backend: Arc<dyn Backend>, inspector: Painter) -> Self {
        Self { backend, inspector }
    }
}

#[async_trait]
impl Backend for Inspected {
    fn slots(&self) -> usize {
        self.backend.slots()
    }

    fn resumes(&self) -> bool {
        self.backend.resumes()
    }

    fn is_ready(&self) -> bool {
        self.backend.is_ready()
    }

    fn takes(&self, kind: MediaKind) -> bool {
        self.backend.takes(kind)
    }

    fn honours(&self, kind: MediaKind, options: &MediaOptions) -> Result<(), Error> {
        self.backend.honours(kind, options)
    }

    fn draws(&self) -> bool {
        self.backend.draws()
    }

    fn captions(&self) -> bool {
        self.backend.captions()
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        self.backend.prepare(request).await
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let wanted = request.picture;
        let answer = self.backend.generate(request, prepared).await?;
        let inspection = Inspection {
            answer,
            inspector: self.inspector.clone(),
            wanted,
            pictures: 0,
            has_words: false,
            is_over: false,
        };
        let events = stream::unfold(inspection, |mut inspection| async move {
            let event = inspection.next().await?;
            Some((event, inspection))
        });
        Ok(events.boxed())
    }
}

/// One answer.
struct Inspection {
    answer: ModelStream,
    inspector: Painter,
    wanted: WantedPicture,
    pictures: usize,
    has_words: bool,
    is_over: bool,
}

impl Inspection {
    /// The next event; none after the last one or an error.
    async fn next(&mut self) -> Option<Result<ModelEvent, BackendError>> {
        if self.is_over {
            return None;
        }
        let event = self.answer.next().await?;
        let seen = match event {
            Ok(event) => self.see(event).await,
            Err(error) => Err(error),
        };
        self.is_over = seen.is_err();
        Some(seen)
    }

    async fn see(&mut self, event: ModelEvent) -> Result<ModelEvent, BackendError> {
        match event {
            ModelEvent::Picture(picture) => {
                self.pictures += 1;
                if self.pictures > MOST_PICTURES {
                    return Err(unshown(&format!("more than {MOST_PICTURES} came")));
                }
                inspect(&self.inspector, self.wanted, &picture).await.map(ModelEvent::Picture)
            }
            ModelEvent::Text { text, tokens } => {
                self.has_words |= !text.trim().is_empty();
                Ok(ModelEvent::Text { text, tokens })
            }
            // Words alone are an answer where words were not ruled out.
            ModelEvent::Finished { .. }
                if self.pictures == 0 && (!self.has_words || self.wanted.words == Some(false)) =>
            {
                Err(no_image("The model's service answered without a picture".to_owned(), String::new()))
            }
            ModelEvent::Started { .. }
            | ModelEvent::Counted { .. }
            | ModelEvent::ServedBy { .. }
            | ModelEvent::Thought { .. }
            | ModelEvent::Signed(_)
            | ModelEvent::CallStarted { .. }
            | ModelEvent::CallArguments { .. }
            | ModelEvent::Finished { .. } => Ok(event),
        }
    }
}

/// The picture as it is shown.
async fn inspect(inspector: &Painter, wanted: WantedPicture, picture: &Media) -> Result<Media, BackendError> {
    let bytes = picture.data.bytes().map_err(|error| unshown(&format!("it is no base64: {error}")))?;
    let kind = wanted.format.mime_type.map(|kind| ["--type".to_owned(), kind.as_str().to_owned()]);
    match inspector.run(kind.as_ref().map_or(&[], <[String; 2]>::as_slice), &bytes).await {
        Ok(bytes) => {
            // An inspector gives nothing but these two.
            let mime_type = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" }.to_owned();
            Ok(Media::new(MediaKind::Image, mime_type, STANDARD.encode(bytes).into()))
        }
        Err(Unpainted::Fault(fault)) => Err(unshown(&fault)),
        Err(Unpainted::Broken(error)) => Err(BackendError::Internal(error)),
    }
}

fn unshown(fault: &str) -> BackendError {
    no_image(format!("A picture of the model's service cannot be shown: {fault}"), fault.to_owned())
}

fn no_image(message: String, detail: String) -> BackendError {
    BackendError::Upstream { code: NO_IMAGE, message, detail }
}
