//! How a diffusion model of this machine makes its pictures: the `diffusion` of a `[[models]]` entry.

use std::path::Path;

use antiphon_wire::ImageSize;
use antiphon_worker::picture::MOST_STEPS;
use serde::{Deserialize, Serialize};

/// Files are names of installed ones, or paths that end in `.gguf` or `.safetensors`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Diffusion {
    /// Whether the model's own file holds the denoiser alone, and no whole checkpoint.
    pub(crate) denoiser_only: bool,
    /// The autoencoder.
    pub(crate) vae: Option<String>,
    /// A small one in its place.
    pub(crate) tiny_vae: Option<String>,
    /// What encodes the prompt.
    pub(crate) clip_l: Option<String>,
    pub(crate) clip_g: Option<String>,
    pub(crate) t5xxl: Option<String>,
    pub(crate) language_model: Option<String>,
    pub(crate) steps: u32,
    pub(crate) guidance: f32,
    /// Of pictures whose request says nothing.
    pub(crate) image_size: ImageSize,
    /// Of any picture.
    pub(crate) largest_image_size: ImageSize,
    /// How much of a picture is given up that is to be changed.
    pub(crate) change: f32,
    /// What one picture may take.
    pub(crate) seconds: u32,
}

impl Default for Diffusion {
    fn default() -> Self {
        Self {
            denoiser_only: false,
            vae: None,
            tiny_vae: None,
            clip_l: None,
            clip_g: None,
            t5xxl: None,
            language_model: None,
            steps: 20,
            guidance: 7.0,
            image_size: ImageSize::Half,
            largest_image_size: ImageSize::One,
            change: 0.75,
            seconds: 3600,
        }
    }
}

impl Diffusion {
    /// The files besides the model's own, each with the worker's argument for it.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let files = [
            ("--vae", &self.vae),
            ("--tiny-vae", &self.tiny_vae),
            ("--clip-l", &self.clip_l),
            ("--clip-g", &self.clip_g),
            ("--t5xxl", &self.t5xxl),
            ("--language-model", &self.language_model),
        ];
        files.into_iter().filter_map(|(argument, file)| Some((argument, file.as_ref()?)))
    }

    /// Makes paths relative to the folder of the file that names them.
    pub(crate) fn place_in(&mut self, folder: &Path) {
        let files = [
            &mut self.vae,
            &mut self.tiny_vae,
            &mut self.clip_l,
            &mut self.clip_g,
            &mut self.t5xxl,
            &mut self.language_model,
        ];
        for file in files.into_iter().flatten() {
            let is_path = [".gguf", ".safetensors"].iter().any(|end| file.ends_with(end)) && !file.starts_with("hf:");
            if is_path && let Some(path) = folder.join(&*file).to_str() {
                *file = path.to_owned();
            }
        }
    }

    /// What is wrong with it: a key and what was expected.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let most = format!("expected 1 to {MOST_STEPS}");
        let sizes = [ImageSize::Half, ImageSize::One, ImageSize::Two];
        let at = |size: ImageSize| sizes.iter().position(|known| *known == size);
        let (size, largest) = (at(self.image_size), at(self.largest_image_size));
        let rows = [
            ("steps", (1..=MOST_STEPS).contains(&self.steps), most.as_str()),
            ("guidance", (0.0..=100.0).contains(&self.guidance), "expected 0 to 100"),
            ("largest_image_size", largest.is_some(), "expected `512`, `1K` or `2K`"),
            ("image_size", size.is_some() && size <= largest, "expected at most `largest_image_size`"),
            ("change", self.change > 0.0 && self.change <= 1.0, "expected more than 0 and at most 1"),
            ("seconds", (1..=86_400).contains(&self.seconds), "expected 1 to 86400"),
        ];
        let wrong = rows.into_iter().filter(|(_, is_right, _)| !is_right);
        wrong.map(|(key, _, why)| (format!("diffusion.{key}"), why.to_owned())).collect()
    }
}
