//! One entry of `[[models]]`: which backend, where, and what it can do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_engine::MediaKind;
use antiphon_upstream::{
    Capabilities, Flavor, ImagesFlavor, PictureSizes, ProtocolKind, SchemaSupport, Timeouts, ToolSupport,
};
use serde::{Deserialize, Serialize};

use super::diffusion::Diffusion;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) backend: Backend,
    /// In tokens.
    pub(crate) context: Option<u32>,
    /// About how many tokens of one tool's result it is told.
    pub(crate) tool_result_tokens: Option<usize>,
    /// Names of models that are asked when this one cannot answer.
    #[serde(default)]
    pub(crate) fallbacks: Vec<String>,

    pub(crate) file: Option<PathBuf>,
    /// With which it takes images or recordings itself.
    pub(crate) projector: Option<PathBuf>,
    pub(crate) slots: Option<u32>,
    pub(crate) threads: Option<u32>,
    pub(crate) attention: Option<Attention>,

    pub(crate) diffusion: Option<Diffusion>,

    pub(crate) script: Option<PathBuf>,

    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) urls: Vec<String>,
    /// What the service calls the model.
    pub(crate) model: Option<String>,
    pub(crate) flavor: Option<AnyFlavor>,
    /// The environment variable that holds the key.
    pub(crate) api_key_env: Option<String>,
    pub(crate) api_key_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, HeaderValue>,
    pub(crate) session_header: Option<String>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) attempts: Option<u32>,
    pub(crate) output_limit: Option<u64>,
    pub(crate) capabilities: Option<CapabilityTable>,
    pub(crate) timeouts: Option<TimeoutTable>,
}

/// How a model of this machine computes attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Attention {
    /// Step by step: little where few words follow a long past.
    Plain,
    /// In one pass: less for long prompts and many conversations at once.
    Fused,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Backend {
    #[default]
    Llama,
    Diffusion,
    Scripted,
    #[serde(rename = "openai")]
    OpenAi,
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    Anthropic,
    Gemini,
    GeminiInteractions,
    #[serde(rename = "openai_images")]
    OpenAiImages,
}

/// Who serves chat completions, or images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum AnyFlavor {
    Chat(Flavor),
    Images(Compatible),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compatible {
    Compatible,
}

/// A header's value; secrets only by the name of where they are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum HeaderValue {
    Plain(String),
    Kept(Kept),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kept {
    /// The name of an environment variable.
    Env(String),
    File(PathBuf),
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CapabilityTable {
    pub(crate) tools: Option<ToolSupport>,
    pub(crate) schema: Option<SchemaSupport>,
    pub(crate) tools_with_schema: Option<bool>,
    pub(crate) thinking: Option<bool>,
    pub(crate) media: Option<Vec<Medium>>,
    /// Whether it answers with pictures.
    pub(crate) pictures: Option<bool>,
    /// Without it any, and those of OpenAI for its own models.
    pub(crate) picture_sizes: Option<Vec<PictureSize>>,
}

/// Written `1024x1024`, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PictureSize {
    width: u32,
    height: u32,
}

impl TryFrom<String> for PictureSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let known = sides.filter(|(width, height)| (16..=16_384).contains(width) && (16..=16_384).contains(height));
        let (width, height) = known.ok_or_else(|| format!("expected a size as `1024x1024`, got `{text}`"))?;
        Ok(Self { width, height })
    }
}

impl From<PictureSize> for String {
    fn from(PictureSize { width, height }: PictureSize) -> Self {
        format!("{width}x{height}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Medium {
    Image,
    Audio,
    Video,
    Document,
}

/// In seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TimeoutTable {
    pub(crate) connect_s: Option<f64>,
    pub(crate) first_s: Option<f64>,
    pub(crate) idle_s: Option<f64>,
}

/// What an upstream's input and output may have together unless the configuration says so.
pub(crate) const DEFAULT_UPSTREAM_CONTEXT: u32 = 131_072;
pub(crate) const DEFAULT_CONCURRENCY: u32 = 16;
pub(crate) const DEFAULT_ATTEMPTS: u32 = 3;

/// What OpenAI's models make since `gpt-image-1`.
const OPENAI_SIZES: [(u32, u32); 3] = [(1024, 1024), (1536, 1024), (1024, 1536)];

/// A picture comes whole, which takes longer than a first word.
const FIRST_OF_PICTURES: Duration = Duration::from_secs(600);

const LONGEST_TIMEOUT_S: f64 = 3600.0;

impl Model {
    /// An installed model with everything as the catalogue has it.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Makes paths relative to the folder of the file that names them.
    pub(crate) fn place_in(&mut self, folder: &Path) {
        let headers = self.headers.values_mut().filter_map(|value| match value {
            HeaderValue::Kept(Kept::File(file)) => Some(file),
            HeaderValue::Plain(_) | HeaderValue::Kept(Kept::Env(_)) => None,
        });
        let own = [&mut self.file, &mut self.projector, &mut self.script, &mut self.api_key_file];
        for file in own.into_iter().flatten().chain(headers) {
            *file = folder.join(&file);
        }
        if let Some(diffusion) = &mut self.diffusion {
            diffusion.place_in(folder);
        }
    }

