//! The media of a request, before it is accepted: fetched, looked at, and refused by their fields.

use antiphon_wire::{CreateInteraction, Error, Step};

use super::Inner;
use crate::backend::Backend;
use crate::media::{Route, Unperceived, medium, of_mut, placed};
use crate::store::ProjectId;

/// Media that one request may give by address.
const MOST_FETCHES: usize = 20;

/// Of all of them together, which are kept with the request.
const MOST_FETCHED_BYTES: u64 = 100 << 20;

/// Why media cannot be used.
pub(super) enum Refused {
    /// Nothing came from an address.
    Unfetched(Error),
    Unusable(Error),
}

impl Inner {
    /// Fetches what the request gives by address and looks at all of its media. Afterwards each
    /// has its bytes and its type.
    ///
    /// # Errors
    /// Of the first medium that cannot be used, naming its field.
    pub(super) async fn accept_media(
        &self,
        project: ProjectId,
        request: &mut CreateInteraction,
        backend: &dyn Backend,
    ) -> Result<(), Refused> {
        let (mut fetches, mut bytes) = (0, 0);
        for (at, step) in request.input.iter_mut().enumerate() {
            let Step::UserInput(step) = step else { continue };
            for (part, content) in step.content.iter_mut().enumerate() {
                let Some((kind, content)) = of_mut(content) else { continue };
                let block = format!("input[{at}].content[{part}]");
                let unusable = |error| Refused::Unusable(placed(error, &block));
                let route = if backend.takes(kind) { Route::Native } else { Route::Perceive };
                if route == Route::Native {
                    backend.honours(kind, &content.options).map_err(unusable)?;
                }
                if let Some(uri) = &content.uri {
                    fetches += 1;
                    if fetches > MOST_FETCHES {
                        let message = format!("expected at most {MOST_FETCHES} media by address in one request");
                        return Err(unusable(Error::invalid("uri", message)));
                    }
                    let fetched = self.perceiver.fetch(project, kind, uri).await;
                    let fetched = fetched.map_err(|error| Refused::Unfetched(placed(error, &block)))?;
                    if fetched.data.is_empty() {
                        let error = Error::invalid("uri", "there are no bytes at this address");
                        return Err(Refused::Unfetched(placed(error, &block)));
                    }
                    bytes += fetched.data.size();
                    if bytes > MOST_FETCHED_BYTES {
                        let message = format!("expected at most {MOST_FETCHED_BYTES} bytes by address in one request");
                        return Err(unusable(Error::invalid("uri", message)));
                    }
                    content.data = fetched.data;
                    if content.mime_type.is_empty() {
                        content.mime_type = fetched.mime_type;
                    }
                }
                let accepted = self.perceiver.accept(&medium(project, kind, content.clone()), route).await;
                content.mime_type = accepted.map_err(unusable)?.mime_type;
            }
        }
        Ok(())
    }

    /// Looks at media of earlier turns, which another model may have taken.
    ///
    /// # Errors
    /// As [`Inner::accept_media`].
    pub(super) async fn accept_earlier_media(&self, unperceived: &[Unperceived]) -> Result<(), Error> {
        for one in unperceived.iter().filter(|one| one.is_earlier) {
            let accepted = self.perceiver.accept(&one.medium, Route::Perceive).await;
            accepted.map_err(|error| placed(error, &one.block))?;
        }
        Ok(())
    }
}
