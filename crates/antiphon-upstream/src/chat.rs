//! OpenAI's chat completions, and what others made of them.

use antiphon_engine::BackendError;

use crate::options::Flavor;
use crate::protocol::{Call, Outgoing, Protocol, Reader};

pub(crate) struct Chat {
    flavor: Flavor,
}

impl Chat {
    pub(crate) fn new(flavor: Flavor) -> Self {
        Self { flavor }
    }
}

impl Protocol for Chat {
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