    /// The addresses of an upstream, however they are given.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.url.iter().chain(&self.urls).cloned().collect()
    }

    /// None for models of this machine.
    pub(crate) fn protocol(&self) -> Option<ProtocolKind> {
        match self.backend {
            Backend::Llama | Backend::Diffusion | Backend::Scripted => None,
            Backend::OpenAi => Some(ProtocolKind::Chat(self.chat_flavor())),
            Backend::OpenAiResponses => Some(ProtocolKind::Responses),
            Backend::Anthropic => Some(ProtocolKind::Anthropic),
            Backend::Gemini => Some(ProtocolKind::Gemini),
            Backend::GeminiInteractions => Some(ProtocolKind::Interactions),
            Backend::OpenAiImages => Some(ProtocolKind::Images(self.images_flavor())),
        }
    }

    fn chat_flavor(&self) -> Flavor {
        match self.flavor {
            Some(AnyFlavor::Chat(flavor)) => flavor,
            Some(AnyFlavor::Images(_)) | None => Flavor::default(),
        }
    }

    fn images_flavor(&self) -> ImagesFlavor {
        match self.flavor {
            Some(AnyFlavor::Images(Compatible::Compatible)) => ImagesFlavor::Compatible,
            Some(AnyFlavor::Chat(_)) | None => ImagesFlavor::OpenAi,
        }
    }

    /// Whether it answers with pictures.
    pub(crate) fn draws(&self) -> bool {
        let said = self.capabilities.as_ref().and_then(|said| said.pictures);
        matches!(self.backend, Backend::Diffusion | Backend::OpenAiImages) || said == Some(true)
    }

    fn picture_sizes(&self) -> Option<Vec<PictureSize>> {
        let said = self.capabilities.as_ref().and_then(|said| said.picture_sizes.clone());
        let of_openai = self.backend == Backend::OpenAiImages && self.images_flavor() == ImagesFlavor::OpenAi;
        let usual = OPENAI_SIZES.map(|(width, height)| PictureSize { width, height });
        said.or_else(|| of_openai.then(|| usual.to_vec()))
    }

    pub(crate) fn upstream_model(&self) -> &str {
        self.model.as_deref().unwrap_or(&self.name)
    }

    /// What is said, over what is true of most models behind such a service.
    pub(crate) fn capabilities(&self) -> Capabilities {
        let said = self.capabilities.clone().unwrap_or_default();
        let flavor = self.chat_flavor();
        let schema = match (self.backend, flavor) {
            (Backend::OpenAi, Flavor::Vllm | Flavor::Sglang | Flavor::LlamaServer | Flavor::LmStudio)
            | (Backend::GeminiInteractions, _) => SchemaSupport::Enforced,
            // They enforce some schemas, and take others as advice.
            (Backend::OpenAi, Flavor::OpenAi | Flavor::Ollama)
            | (Backend::OpenAiResponses | Backend::Anthropic | Backend::Gemini, _) => SchemaSupport::Asked,
            (Backend::Llama | Backend::Diffusion | Backend::Scripted | Backend::OpenAiImages, _) => {
                SchemaSupport::Enforced
            }
        };
        let old_gemini = self.backend == Backend::Gemini
            && ["gemini-1", "gemini-2"].iter().any(|family| self.upstream_model().starts_with(family));
        let thinking = match self.backend {
            Backend::OpenAi => flavor == Flavor::Vllm,
            Backend::Llama | Backend::Diffusion | Backend::Scripted | Backend::OpenAiImages => false,
            Backend::OpenAiResponses | Backend::Anthropic | Backend::Gemini | Backend::GeminiInteractions => true,
        };
        let media = said.media.unwrap_or_default().into_iter().map(|medium| match medium {
            Medium::Image => MediaKind::Image,
            Medium::Audio => MediaKind::Audio,
            Medium::Video => MediaKind::Video,
            Medium::Document => MediaKind::Document,
        });
        Capabilities {
            tools: said.tools.unwrap_or(ToolSupport::Native),
            schema: said.schema.unwrap_or(schema),
            tools_with_schema: said.tools_with_schema.unwrap_or(!old_gemini),
            thinking: said.thinking.unwrap_or(thinking),
            media: media.collect(),
            draws: self.draws(),
            picture_sizes: self.picture_sizes().map_or(PictureSizes::Any, |sizes| {
                PictureSizes::These(sizes.into_iter().map(|PictureSize { width, height }| (width, height)).collect())
            }),
        }
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        let said = self.timeouts.clone().unwrap_or_default();
        let or = |seconds: Option<f64>, default: Duration| {
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(default)
        };
        let usual = Timeouts::default();
        Timeouts {
            connect: or(said.connect_s, usual.connect),
            first: or(said.first_s, if self.draws() { FIRST_OF_PICTURES } else { usual.first }),
            idle: or(said.idle_s, usual.idle),
        }
    }

