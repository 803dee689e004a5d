//! Weights of a few megabytes that stable-diffusion.cpp takes: an Ovis-Image of one block with a
//! language model of one layer, and a tiny autoencoder, all of pseudo-random numbers.
//!
//! Of the models that the engine knows it is the smallest whose prompt still matters: the sizes of
//! most, CLIP and T5 among them, are fixed.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Of the prompt's tokens: Qwen's, whose last ones the template of the prompt uses.
const VOCABULARY: usize = 151_936;
const TEXT: usize = 32;
const ATTENTION: usize = 32 * 128;
const KEYS: usize = 8 * 128;
const PICTURE: usize = 128;
const CHANNELS: usize = 64;
const LATENT: usize = 16;

pub(crate) struct Weights {
    folder: tempfile::TempDir,
}

impl Weights {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("tiny.safetensors"), &denoiser());
        write(&folder.path().join("tiny-vae.safetensors"), &autoencoder());
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.folder.path().join("tiny.safetensors")
    }

    pub(crate) fn tiny_vae(&self) -> PathBuf {
        self.folder.path().join("tiny-vae.safetensors")
    }
}

/// A name and the lengths of the sides, the slowest first.
type Shape = (String, Vec<usize>);

fn denoiser() -> Vec<Shape> {
    let mut shapes = Vec::new();
    let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
    let mut linear = |name: String, from: usize, to: usize| {
        add(format!("{name}.weight"), &[to, from]);
        add(format!("{name}.bias"), &[to]);
    };
    let of = |name: &str| format!("model.diffusion_model.{name}");
    linear(of("img_in"), 4 * LATENT, PICTURE);
    linear(of("time_in.in_layer"), 256, PICTURE);
    linear(of("time_in.out_layer"), PICTURE, PICTURE);
    linear(of("txt_in"), TEXT, PICTURE);
    for stream in ["img", "txt"] {
        let of = |name: &str| of(&format!("double_blocks.0.{stream}_{name}"));
        linear(of("mod.lin"), PICTURE, 6 * PICTURE);
        linear(of("attn.qkv"), PICTURE, 3 * PICTURE);
        linear(of("attn.proj"), PICTURE, PICTURE);
        linear(of("mlp.gate_proj"), PICTURE, 4 * PICTURE);
        linear(of("mlp.up_proj"), PICTURE, 4 * PICTURE);
        linear(of("mlp.down_proj"), 4 * PICTURE, PICTURE);
    }
    linear(of("final_layer.linear"), PICTURE, 4 * LATENT);
    linear(of("final_layer.adaLN_modulation.1"), PICTURE, 2 * PICTURE);
    add(of("txt_norm.scale"), &[TEXT]);
    for stream in ["img", "txt"] {
        for norm in ["query_norm", "key_norm"] {
            add(of(&format!("double_blocks.0.{stream}_attn.norm.{norm}.scale")), &[PICTURE]);
        }
    }
    let of = |name: &str| format!("text_encoders.llm.model.{name}.weight");
    add(of("embed_tokens"), &[VOCABULARY, TEXT]);
    add(of("norm"), &[TEXT]);
    for (name, shape) in [
        ("self_attn.q_proj", &[ATTENTION, TEXT][..]),
        ("self_attn.k_proj", &[KEYS, TEXT]),
        ("self_attn.v_proj", &[KEYS, TEXT]),
        ("self_attn.o_proj", &[TEXT, ATTENTION]),
        ("self_attn.q_norm", &[128]),
        ("self_attn.k_norm", &[128]),
        ("mlp.gate_proj", &[2 * TEXT, TEXT]),
        ("mlp.up_proj", &[2 * TEXT, TEXT]),
        ("mlp.down_proj", &[TEXT, 2 * TEXT]),
        ("input_layernorm", &[TEXT]),
        ("post_attention_layernorm", &[TEXT]),
    ] {
        add(of(&format!("layers.0.{name}")), shape);
    }
    shapes
}

/// TAESD: the places of its convolutions and its blocks of three, by the numbers of its layers.
fn autoencoder() -> Vec<Shape> {
    let mut shapes = Vec::new();
    let mut convolution = |name: String, from: usize, to: usize, has_bias: bool| {
        shapes.push((format!("{name}.weight"), vec![to, from, 3, 3]));
        if has_bias {
            shapes.push((format!("{name}.bias"), vec![to]));
        }
    };
    for (half, ends, between, blocks) in [
        ("encoder", [(0, 3, CHANNELS), (14, CHANNELS, LATENT)], [2, 6, 10], [1, 3, 4, 5, 7, 8, 9, 11, 12, 13]),
        ("decoder", [(0, LATENT, CHANNELS), (18, CHANNELS, 3)], [6, 11, 16], [2, 3, 4, 7, 8, 9, 12, 13, 14, 17]),
    ] {
        for (layer, from, to) in ends {
            convolution(format!("{half}.layers.{layer}"), from, to, true);
        }
        for layer in between {
            convolution(format!("{half}.layers.{layer}"), CHANNELS, CHANNELS, false);
        }
        for (layer, part) in blocks.into_iter().flat_map(|layer| [0, 2, 4].map(|part| (layer, part))) {
            convolution(format!("{half}.layers.{layer}.conv.{part}"), CHANNELS, CHANNELS, true);
        }
    }
    shapes
}

/// A safetensors file of half floats.
fn write(path: &Path, shapes: &[Shape]) {
    let mut offset = 0;
    let entries: Vec<_> = shapes
        .iter()
        .map(|(name, shape)| {
            let end = offset + 2 * shape.iter().product::<usize>();
            let entry =
                format!("\"{name}\":{{\"dtype\":\"F16\",\"shape\":{shape:?},\"data_offsets\":[{offset},{end}]}}");
            offset = end;
            entry
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let mut chance = 1_u64;
    for (name, shape) in shapes {
        // As large as keeps what passes through about as large as it was.
        let inputs: usize = shape[1..].iter().product();
        for _ in 0..shape.iter().product() {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (chance >> 40) as f32 / (1 << 23) as f32 - 1.0;
            let value = if name.contains("norm") {
                1.0
            } else if shape.len() == 1 {
                0.0
            } else {
                uniform * (3.0 / inputs as f32).sqrt()
            };
            file.write_all(&half(value).to_le_bytes()).unwrap();
        }
    }
    file.flush().unwrap();
}

/// A number between -4 and 4 as half a float; what is too small for one is 0.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 0xff).checked_sub(112).filter(|exponent| *exponent > 0);
    exponent.map_or(0, |exponent| (bits >> 16 & 0x8000 | exponent << 10 | bits >> 13 & 0x3ff) as u16)
}
