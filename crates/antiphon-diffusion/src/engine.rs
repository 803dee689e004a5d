//! stable-diffusion.cpp behind one safe function: weights and an order in, pixels out.
//!
//! The only file of this crate that calls C++. The bindings are used as they are: the crate that
//! wraps them writes pictures into files and frees with one allocator what came from another, and
//! brings 60 crates along, among them an AV1 encoder and a client of the model hub.
#![expect(unsafe_code, reason = "the engine is written in C++")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;

use antiphon_worker::picture::Order;
use diffusion_rs_sys as sys;

/// What the engine says before it begins with the first step.
const BEGINS: &str = "generating image: ";

/// The longest complaint that is kept, in bytes.
const MOST_COMPLAINT: usize = 1000;

/// Above so many pixels the decoder works in tiles: at 1024 by 1024 it takes 6 GB for one piece.
const MOST_UNTILED: u64 = 768 * 768;

/// The files that a picture is made with.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Weights {
    /// A checkpoint: the denoiser, and what else is not given
    #[arg(long, required_unless_present = "denoiser")]
    model: Option<PathBuf>,
    /// The denoiser alone
    #[arg(long, conflicts_with = "model")]
    denoiser: Option<PathBuf>,
    /// The autoencoder
    #[arg(long)]
    vae: Option<PathBuf>,
    /// A small autoencoder in its place: less detail, much less time and memory
    #[arg(long)]
    tiny_vae: Option<PathBuf>,
    /// Encoders of the prompt
    #[arg(long)]
    clip_l: Option<PathBuf>,
    #[arg(long)]
    clip_g: Option<PathBuf>,
    #[arg(long)]
    t5xxl: Option<PathBuf>,
    /// A language model that encodes the prompt
    #[arg(long)]
    language_model: Option<PathBuf>,
}

/// Rows from the top, three bytes for each pixel.
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("`{0}` cannot be a path: it holds a NUL")]
    Path(PathBuf),
    #[error("the prompt holds a NUL")]
    Prompt,
    #[error("a picture of {bytes} bytes has not {width} by {height} pixels")]
    Pixels { width: u32, height: u32, bytes: usize },
    #[error("the weights cannot be used: {0}")]
    Load(String),
    #[error("the engine made no picture: {0}")]
    Picture(String),
}

/// What the engine says while it works.
struct Listener<'a> {
    /// Of the order.
    steps: u32,
    done: u32,
    /// Loading and decoding have their own progress, which comes by the same way.
    is_stepping: bool,
    complaint: String,
    step: &'a mut dyn FnMut(u32),
}

/// The engine with its weights.
struct Context(*mut sys::sd_ctx_t);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it came from `new_sd_ctx`, is not null, and is not used any more.
        unsafe { sys::free_sd_ctx(self.0) }
    }
}

/// Makes one picture. It may be larger than was asked for, since models work in blocks. `step` is told how many
/// steps are done.
///
/// The order was checked. `threads` is at least 1. To be called by one thread at a time: the engine tells its
/// progress to the whole process.
///
/// # Errors
/// When weights cannot be used, or nothing comes of them.
pub(crate) fn make(
    weights: &Weights,
    threads: u32,
    order: &Order,
    beginning: Option<&mut Pixels>,
    step: &mut dyn FnMut(u32),
) -> Result<Pixels, EngineError> {
    let mut listener =
        Listener { steps: order.steps_taken(), done: 0, is_stepping: false, complaint: String::new(), step };
    let told: *mut Listener<'_> = &raw mut listener;
    // SAFETY: `listener` outlives every call that may tell it something, the last of which is in `generate`; and
    // all of them are made, by this thread, inside calls of the engine that this function waits for.
    unsafe {
        sys::sd_set_log_callback(Some(hear_log), told.cast());
        sys::sd_set_progress_callback(Some(hear_progress), told.cast());
    }
    let made = load(weights, threads).and_then(|context| generate(&context, order, beginning));
    // SAFETY: nothing is told to `listener` any more.
    unsafe {
        sys::sd_set_log_callback(Some(hear_nothing), ptr::null_mut());
        sys::sd_set_progress_callback(None, ptr::null_mut());
    }
    made.map_err(|error| match error {
        EngineError::Load(_) => EngineError::Load(listener.complaint),
        EngineError::Picture(_) => EngineError::Picture(listener.complaint),
        error @ (EngineError::Path(_) | EngineError::Prompt | EngineError::Pixels { .. }) => error,
    })
}

