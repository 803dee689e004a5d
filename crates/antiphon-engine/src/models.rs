//! The models this server serves and the names they answer to.

use std::sync::Arc;

use antiphon_wire::{Code, Error};

use crate::admission::Admission;
use crate::backend::Backend;

/// One served model.
pub struct Served {
    pub name: String,
    pub aliases: Vec<String>,
    pub description: String,
    /// Input and output together, in tokens.
    pub context: u64,
    /// The most tokens one answer can have.
    pub output_limit: u64,
    /// About how many tokens of one tool's result it is told, if it gets fewer than others.
    pub result_tokens: Option<usize>,
    /// Whether it is told when to search, since it cannot decide that by itself, and not told to mark its sources.
    pub is_guided: bool,
    pub backend: Arc<dyn Backend>,
    pub(crate) admission: Arc<Admission>,
}

impl Served {
    /// `waiting` is how many interactions may wait for a slot of this model.
    pub fn new(name: impl Into<String>, backend: Arc<dyn Backend>, context: u64, waiting: usize) -> Self {
        let admission = Admission::new(backend.slots(), waiting);
        Self {
            name: name.into(),
            aliases: Vec::new(),
            description: String::new(),
            context,
            output_limit: context,
            result_tokens: None,
            is_guided: false,
            backend,
            admission,
        }
    }
}

impl Served {
    /// What draws with this model, in the same queue: `backend` is over the model's own.
    pub fn drawing(&self, backend: Arc<dyn Backend>) -> Self {
        Self {
            name: self.name.clone(),
            aliases: Vec::new(),
            description: format!("Vector drawings by `{}`", self.name),
            context: self.context,
            output_limit: self.output_limit,
            result_tokens: None,
            is_guided: false,
            backend,
            admission: Arc::clone(&self.admission),
        }
    }
}

impl Served {
    /// What researches with this model, in the same queue: `backend` is over the model's own.
    pub fn researching(&self, backend: Arc<dyn Backend>) -> Self {
        Self {
            name: self.name.clone(),
            aliases: Vec::new(),
            description: format!("Research by `{}`", self.name),
            context: self.context,
            output_limit: self.output_limit,
            result_tokens: self.result_tokens,
            is_guided: false,
            backend,
            admission: Arc::clone(&self.admission),
        }
    }
}

/// All served models; the first that answers in words is the default.
pub struct Models {
    served: Vec<Arc<Served>>,
    /// What answers with pictures.
    draws: Option<Arc<Served>>,
    /// What agents that research work with.
    researches: Option<Arc<Served>>,
    strict: bool,
}

impl Models {
    /// `strict` turns off that `gemini-*` names reach the default model.
    pub fn new(served: Vec<Arc<Served>>, strict: bool) -> Self {
        Self { served, draws: None, researches: None, strict }
    }

    /// Adds what `gemini-*-image*` names reach.
    #[must_use]
    pub fn with_images(self, draws: Arc<Served>) -> Self {
        Self { draws: Some(draws), ..self }
    }

    /// Adds what `deep-research-*` agents work with.
    #[must_use]
    pub fn with_research(self, researches: Served) -> Self {
        Self { researches: Some(Arc::new(researches)), ..self }
    }

    /// What `deep-research-*` agents work with.
    pub fn researcher(&self) -> Option<&Arc<Served>> {
        self.researches.as_ref()
    }

    pub fn list(&self) -> &[Arc<Served>] {
        &self.served
    }

    /// The first that answers in words.
    pub fn default_model(&self) -> Option<&Arc<Served>> {
        self.served.iter().find(|served| !served.backend.draws()).or(self.served.first())
    }

    /// The model behind a requested name (a `models/` prefix is tolerated).
    ///
    /// # Errors
    /// `model_not_found` listing what is served; `invalid_request` for names whose kind
    /// of model is not built.
    pub fn find(&self, name: &str) -> Result<Arc<Served>, Error> {
        let name = name.strip_prefix("models/").unwrap_or(name);
        let named = |served: &&Arc<Served>| served.name == name || served.aliases.iter().any(|alias| alias == name);
        if let Some(served) = self.served.iter().find(named) {
            return Ok(Arc::clone(served));
        }
        if name.starts_with("gemini-") && !self.strict {
            if let Some(draws) = self.draws.as_ref().filter(|_| name.split('-').any(|word| word == "image")) {
                return Ok(Arc::clone(draws));
            }
            for kind in ["image", "tts", "audio", "live", "embedding", "computer-use", "robotics"] {
                if name.split('-').any(|word| kind.split('-').next() == Some(word)) && name.contains(kind) {
                    let message =
                        format!("`{name}` is not a text model; {kind} models are not supported by this server yet");
                    return Err(Error::invalid("model", message));
                }
            }
            if let Some(served) = self.default_model() {
                return Ok(Arc::clone(served));
            }
        }
        let names: Vec<_> = self.served.iter().map(|served| format!("`{}`", served.name)).collect();
        let also = if self.strict { "" } else { " and any `gemini-*` text model, served by the first" };
        Err(Error::new(
            Code::ModelNotFound,
            format!("`model`: unknown model `{}`; served: {}{also}", shorten(name), names.join(", ")),
        ))
    }
}

fn shorten(name: &str) -> &str {
    match name.char_indices().nth(80) {
        None => name,
        Some((end, _)) => &name[..end],
    }
}
