//! What is said in recordings, which a process of its own listens to.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use antiphon_engine::{Derived, Medium};
use antiphon_hearing::{Claim, Extent, Listener, Options, Transcript, Unheard};
use antiphon_wire::{Code, Error, Offset};
use tracing::error;

/// What listens.
#[derive(Clone, Debug)]
pub struct Ears {
    pub listener: Listener,
    /// Where the model is that knows words.
    pub folder: PathBuf,
}

/// A language that is less likely than this is said to be uncertain.
const SURE: f32 = 0.5;

impl Ears {
    /// The name of the model, and of what installs it.
    pub const MODEL: &str = "whisper-base";

    /// # Errors
    /// The recording's, or those of how it is to be heard.
    pub(crate) async fn check(&self, medium: &Medium, bytes: &[u8]) -> Result<String, Error> {
        let checked = self.listener.check(bytes, claim(medium), extent(medium)).await.map_err(refused)?;
        Ok(checked.mime_type)
    }

    pub(crate) async fn listen(&self, medium: &Medium, bytes: &[u8]) -> Result<Derived, Error> {
        let extent = extent(medium);
        let (folder, options) = (self.folder.clone(), Options::default());
        let heard = self.listener.listen(bytes, claim(medium), extent, folder, options, &mut |_| {}).await;
        let transcript = heard.map_err(refused)?;
        let start = extent.start.unwrap_or_default().as_secs_f64();
        Ok(Derived { text: text(&transcript, start), tools: vec![Self::MODEL.to_owned()], ..Derived::default() })
    }
}

fn claim(medium: &Medium) -> Claim {
    Claim {
        mime_type: Some(medium.mime_type.clone()).filter(|declared| !declared.is_empty()),
        sample_rate: medium.options.sample_rate,
        channels: medium.options.channels,
    }
}

fn extent(medium: &Medium) -> Extent {
    let at = |offset: Offset| Duration::from_millis(offset.0);
    let processing = medium.options.processing.clone().unwrap_or_default();
    Extent { start: processing.start_offset.map(at), end: processing.end_offset.map(at), ..Extent::default() }
}

/// What was heard, with times that begin at `start` seconds.
pub(crate) fn text(transcript: &Transcript, start: f64) -> String {
    let mut text = format!("{:.1} seconds were listened to.", transcript.seconds);
    let Some(language) = transcript.language.as_ref().filter(|_| !transcript.segments.is_empty()) else {
        text.push_str(" No speech was found in them.\n");
        return text;
    };
    let sure = if transcript.probability < SURE { ", which is uncertain" } else { "" };
    let _ = writeln!(text, " The language is `{language}` ({:.0} %{sure}).", transcript.probability * 100.0);
    for segment in &transcript.segments {
        let at = (segment.start + start).max(0.0);
        let (minutes, seconds) = ((at / 60.0).floor(), (at % 60.0).floor());
        let _ = writeln!(text, "[{minutes:02}:{seconds:02}] {}", segment.text.trim());
    }
    text
}

fn refused(unheard: Unheard) -> Error {
    match unheard {
        Unheard::Fault { field, message } => Error::invalid(field.as_deref().unwrap_or("data"), message),
        Unheard::Broken(why) => {
            error!(%why, "Recordings cannot be heard");
            Error::new(Code::ServiceUnavailable, "The server cannot listen to recordings now; its log has the cause")
        }
    }
}
