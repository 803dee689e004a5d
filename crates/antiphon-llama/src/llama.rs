//! llama.cpp as a [`Decoder`].
//!
//! The only file that names llama.cpp's types: the bindings change with every release, and
//! what they leave out (quantising, log levels) is called directly.
#![expect(unsafe_code, reason = "the parts of llama.cpp that its binding leaves out")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem::ManuallyDrop;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_worker::protocol::{ModelCard, Shape, Token};
use antiphon_worker::{DecodeError, Decoder, Impression, Row, Vocabulary};
use llama_cpp_2::LlamaCppError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::mtmd::{
    MtmdBitmap, MtmdContext, MtmdContextParams, MtmdInputChunks, MtmdInputText, mtmd_default_marker,
};
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;
use sha2::{Digest, Sha256};

use crate::spinning::Spinning;

/// Rows per batch. More gains nothing on a CPU and makes others wait longer.
const BATCH: u32 = 512;

/// Sequences beyond the slots, for conversations that nobody continues just now.
const IDLE_SEQUENCES: u32 = 12;

/// How a model is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    /// What makes pictures and sounds something that the model reads, a GGUF file too.
    pub(crate) projector: Option<PathBuf>,
    /// Replaces the name in the file.
    pub(crate) name: Option<String>,
    /// Cells of the cache, shared by all sequences.
    pub(crate) context: u32,
    pub(crate) slots: u32,
    pub(crate) threads: u32,
    pub(crate) fused_attention: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot read `{path}`: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` is not a GGUF file")]
    NotGguf { path: PathBuf },
    #[error("llama.cpp cannot start: {0}")]
    Backend(#[from] LlamaCppError),
    #[error("llama.cpp cannot load `{path}`: {message}")]
    Load { path: PathBuf, message: String },
    #[error("llama.cpp cannot use `{path}` as the projector of this model: {message}")]
    Projector { path: PathBuf, message: String },
    #[error("llama.cpp cannot quantize `{path}`")]
    Quantize { path: PathBuf },
}

/// A loaded model, its cache, and its last batch's logits.
pub(crate) struct Llama {
    card: ModelCard,
    context: LlamaContext<'static>,
    batch: LlamaBatch<'static>,
    words: Words,
    vocabulary: Arc<dyn Vocabulary>,
    /// What computes media; the vocabulary has it too.
    projector: Option<ManuallyDrop<MtmdContext>>,
    spinning: Spinning,
    /// Whether the model's state is one per sequence, not one per token: then there is
    /// no way back to an earlier token.
    recurrent: bool,
}

/// What the model reads and writes.
#[derive(Clone)]
struct Words {
    model: &'static LlamaModel,
    kinds: Vec<Kind>,
    /// What measures media and makes them ready.
    projector: Option<&'static MtmdContext>,
}

/// What a token is, by its number. Asked for at every token, hence kept.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    special: bool,
    end: bool,
    /// Written by templates though not special, such as `<tool_call>` in some models.
    /// llama.cpp finds these in any text.
    written: bool,
}

impl Llama {
    /// Loads a model and makes its cache.
    ///
    /// # Errors
    /// If the file is missing, not a GGUF, or not a model that llama.cpp can run.
    pub(crate) fn load(options: &Options) -> Result<Self, LoadError> {
        let path = &options.path;
        let fingerprint = fingerprint(path)?;
        quiet();
        let failed = |message: String| LoadError::Load { path: path.clone(), message };

        // A worker has one model for its whole life. Leaked, both can be borrowed by the
        // context that is kept beside them.
        let backend: &'static LlamaBackend = Box::leak(Box::new(LlamaBackend::init()?));
        let model = LlamaModel::load_from_file(backend, path, &LlamaModelParams::default())
            .map_err(|error| failed(error.to_string()))?;
        let model: &'static LlamaModel = Box::leak(Box::new(model));

        let sequences = options.slots + IDLE_SEQUENCES;
        let flash_attention = if options.fused_attention {
            // Not where the engine has no such pass for the model's shapes.
            llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_AUTO
        } else {
            llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_DISABLED
        };
        let parameters = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(options.context))
            .with_n_batch(BATCH)
            .with_n_ubatch(BATCH)
            .with_n_seq_max(sequences)
            .with_n_threads(options.threads as i32)
            .with_n_threads_batch(options.threads as i32)
            .with_flash_attention_policy(flash_attention)
            .with_kv_unified(true)
            // Sliding windows would forget the prefixes that the next turn begins with.
            .with_swa_full(true)
            .with_no_perf(true);
        let context = model.new_context(backend, parameters).map_err(|error| failed(error.to_string()))?;

        let vocabulary = model.vocab();
        let loaded = options.projector.as_deref().map(|path| projector(path, model, options.threads)).transpose()?;
        let (fingerprint, reads) = match loaded {
            None => (fingerprint, None),
            // What was read through one means nothing to another.
            Some((own, reads)) => (hexadecimal(&Sha256::digest(format!("{fingerprint} {own}"))), Some(reads)),
        };
        // SAFETY: the copy is of a pointer, which is valid for the life of the process: neither it nor the leaked original
        // is ever dropped. The vocabulary only tokenizes with the one, this only evaluates with the other, and mtmd says
        // of its tokenizing that it is safe beside anything.
        let evaluates = reads.map(|reads| ManuallyDrop::new(unsafe { std::ptr::read(reads) }));
        let words = Words {
            model,
            kinds: vocabulary.tokens().map(|token| kind(&vocabulary, token)).collect(),
            projector: reads,
        };
        let card = ModelCard {
            images: reads.is_some_and(MtmdContext::support_vision),
            sample_rate: reads.and_then(MtmdContext::get_audio_sample_rate),
            ..card(model, &vocabulary, &context, options, fingerprint)
        };
        Ok(Self {
            card,
            context,
            batch: LlamaBatch::new(BATCH as usize, 1),
            vocabulary: Arc::new(words.clone()),
            words,
            projector: evaluates,
            spinning: Spinning::new(options.threads),
            recurrent: model.is_recurrent() || model.is_hybrid(),
        })
    }

    /// Takes no token for an end any more, so that benchmarks generate what they count.
    pub(crate) fn never_end(&mut self) {
        for kind in &mut self.words.kinds {
            kind.end = false;
        }
        self.vocabulary = Arc::new(self.words.clone());
    }
}

impl Vocabulary for Words {
    fn size(&self) -> u32 {
        self.kinds.len() as u32
    }

    fn tokenize(&self, text: &str, special: bool) -> Vec<Token> {
        let vocabulary = self.model.vocab();
        let mut tokens = Vec::new();
        for LlamaToken(token) in vocabulary.tokenize(text.as_bytes(), false, special) {
            if special || !self.kinds[token as usize].written {
                tokens.push(token as Token);
                continue;
            }
            // As text it is its first character and the rest, which are shorter.
            let piece = vocabulary.token_to_piece(LlamaToken(token), true, None);
            let piece = String::from_utf8_lossy(&piece);
            let mut rest = piece.chars();
            rest.next();
            let (first, rest) = piece.split_at(piece.len() - rest.as_str().len());
            tokens.extend([first, rest].into_iter().flat_map(|part| self.tokenize(part, false)));
        }
        tokens
    }

    fn piece(&self, token: Token, show_special: bool) -> Vec<u8> {
        self.model.vocab().token_to_piece(LlamaToken(token as i32), show_special, None)
    }

    fn is_special(&self, token: Token) -> bool {
        self.kinds[token as usize].special
    }

    fn is_end(&self, token: Token) -> bool {
        self.kinds[token as usize].end
    }

    fn read_medium(&self, shape: Shape, data: &[u8]) -> Result<Impression, String> {
        let (bitmap, taken) = match (shape, self.projector) {
            (Shape::Image { width, height }, Some(projector)) if projector.support_vision() => {
                (MtmdBitmap::from_image_data(width, height, data), projector)
            }
            (Shape::Audio { .. }, Some(projector)) if projector.support_audio() => {
                let (samples, _) = data.as_chunks();
                let samples: Vec<_> = samples.iter().copied().map(f32::from_le_bytes).collect();
                (MtmdBitmap::from_audio_data(&samples), projector)
            }
            (Shape::Image { .. }, _) => return Err("the model takes no pictures".to_owned()),
            (Shape::Audio { .. }, _) => return Err("the model takes no sounds".to_owned()),
        };
        let bitmap = bitmap.map_err(|error| error.to_string())?;
        // By itself: the texts around it are tokenized by other rules.
        let text = MtmdInputText { text: mtmd_default_marker().to_owned(), add_special: false, parse_special: true };
        let chunks = taken.tokenize(text, &[&bitmap]).map_err(|error| error.to_string())?;
        let positions = u32::try_from(chunks.total_positions()).map_err(|error| error.to_string())?;
        if chunks.total_tokens() == 0 {
            return Err("the model makes nothing of it".to_owned());
        }
        Ok(Impression { cells: chunks.total_tokens(), positions, content: Arc::new(chunks) })
    }
}

impl Decoder for Llama {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn cells(&self) -> u32 {
        self.context.n_ctx()
    }

    fn sequences(&self) -> u32 {
        self.card.slots + IDLE_SEQUENCES
    }

    fn batch_size(&self) -> usize {
        BATCH as usize
    }

    fn vocabulary(&self) -> &Arc<dyn Vocabulary> {
        &self.vocabulary
    }

    fn decode(&mut self, batch: &[Row]) -> Result<(), DecodeError> {
        self.spinning.adapt();
        self.batch.clear();
        for row in batch {
            self.batch
                .add(LlamaToken(row.token as i32), row.position as i32, &[row.sequence as i32], row.logits)
                .map_err(|error| DecodeError::Refused(error.to_string()))?;
        }
        self.context.decode(&mut self.batch).map_err(|error| match error {
            llama_cpp_2::DecodeError::NoKvCacheSlot => DecodeError::Refused("the cache is full".to_owned()),
            // The binding calls every rejected batch an empty one.
            llama_cpp_2::DecodeError::NTokensZero => DecodeError::Refused("the batch is not valid".to_owned()),
            llama_cpp_2::DecodeError::Unknown(code) => DecodeError::Broken(format!("llama_decode returned {code}")),
        })
    }

    fn decode_medium(&mut self, medium: &Impression, sequence: u32, position: u32) -> Result<(), DecodeError> {
        let (Some(projector), Some(chunks)) = (&mut self.projector, medium.content.downcast_ref::<MtmdInputChunks>())
        else {
            return Err(DecodeError::Refused("it takes no media".to_owned()));
        };
        let (from, end) = (position as i32, (position + medium.positions) as i32);
        let batch = BATCH as i32;
        match chunks.eval_chunks(projector, &mut self.context, from, sequence as i32, batch, false) {
            Ok(reached) if reached == end => Ok(()),
            Ok(reached) => Err(DecodeError::Broken(format!("a medium ended at position {reached} in place of {end}"))),
            Err(error) => Err(DecodeError::Refused(format!("a medium could not be computed: {error}"))),
        }
    }

    fn logits(&self, row: usize) -> &[f32] {
        self.context.get_logits_ith(row as i32)
    }

    fn forget(&mut self, sequence: u32, from: u32) -> bool {
        if self.recurrent && from > 0 {
            return false;
        }
        self.context.kv_cache_seq_rm(sequence as i32, Some(from), None).is_ok()
    }

    fn copy(&mut self, from: u32, to: u32, up_to: u32) -> bool {
        !self.recurrent && self.context.kv_cache_seq_cp(from as i32, to as i32, Some(0), Some(up_to)).is_ok()
    }
}

fn card(
    model: &LlamaModel,
    vocabulary: &LlamaVocab<'_>,
    context: &LlamaContext<'_>,
    options: &Options,
    fingerprint: String,
) -> ModelCard {
    let meta = |key: &str| model.meta_val_str(key).ok().filter(|value| !value.is_empty());
    let text = |LlamaToken(token)| {
        // -1 where the model has none.
        if token < 0 {
            return String::new();
        }
        String::from_utf8_lossy(&vocabulary.token_to_piece(LlamaToken(token), true, None)).into_owned()
    };
    let stem = options.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let title = meta("general.name").unwrap_or_else(|| stem.clone());
    let architecture = meta("general.architecture").unwrap_or_else(|| "unknown architecture".to_owned());
    ModelCard {
        name: options.name.clone().unwrap_or(stem),
        fingerprint,
        // The cache may be larger than what the model was trained to look back on.
        context: context.n_ctx().min(model.n_ctx_train()),
        slots: options.slots,
        chat_template: model.chat_template(None).ok().and_then(|template| template.to_string().ok()),
        bos: text(vocabulary.bos()),
        eos: text(vocabulary.eos()),
        parameters: model.n_params(),
        images: false,
        sample_rate: None,
        description: format!(
            "{title} ({architecture}, {:.2} billion parameters, {} MB)",
            model.n_params() as f64 / 1e9,
            model.size() / 1_000_000
        ),
    }
}

/// Loads a projector, for as long as the process lives, and says what tells it from others.
fn projector(path: &Path, model: &LlamaModel, threads: u32) -> Result<(String, &'static MtmdContext), LoadError> {
    let fingerprint = fingerprint(path)?;
    let failed = |message: String| LoadError::Projector { path: path.to_owned(), message };
    let name = path.to_str().ok_or_else(|| failed("expected a path in UTF-8".to_owned()))?;
    let parameters = MtmdContextParams { print_timings: false, n_threads: threads as i32, ..Default::default() };
    LAST_ERROR.lock().unwrap_or_else(PoisonError::into_inner).clear();
    match MtmdContext::init_from_file(name, model, &parameters) {
        Ok(context) => Ok((fingerprint, Box::leak(Box::new(context)))),
        Err(error) => {
            let said = LAST_ERROR.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Err(failed(if said.is_empty() { error.to_string() } else { said }))
        }
    }
}

fn kind(vocabulary: &LlamaVocab<'_>, token: LlamaToken) -> Kind {
    let attributes = vocabulary.attr(token);
    let text = vocabulary.token_to_piece(token, true, None);
    let text = String::from_utf8_lossy(&text);
    Kind {
        special: attributes.contains(LlamaTokenAttr::Control) || attributes.contains(LlamaTokenAttr::Unknown),
        end: vocabulary.is_eog(token),
        // Some vocabularies define runs of spaces this way: these are only text.
        written: attributes.contains(LlamaTokenAttr::UserDefined)
            && !text.trim().is_empty()
            && text.chars().nth(1).is_some(),
    }
}

/// Tells weights and tokenizers apart without reading gigabytes: the length, the first
/// MiB, and 64 samples of 64 KiB spread over the file, hashed.
fn fingerprint(path: &Path) -> Result<String, LoadError> {
    let read = |source| LoadError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let mut sample = Vec::new();
    (&file).take(1 << 20).read_to_end(&mut sample).map_err(read)?;
    if !sample.starts_with(b"GGUF") {
        return Err(LoadError::NotGguf { path: path.to_owned() });
    }
    let mut hash = Sha256::new();
    hash.update(length.to_le_bytes());
    hash.update(&sample);
    for index in 1..=64 {
        sample.clear();
        file.seek(SeekFrom::Start((length / 64 * index).saturating_sub(1 << 16))).map_err(read)?;
        (&file).take(1 << 16).read_to_end(&mut sample).map_err(read)?;
        hash.update(&sample);
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the model `input` to `output` with weights of 8 bits (`q8_0`).
///
/// # Errors
/// If `input` is no model, or `output` cannot be written.
pub(crate) fn quantize(input: &Path, output: &Path, threads: u32) -> Result<(), LoadError> {
    fingerprint(input)?;
    quiet();
    let failed = || LoadError::Quantize { path: input.to_owned() };
    let c_path = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| failed());
    let (from, to) = (c_path(input)?, c_path(output)?);
    let _backend = LlamaBackend::init()?;
    // SAFETY: the function takes nothing and returns a plain struct.
    let mut parameters = unsafe { llama_cpp_sys_2::llama_model_quantize_default_params() };
    parameters.nthread = threads as i32;
    parameters.ftype = llama_cpp_sys_2::LLAMA_FTYPE_MOSTLY_Q8_0;
    // What packages carry is quantized already.
    parameters.allow_requantize = true;
    // SAFETY: both paths end in a zero byte and outlive the call, as do the parameters,
    // whose pointers are the defaults' null.
    let code = unsafe { llama_cpp_sys_2::llama_model_quantize(from.as_ptr(), to.as_ptr(), &raw const parameters) };
    if code == 0 { Ok(()) } else { Err(failed()) }
}

/// Lets only warnings and errors of llama.cpp reach stderr.
fn quiet() {
    // SAFETY: the callback is a plain function for the whole life of the process and
    // needs no data.
    unsafe {
        llama_cpp_sys_2::llama_log_set(Some(log), std::ptr::null_mut());
        llama_cpp_sys_2::mtmd_helper_log_set(Some(log), std::ptr::null_mut());
    }
}

/// What llama.cpp has last called an error, on one line: some of its functions give no other reason.
static LAST_ERROR: Mutex<String> = Mutex::new(String::new());

/// What llama.cpp says goes to stderr if it is a warning or worse.
unsafe extern "C" fn log(level: llama_cpp_sys_2::ggml_log_level, text: *const c_char, _: *mut c_void) {
    /// Of the last message, which a continuation belongs to.
    static LEVEL: AtomicU32 = AtomicU32::new(llama_cpp_sys_2::GGML_LOG_LEVEL_NONE);
    let level = if level == llama_cpp_sys_2::GGML_LOG_LEVEL_CONT {
        LEVEL.load(Ordering::Relaxed)
    } else {
        LEVEL.store(level, Ordering::Relaxed);
        level
    };
    if level < llama_cpp_sys_2::GGML_LOG_LEVEL_WARN {
        return;
    }
    // SAFETY: llama.cpp passes a string that ends in a zero byte and lives for this call.
    let text = unsafe { CStr::from_ptr(text) };
    if level == llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR {
        let words: Vec<_> = text.to_str().unwrap_or_default().split_whitespace().collect();
        *LAST_ERROR.lock().unwrap_or_else(PoisonError::into_inner) = words.join(" ");
    }
    // With stderr closed there is nobody to tell.
    let _ = io::stderr().write_all(text.to_bytes());
}

/// Ends the process without running C++ destructors, which would race with the threads
/// that are inside a batch.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}
