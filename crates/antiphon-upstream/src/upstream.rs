//! One upstream model as a [`Backend`].

use std::sync::Arc;

use antiphon_engine::{Backend, BackendError, MediaKind, Message, ModelRequest, ModelStream, Prepared};
use antiphon_wire::{Error, MediaOptions};
use async_trait::async_trait;

use crate::options::{ProtocolKind, UpstreamOptions};
use crate::protocol::{Call, Protocol};
use crate::supply::{self, Ask};
use crate::transport::Transport;
use crate::{anthropic, chat, gemini, images, interactions, responses};

/// Why an upstream cannot be set up; the text is for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UpstreamError(pub(crate) String);

/// The backend over one model of one service.
pub struct Upstream {
    connection: Arc<Connection>,
}

/// What a call needs, also after the call that began it has returned its stream.
struct Connection {
    options: UpstreamOptions,
    protocol: Box<dyn Protocol>,
    transport: Transport,
}

impl Upstream {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When an address or a header is none.
    pub fn new(options: UpstreamOptions) -> Result<Self, UpstreamError> {
        let protocol: Box<dyn Protocol> = match options.protocol {
            ProtocolKind::Chat(flavor) => Box::new(chat::Chat::new(flavor)),
            ProtocolKind::Responses => Box::new(responses::Responses),
            ProtocolKind::Anthropic => Box::new(anthropic::Anthropic),
            ProtocolKind::Gemini => Box::new(gemini::Gemini),
            ProtocolKind::Interactions => Box::new(interactions::Interactions),
            ProtocolKind::Images(flavor) => {
                Box::new(images::Images { flavor, sizes: options.capabilities.picture_sizes.clone() })
            }
        };
        let transport = Transport::new(&options, &*protocol)?;
        Ok(Self { connection: Arc::new(Connection { options, protocol, transport }) })
    }
}

impl Connection {
    fn call<'a>(&'a self, request: &'a ModelRequest) -> Call<'a> {
        let capabilities = &self.options.capabilities;
        Call { request, model: &self.options.model, thinking: capabilities.thinking, draws: capabilities.draws }
    }
}

#[async_trait]
impl Ask for Connection {
    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, BackendError> {
        let call = self.call(&request);
        let outgoing = self.protocol.request(&call)?;
        let stops = request.generation.stop_sequences.clone();
        let reader = || self.protocol.reader(&call);
        let stream = self.transport.open(&request, outgoing, &reader).await?;
        Ok(supply::cut_at(stops, stream))
    }
}

#[async_trait]
impl Backend for Upstream {
    fn slots(&self) -> usize {
        self.connection.options.concurrency
    }

    /// What a service had generated before this process died is not known to it any more.
    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        self.connection.transport.is_ready()
    }

    fn takes(&self, kind: MediaKind) -> bool {
        self.connection.options.capabilities.media.contains(&kind)
    }

    fn honours(&self, kind: MediaKind, options: &MediaOptions) -> Result<(), Error> {
        match options.set().find(|option| !self.connection.protocol.carries(kind, option, options)) {
            None => Ok(()),
            Some(option) => {
                let message = format!("the model takes {} input itself, and not with this", kind.as_str());
                Err(Error::invalid(option, message))
            }
        }
    }

    fn draws(&self) -> bool {
        self.connection.options.capabilities.draws
    }

    fn captions(&self) -> bool {
        match self.connection.options.protocol {
            ProtocolKind::Images(_) => false,
            ProtocolKind::Chat(_)
            | ProtocolKind::Responses
            | ProtocolKind::Anthropic
            | ProtocolKind::Gemini
            | ProtocolKind::Interactions => self.draws(),
        }
    }

    /// Finds out whether the request can be carried. How many tokens it has only the
    /// service knows, and says with its answer.
    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        let connection = &self.connection;
        // Media of earlier turns, which another model may have taken.
        for media in request.messages.iter().flat_map(Message::media) {
            let refused = |error: Error| BackendError::Rejected(format!("`input`: {}", error.message));
            self.honours(media.kind, &media.options).map_err(refused)?;
        }
        let first = supply::first_request(request, &connection.options.capabilities)?;
        connection.protocol.request(&connection.call(&first))?;
        Ok(Prepared::default())
    }

    async fn generate(&self, request: ModelRequest, _prepared: Prepared) -> Result<ModelStream, BackendError> {
        let ask: Arc<dyn Ask> = Arc::<Connection>::clone(&self.connection);
        supply::generate(ask, &self.connection.options.capabilities, request).await
    }
}
