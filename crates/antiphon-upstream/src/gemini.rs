//! Gemini's generateContent.

use antiphon_engine::BackendError;

use crate::protocol::{Call, Outgoing, Protocol, Reader};

pub(crate) struct Gemini;

impl Protocol for Gemini {
    fn key_header(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn request(&self, _call: &Call<'_>) -> Result<Outgoing, BackendError> {
        Err(BackendError::Internal(String::new()))
    }

    fn reader(&self, _call: &Call<'_>) -> Box<dyn Reader> {
        unimplemented!()
    }
}
