//! Requests to a service and back: addresses, tries, timeouts, bounds.

use antiphon_engine::{BackendError, ModelRequest, ModelStream};

use crate::options::UpstreamOptions;
use crate::protocol::{Outgoing, Protocol, Reader};
use crate::upstream::UpstreamError;

pub(crate) struct Transport {}

impl Transport {
    /// # Errors
    /// When an address or a header is none.
    pub(crate) fn new(_options: &UpstreamOptions, _protocol: &dyn Protocol) -> Result<Self, UpstreamError> {
        Ok(Self {})
    }

    /// Whether an address is thought to answer.
    pub(crate) fn is_ready(&self) -> bool {
        true
    }

    /// Sends a request and waits for the first piece of its answer; tries again, and at
    /// other addresses, until then. `request` tells which calls belong together.
    pub(crate) async fn open(
        &self,
        _request: &ModelRequest,
        _outgoing: Outgoing,
        _reader: &(dyn Fn() -> Box<dyn Reader> + Sync),
    ) -> Result<ModelStream, BackendError> {
        Err(BackendError::Internal(String::new()))
    }
}