    /// Writes down every default that stands behind an absent key.
    pub(crate) fn fill_in(&mut self) {
        if self.backend == Backend::Diffusion {
            self.diffusion.get_or_insert_default();
        }
        if self.protocol().is_none() {
            return;
        }
        let Capabilities { tools, schema, tools_with_schema, thinking, media: _, draws, picture_sizes: _ } =
            self.capabilities();
        let picture_sizes = self.picture_sizes();
        let Timeouts { connect, first, idle } = self.timeouts();
        let media = self.capabilities.as_ref().and_then(|said| said.media.clone()).unwrap_or_default();
        self.capabilities = Some(CapabilityTable {
            tools: Some(tools),
            schema: Some(schema),
            tools_with_schema: Some(tools_with_schema),
            thinking: Some(thinking),
            media: Some(media),
            pictures: Some(draws),
            picture_sizes,
        });
        self.timeouts = Some(TimeoutTable {
            connect_s: Some(connect.as_secs_f64()),
            first_s: Some(first.as_secs_f64()),
            idle_s: Some(idle.as_secs_f64()),
        });
        if self.backend == Backend::OpenAi {
            self.flavor.get_or_insert(AnyFlavor::Chat(Flavor::default()));
        }
        let model = self.upstream_model().to_owned();
        let context = *self.context.get_or_insert(DEFAULT_UPSTREAM_CONTEXT);
        self.model.get_or_insert(model);
        self.output_limit.get_or_insert(u64::from(context));
        self.concurrency.get_or_insert(DEFAULT_CONCURRENCY);
        self.attempts.get_or_insert(DEFAULT_ATTEMPTS);
    }

