//! Models of a few hundred kilobytes with projectors that llama.cpp takes, all of pseudo-random numbers: what they say
//! means nothing, and follows from every token and every pixel.
//!
//! A vocabulary of bytes, of which only letters, digits and the like are ever said.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Of the language model.
const TEXT: usize = 64;
const TEXT_INNER: usize = 96;
const TEXT_HEADS: u32 = 4;
const LAYERS: usize = 2;

/// Of the encoder of pictures.
const PICTURE: usize = 32;
const PICTURE_INNER: usize = 48;
const PICTURE_HEADS: u32 = 2;
const PATCH: usize = 8;

/// `<unk>`, `<s>` and `</s>` are before the bytes.
const BYTES: usize = 3;
const VOCABULARY: usize = BYTES + 256;

/// Which of the projectors that llama.cpp knows it is. They differ in what the tests are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sixteen tokens for each picture, and nothing around them.
    Llava,
    /// Four tokens that see one another both ways, in words that begin and end a picture.
    Gemma,
    /// As many as the picture is large, and its positions in two dimensions.
    Qwen,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Llava, Self::Gemma, Self::Qwen];

    /// The side of the square that a picture becomes; the largest one where it stays what it is.
    fn side(self) -> usize {
        match self {
            Self::Llava => 4 * PATCH,
            Self::Gemma | Self::Qwen => 8 * PATCH,
        }
    }
}

pub(crate) struct Weights {
    folder: tempfile::TempDir,
}

impl Weights {
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        language_model(kind).write(&folder.path().join("tiny.gguf"));
        projector(kind, TEXT).write(&folder.path().join("tiny-mmproj.gguf"));
        projector(kind, TEXT / 2).write(&folder.path().join("narrow-mmproj.gguf"));
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.folder.path().join("tiny.gguf")
    }

    pub(crate) fn projector(&self) -> PathBuf {
        self.folder.path().join("tiny-mmproj.gguf")
    }

    /// One of another model, whose tokens are shorter.
    pub(crate) fn of_another(&self) -> PathBuf {
        self.folder.path().join("narrow-mmproj.gguf")
    }
}

/// The smallest part of the format that llama.cpp reads.
#[derive(Default)]
struct Gguf {
    entries: u64,
    head: Vec<u8>,
    /// A name, and the lengths of the sides, the quickest first.
    tensors: Vec<(String, Vec<usize>)>,
}

impl Gguf {
    fn entry(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.entries += 1;
        self.head.extend(text(key));
        self.head.extend(kind.to_le_bytes());
        self.head.extend(value);
    }

    fn number(&mut self, key: &str, value: u32) {
        self.entry(key, 4, &value.to_le_bytes());
    }

    fn real(&mut self, key: &str, value: f32) {
        self.entry(key, 6, &value.to_le_bytes());
    }

    fn truth(&mut self, key: &str, value: bool) {
        self.entry(key, 7, &[u8::from(value)]);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.entry(key, 8, &text(value));
    }

    fn list(&mut self, key: &str, kind: u32, values: &[Vec<u8>]) {
        let count = (values.len() as u64).to_le_bytes();
        self.entry(key, 9, &[&kind.to_le_bytes()[..], &count, &values.concat()].concat());
    }

    fn tensor(&mut self, name: impl Into<String>, sides: &[usize]) {
        self.tensors.push((name.into(), sides.to_vec()));
    }

    /// A matrix and what is added behind it.
    fn linear(&mut self, name: &str, from: usize, to: usize) {
        self.tensor(format!("{name}.weight"), &[from, to]);
        self.tensor(format!("{name}.bias"), &[to]);
    }

