//! The networks: their files, and pictures as they take them.

use std::path::Path;

use image::RgbImage;
use rten::Model;
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::picture::scaled;

/// A network cannot be used: its file is not what it should be, or this machine fails.
#[derive(Debug, thiserror::Error)]
#[error("{network}: {reason}")]
pub struct Broken {
    pub(crate) network: String,
    pub(crate) reason: String,
}

/// A network that maps one picture to numbers.
pub(crate) struct Network {
    name: String,
    model: Model,
}

/// What a network answers.
pub(crate) struct Answer {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Network {
    /// Reads an ONNX file.
    pub(crate) fn load(path: &Path) -> Result<Self, Broken> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match Model::load_file(path) {
            Ok(model) => Ok(Self { name, model }),
            Err(error) => Err(Broken { network: path.display().to_string(), reason: error.to_string() }),
        }
    }

    /// Reads the bytes of an ONNX file.
    pub(crate) fn read(name: &str, bytes: Vec<u8>) -> Result<Self, Broken> {
        match Model::load(bytes) {
            Ok(model) => Ok(Self { name: name.to_owned(), model }),
            Err(error) => Err(Broken { network: name.to_owned(), reason: error.to_string() }),
        }
    }

    /// A text that the file keeps beside the network.
    pub(crate) fn note(&self, key: &str) -> Result<&str, Broken> {
        self.model.metadata().get(key).ok_or_else(|| self.broken(&format!("it has no `{key}`")))
    }

    pub(crate) fn broken(&self, reason: &dyn std::fmt::Display) -> Broken {
        Broken { network: self.name.clone(), reason: reason.to_string() }
    }

    pub(crate) fn answer(&self, input: NdTensor<f32, 4>) -> Result<Answer, Broken> {
        let output = self.model.run_one(input.into(), None).map_err(|error| self.broken(&error))?;
        let output: Tensor<f32> = output.try_into().map_err(|error| self.broken(&error))?;
        Ok(Answer { shape: output.shape().to_vec(), values: output.into_data() })
    }
}

/// `picture` at `width` and `height`, as blue, green and red between -1 and 1, to the left of nothing up to `whole`.
pub(crate) fn input(picture: &RgbImage, width: u32, height: u32, whole: u32) -> NdTensor<f32, 4> {
    let picture = scaled(picture, width, height);
    let (wide, high) = (whole.max(width) as usize, height as usize);
    let mut values = vec![0.0; 3 * wide * high];
    for (x, y, pixel) in picture.enumerate_pixels() {
        let at = y as usize * wide + x as usize;
        for (channel, value) in pixel.0.into_iter().rev().enumerate() {
            values[channel * wide * high + at] = f32::from(value) / 127.5 - 1.0;
        }
    }
    NdTensor::from_data([1, 3, high, wide], values)
}