    /// What is wrong with this entry: a key and what was expected.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = self.misplaced();
        problems.extend(self.diffusion.iter().flat_map(Diffusion::problems));
        let mut wrong = |key: &str, why: &str| problems.push((key.to_owned(), why.to_owned()));
        if self.name.is_empty() {
            wrong("name", "expected a name");
        }
        let upstream = self.protocol().is_some();
        if self.backend == Backend::Scripted && self.script.is_none() {
            wrong("script", "a scripted model needs its script");
        }
        if upstream && self.addresses().is_empty() {
            wrong("url", "expected the address of the service, as `http://127.0.0.1:8000/v1`");
        }
        let said = self.capabilities.clone().unwrap_or_default();
        let may_draw = matches!(self.backend, Backend::OpenAiImages | Backend::Gemini | Backend::GeminiInteractions);
        match said.pictures {
            Some(true) if upstream && !may_draw => wrong(
                "capabilities.pictures",
                "pictures come from the backends `openai_images`, `gemini` and `gemini_interactions` alone",
            ),
            Some(false) if self.backend == Backend::OpenAiImages => {
                wrong("capabilities.pictures", "there is nothing but pictures behind `openai_images`");
            }
            Some(_) | None => {}
        }
        if said.picture_sizes.is_some() && self.backend != Backend::OpenAiImages {
            wrong("capabilities.picture_sizes", "only the backend `openai_images` is told sizes in pixels");
        }
        if said.picture_sizes.is_some_and(|sizes| sizes.is_empty()) {
            wrong("capabilities.picture_sizes", "expected at least one size, as `1024x1024`");
        }
        match (self.backend, self.flavor) {
            (Backend::OpenAi, Some(AnyFlavor::Images(_))) => wrong("flavor", "`compatible` is for `openai_images`"),
            (Backend::OpenAiImages, Some(AnyFlavor::Chat(flavor))) if flavor != Flavor::OpenAi => {
                wrong("flavor", "expected `openai` or `compatible`");
            }
            _ => {}
        }
        if self.url.is_some() && !self.urls.is_empty() {
            wrong("urls", "expected either `url` or `urls`");
        }
        if self.api_key_env.is_some() && self.api_key_file.is_some() {
            wrong("api_key_file", "expected either `api_key_env` or `api_key_file`");
        }
        for url in self.addresses() {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
            match host {
                None | Some("") => wrong("url", &format!("expected http:// or https:// and a host, got `{url}`")),
                Some(host) if host.contains('@') => {
                    wrong("url", "it holds a password; expected it in `api_key_env`, `api_key_file` or `headers`");
                }
                Some(_) => {}
            }
        }
        let secret = ["authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization"];
        for (name, value) in &self.headers {
            if matches!(value, HeaderValue::Plain(_)) && secret.contains(&name.to_ascii_lowercase().as_str()) {
                let how = "a secret is not written here; expected `{ env = \"NAME\" }` or `{ file = \"…\" }`";
                wrong(&format!("headers.{name}"), how);
            }
        }
        if self.context.is_some_and(|context| !(512..=16_777_216).contains(&context)) {
            wrong("context", "expected 512 to 16777216 tokens");
        }
        if self.slots.is_some_and(|slots| !(1..=64).contains(&slots)) {
            wrong("slots", "expected 1 to 64");
        }
        if self.concurrency.is_some_and(|calls| !(1..=4096).contains(&calls)) {
            wrong("concurrency", "expected 1 to 4096");
        }
        if self.attempts.is_some_and(|attempts| !(1..=10).contains(&attempts)) {
            wrong("attempts", "expected 1 to 10");
        }
        let said = self.timeouts.clone().unwrap_or_default();
        for (key, seconds) in [("connect_s", said.connect_s), ("first_s", said.first_s), ("idle_s", said.idle_s)] {
            if seconds.is_some_and(|seconds| !(0.001..=LONGEST_TIMEOUT_S).contains(&seconds)) {
                wrong(&format!("timeouts.{key}"), "expected 0.001 to 3600 seconds");
            }
        }
        problems
    }

    /// Keys that say nothing to this backend.
    fn misplaced(&self) -> Vec<(String, String)> {
        let upstream = self.protocol().is_some();
        let llama = self.backend == Backend::Llama;
        let diffusion = self.backend == Backend::Diffusion;
        let rows = [
            ("file", self.file.is_some(), llama || diffusion, "only models of this machine have a file"),
            ("projector", self.projector.is_some(), llama, "only language models of this machine have a projector"),
            ("slots", self.slots.is_some(), llama, "only language models of this machine have slots"),
            ("threads", self.threads.is_some(), llama || diffusion, "only models of this machine have threads"),
            ("attention", self.attention.is_some(), llama, "only language models of this machine have a choice"),
            ("context", self.context.is_some(), !diffusion, "a diffusion model has none"),
            ("diffusion", self.diffusion.is_some(), diffusion, "only the backend `diffusion` has it"),
            ("script", self.script.is_some(), self.backend == Backend::Scripted, "only scripted models have a script"),
            ("url", self.url.is_some(), upstream, UPSTREAM_ONLY),
            ("urls", !self.urls.is_empty(), upstream, UPSTREAM_ONLY),
            ("model", self.model.is_some(), upstream, UPSTREAM_ONLY),
            (
                "flavor",
                self.flavor.is_some(),
                matches!(self.backend, Backend::OpenAi | Backend::OpenAiImages),
                "only the backends `openai` and `openai_images` have flavors",
            ),
            ("api_key_env", self.api_key_env.is_some(), upstream, UPSTREAM_ONLY),
            ("api_key_file", self.api_key_file.is_some(), upstream, UPSTREAM_ONLY),
            ("headers", !self.headers.is_empty(), upstream, UPSTREAM_ONLY),
            ("session_header", self.session_header.is_some(), upstream, UPSTREAM_ONLY),
            ("concurrency", self.concurrency.is_some(), upstream, UPSTREAM_ONLY),
            ("attempts", self.attempts.is_some(), upstream, UPSTREAM_ONLY),
            ("output_limit", self.output_limit.is_some(), upstream, UPSTREAM_ONLY),
            ("capabilities", self.capabilities.is_some(), upstream, UPSTREAM_ONLY),
            ("timeouts", self.timeouts.is_some(), upstream, UPSTREAM_ONLY),
        ];
        let misplaced = rows.into_iter().filter(|(_, given, wanted, _)| *given && !wanted);
        misplaced.map(|(key, _, _, why)| (key.to_owned(), why.to_owned())).collect()
    }
}

const UPSTREAM_ONLY: &str = "only models behind a service have it";