    fn write(&self, path: &Path) {
        let mut head = b"GGUF\x03\0\0\0".to_vec();
        head.extend((self.tensors.len() as u64).to_le_bytes());
        head.extend(self.entries.to_le_bytes());
        head.extend(&self.head);
        let mut offset = 0_u64;
        for (name, sides) in &self.tensors {
            head.extend(text(name));
            head.extend((sides.len() as u32).to_le_bytes());
            sides.iter().for_each(|side| head.extend((*side as u64).to_le_bytes()));
            // Floats of 32 bits.
            head.extend(0_u32.to_le_bytes());
            head.extend(offset.to_le_bytes());
            offset += padded(4 * sides.iter().product::<usize>()) as u64;
        }
        head.resize(padded(head.len()), 0);
        let mut file = BufWriter::new(File::create(path).unwrap());
        file.write_all(&head).unwrap();
        let mut chance = 1_u64;
        for (name, sides) in &self.tensors {
            let count = sides.iter().product::<usize>();
            let inputs = count / sides.last().unwrap();
            let mut bytes = Vec::with_capacity(padded(4 * count));
            for at in 0..count {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let uniform = (chance >> 40) as f32 / (1 << 23) as f32 - 1.0;
                bytes.extend(weight(name, sides, at, inputs, uniform).to_le_bytes());
            }
            bytes.resize(padded(bytes.len()), 0);
            file.write_all(&bytes).unwrap();
        }
        file.flush().unwrap();
    }
}

fn weight(name: &str, sides: &[usize], at: usize, inputs: usize, uniform: f32) -> f32 {
    let is_norm = ["norm", ".ln1.", ".ln2."].iter().any(|part| name.contains(part));
    match sides {
        [_] if is_norm && name.ends_with("weight") => 1.0,
        [_] => 0.0,
        // Bytes that are no sign of writing, and the end, are never the likeliest.
        [inner, _] if name == "output.weight" && !is_said(at / inner) => 0.0,
        _ if name == "token_embd.weight" => uniform,
        // Attention that chooses, and what passes through stays about as large as it was.
        _ if name.contains("attn_q") => uniform * (12.0 / inputs as f32).sqrt(),
        _ => uniform * (3.0 / inputs as f32).sqrt(),
    }
}

fn is_said(token: usize) -> bool {
    token.checked_sub(BYTES).is_some_and(|byte| (0x20..0x7f).contains(&byte))
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(32)
}

fn text(value: &str) -> Vec<u8> {
    [&(value.len() as u64).to_le_bytes(), value.as_bytes()].concat()
}

fn language_model(kind: Kind) -> Gguf {
    let mut file = Gguf::default();
    let architecture = if kind == Kind::Qwen { "qwen2vl" } else { "llama" };
    file.text("general.architecture", architecture);
    file.text("general.name", "tiny");
    let key = |name: &str| format!("{architecture}.{name}");
    file.number(&key("context_length"), 4096);
    file.number(&key("embedding_length"), TEXT as u32);
    file.number(&key("block_count"), LAYERS as u32);
    file.number(&key("feed_forward_length"), TEXT_INNER as u32);
    file.number(&key("attention.head_count"), TEXT_HEADS);
    file.number(&key("attention.head_count_kv"), TEXT_HEADS);
    file.real(&key("attention.layer_norm_rms_epsilon"), 1e-5);
    file.number(&key("rope.dimension_count"), TEXT as u32 / TEXT_HEADS);
    if kind == Kind::Qwen {
        let sections = [2, 3, 3, 0].map(|section: u32| section.to_le_bytes().to_vec());
        file.list(&key("rope.dimension_sections"), 5, &sections);
    }
    file.text("tokenizer.ggml.model", "llama");
    let bytes = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"));
    let names = ["<unk>", "<s>", "</s>"].map(str::to_owned).into_iter().chain(bytes);
    file.list("tokenizer.ggml.tokens", 8, &names.map(|name| text(&name)).collect::<Vec<_>>());
    file.list("tokenizer.ggml.scores", 6, &vec![0_f32.to_le_bytes().to_vec(); VOCABULARY]);
    // Unknown, control, control, and bytes.
    let kinds: Vec<_> = (0..VOCABULARY).map(|token| [2_u32, 3, 3].get(token).copied().unwrap_or(6)).collect();
    file.list(
        "tokenizer.ggml.token_type",
        5,
        &kinds.iter().map(|kind| kind.to_le_bytes().to_vec()).collect::<Vec<_>>(),
    );
    file.number("tokenizer.ggml.bos_token_id", 1);
    file.number("tokenizer.ggml.eos_token_id", 2);
    file.number("tokenizer.ggml.unknown_token_id", 0);
    file.truth("tokenizer.ggml.add_bos_token", false);
    file.truth("tokenizer.ggml.add_space_prefix", false);

    file.tensor("token_embd.weight", &[TEXT, VOCABULARY]);
    file.tensor("output_norm.weight", &[TEXT]);
    file.tensor("output.weight", &[TEXT, VOCABULARY]);
    for layer in 0..LAYERS {
        let of = |name: &str| format!("blk.{layer}.{name}");
        file.tensor(of("attn_norm.weight"), &[TEXT]);
        for name in ["attn_q", "attn_k", "attn_v"] {
            file.linear(&of(name), TEXT, TEXT);
        }
        file.tensor(of("attn_output.weight"), &[TEXT, TEXT]);
        file.tensor(of("ffn_norm.weight"), &[TEXT]);
        file.tensor(of("ffn_gate.weight"), &[TEXT, TEXT_INNER]);
        file.tensor(of("ffn_up.weight"), &[TEXT, TEXT_INNER]);
        file.tensor(of("ffn_down.weight"), &[TEXT_INNER, TEXT]);
    }
    file
}