fn load(weights: &Weights, threads: u32) -> Result<Context, EngineError> {
    let path = |path: &Option<PathBuf>| path.as_deref().map(c_path).transpose();
    let model = path(&weights.model)?;
    let denoiser = path(&weights.denoiser)?;
    let vae = path(&weights.vae)?;
    let tiny_vae = path(&weights.tiny_vae)?;
    let clip_l = path(&weights.clip_l)?;
    let clip_g = path(&weights.clip_g)?;
    let t5xxl = path(&weights.t5xxl)?;
    let language_model = path(&weights.language_model)?;
    let mut options = MaybeUninit::zeroed();
    // SAFETY: it fills in every field of the place that it is given.
    let mut options: sys::sd_ctx_params_t = unsafe {
        sys::sd_ctx_params_init(options.as_mut_ptr());
        options.assume_init()
    };
    options.model_path = or_null(model.as_deref());
    options.diffusion_model_path = or_null(denoiser.as_deref());
    options.vae_path = or_null(vae.as_deref());
    options.taesd_path = or_null(tiny_vae.as_deref());
    options.clip_l_path = or_null(clip_l.as_deref());
    options.clip_g_path = or_null(clip_g.as_deref());
    options.t5xxl_path = or_null(t5xxl.as_deref());
    options.llm_path = or_null(language_model.as_deref());
    options.n_threads = c_int::try_from(threads).unwrap_or(1);
    options.enable_mmap = true;
    // SAFETY: all paths live to the end of this function, and the engine keeps copies.
    let context = unsafe { sys::new_sd_ctx(&raw const options) };
    if context.is_null() { Err(EngineError::Load(String::new())) } else { Ok(Context(context)) }
}

fn generate(context: &Context, order: &Order, beginning: Option<&mut Pixels>) -> Result<Pixels, EngineError> {
    let prompt = CString::new(order.prompt.as_str()).map_err(|_| EngineError::Prompt)?;
    let mut options = MaybeUninit::zeroed();
    // SAFETY: it fills in every field of the place that it is given.
    let mut options: sys::sd_img_gen_params_t = unsafe {
        sys::sd_img_gen_params_init(options.as_mut_ptr());
        options.assume_init()
    };
    options.prompt = prompt.as_ptr();
    options.width = c_int::try_from(order.width).unwrap_or_default();
    options.height = c_int::try_from(order.height).unwrap_or_default();
    options.sample_params.sample_steps = c_int::try_from(order.steps).unwrap_or(1);
    options.sample_params.guidance.txt_cfg = order.guidance;
    options.seed = i64::try_from(order.seed).unwrap_or_default();
    options.vae_tiling_params.enabled = u64::from(order.width) * u64::from(order.height) > MOST_UNTILED;
    if let (Some(Pixels { width, height, bytes }), Some(wanted)) = (beginning, &order.beginning) {
        if bytes.len() != size_of_pixels(*width, *height) {
            return Err(EngineError::Pixels { width: *width, height: *height, bytes: bytes.len() });
        }
        options.init_image = sys::sd_image_t { width: *width, height: *height, channel: 3, data: bytes.as_mut_ptr() };
        options.strength = wanted.change;
    }
    // SAFETY: the context is whole, and prompt and pixels outlive the call. There is one picture in a batch.
    let made = unsafe { sys::generate_image(context.0, &raw const options) };
    if made.is_null() {
        return Err(EngineError::Picture(String::new()));
    }
    // SAFETY: it is an array of one picture, which is read before it is given back.
    let picture = unsafe {
        let picture = &*made;
        let length = size_of_pixels(picture.width, picture.height);
        let is_whole = picture.channel == 3 && !picture.data.is_null();
        let bytes = is_whole.then(|| std::slice::from_raw_parts(picture.data, length).to_vec());
        let pixels = bytes.map(|bytes| Pixels { width: picture.width, height: picture.height, bytes });
        sys::free_sd_images(made, 1);
        pixels
    };
    picture.ok_or_else(|| EngineError::Picture(String::new()))
}

/// Ends the process at once: what is being computed is of no use, and C++ would wait for it.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: it touches no memory.
    unsafe { libc::_exit(code) }
}

fn size_of_pixels(width: u32, height: u32) -> usize {
    width as usize * height as usize * 3
}

fn c_path(path: &Path) -> Result<CString, EngineError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| EngineError::Path(path.to_owned()))
}

fn or_null(text: Option<&CStr>) -> *const c_char {
    text.map_or(ptr::null(), CStr::as_ptr)
}

unsafe extern "C" fn hear_progress(step: c_int, steps: c_int, _seconds: f32, told: *mut c_void) {
    // SAFETY: `make` gave it, and waits.
    let listener = unsafe { &mut *told.cast::<Listener<'_>>() };
    let (step, steps) = (u32::try_from(step).unwrap_or(0), u32::try_from(steps).unwrap_or(0));
    if listener.is_stepping && steps == listener.steps && step == listener.done + 1 {
        listener.done = step;
        (listener.step)(step);
    }
}

unsafe extern "C" fn hear_log(level: sys::sd_log_level_t, text: *const c_char, told: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: `make` gave it, and waits; the text ends with a NUL and lives for this call.
    let (listener, text) = unsafe { (&mut *told.cast::<Listener<'_>>(), CStr::from_ptr(text)) };
    match level {
        sys::sd_log_level_t::SD_LOG_INFO => {
            listener.is_stepping |= text.to_string_lossy().contains(BEGINS);
        }
        sys::sd_log_level_t::SD_LOG_ERROR if listener.complaint.len() < MOST_COMPLAINT => {
            let text = text.to_string_lossy();
            if !listener.complaint.is_empty() {
                listener.complaint.push_str("; ");
            }
            listener.complaint.extend(text.trim().chars().take(MOST_COMPLAINT / 4));
        }
        _ => {}
    }
}

unsafe extern "C" fn hear_nothing(_level: sys::sd_log_level_t, _text: *const c_char, _told: *mut c_void) {}