/// `width` is that of the language model's tokens.
fn projector(kind: Kind, width: usize) -> Gguf {
    let mut file = Gguf::default();
    file.text("general.architecture", "clip");
    file.truth("clip.has_vision_encoder", true);
    let name = match kind {
        Kind::Llava => "mlp",
        Kind::Gemma => "gemma3",
        Kind::Qwen => "qwen2vl_merger",
    };
    file.text("clip.projector_type", name);
    file.truth("clip.use_gelu", true);
    let side = kind.side();
    for (key, value) in [
        ("image_size", side as u32),
        ("patch_size", PATCH as u32),
        ("embedding_length", PICTURE as u32),
        ("feed_forward_length", PICTURE_INNER as u32),
        ("block_count", LAYERS as u32),
        ("attention.head_count", PICTURE_HEADS),
        ("projection_dim", width as u32),
    ] {
        file.number(&format!("clip.vision.{key}"), value);
    }
    file.real("clip.vision.attention.layer_norm_epsilon", 1e-5);
    for key in ["image_mean", "image_std"] {
        file.list(&format!("clip.vision.{key}"), 6, &vec![0.5_f32.to_le_bytes().to_vec(); 3]);
    }

    file.tensor("v.patch_embd.weight", &[PATCH, PATCH, 3, PICTURE]);
    if kind == Kind::Qwen {
        file.tensor("v.patch_embd.weight.1", &[PATCH, PATCH, 3, PICTURE]);
    } else {
        file.tensor("v.position_embd.weight", &[PICTURE, (side / PATCH).pow(2)]);
    }
    for layer in 0..LAYERS {
        let of = |name: &str| format!("v.blk.{layer}.{name}");
        for name in ["ln1", "ln2"] {
            file.tensor(of(&format!("{name}.weight")), &[PICTURE]);
            file.tensor(of(&format!("{name}.bias")), &[PICTURE]);
        }
        for name in ["attn_q", "attn_k", "attn_v", "attn_out"] {
            file.linear(&of(name), PICTURE, PICTURE);
        }
        file.linear(&of("ffn_up"), PICTURE, PICTURE_INNER);
        file.linear(&of("ffn_down"), PICTURE_INNER, PICTURE);
    }
    match kind {
        Kind::Llava => {
            file.linear("mm.0", PICTURE, width);
            file.linear("mm.2", width, width);
        }
        Kind::Gemma => {
            file.tensor("mm.soft_emb_norm.weight", &[PICTURE]);
            // Multiplied from the other side.
            file.tensor("mm.input_projection.weight", &[width, PICTURE]);
        }
        Kind::Qwen => {
            file.linear("mm.0", 4 * PICTURE, 4 * PICTURE);
            file.linear("mm.2", 4 * PICTURE, width);
        }
    }
    file
}
