//! What may be on a picture, of a thousand things: EfficientNet-Lite0, whose weights come as a file of PyTorch.

use std::collections::HashMap;
use std::path::Path;

use image::{RgbImage, imageops};
use rten_tensor::NdTensor;

mod onnx;
mod pickle;

use onnx::{Attribute, Graph};
use pickle::Tensor;

use crate::eye::Label;
use crate::network::{Broken, Network};
use crate::picture::scaled;

/// What the network tells from one another, in its order.
const THINGS: &str = include_str!("label/things.txt");

/// In pixels, of each side of what it sees.
const SIDE: u32 = 224;

/// It learnt from pictures whose edges were cut: this much of the shorter side is left.
const SEEN: f32 = 0.875;

/// Less likely things are not named, and no more than so many.
const LIKELY: f32 = 0.3;
const MOST: usize = 3;

/// More bytes are another file.
const MOST_BYTES: u64 = 64 << 20;

/// What keeps a division away from 0 where the network was trained.
const EPSILON: f32 = 1e-3;

/// How often its stages are repeated, and how far apart they look when they begin.
const STAGES: [(usize, usize); 7] = [(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)];

/// The network that names things, loaded.
pub(crate) struct Labels(Network);

impl Labels {
    pub(crate) fn load(path: &Path) -> Result<Self, Broken> {
        let broken = |reason: String| Broken { network: path.display().to_string(), reason };
        let size = std::fs::metadata(path).map_err(|error| broken(error.to_string()))?.len();
        if size > MOST_BYTES {
            return Err(broken(format!("expected at most {MOST_BYTES} bytes, got {size}")));
        }
        let bytes = std::fs::read(path).map_err(|error| broken(error.to_string()))?;
        let tensors = pickle::tensors(&bytes).map_err(broken)?;
        let file = Builder { tensors, graph: Graph::new(&[1, 3, SIDE.into(), SIDE.into()]), side: SIDE as usize };
        Ok(Self(Network::read("efficientnet-lite0", file.build().map_err(broken)?)?))
    }

    /// What is likely on `picture`, the likeliest first.
    pub(crate) fn name(&self, picture: &RgbImage) -> Result<Vec<Label>, Broken> {
        let answer = self.0.answer(middle(picture))?;
        if answer.values.len() != THINGS.lines().count() {
            return Err(self.0.broken(&format!("it answers in the shape {:?}", answer.shape)));
        }
        let mut labels: Vec<_> = THINGS
            .lines()
            .zip(answer.values)
            .filter(|(_, chance)| *chance >= LIKELY)
            .map(|(name, chance)| Label { name: name.to_owned(), chance })
            .collect();
        labels.sort_by(|a, b| b.chance.total_cmp(&a.chance));
        labels.truncate(MOST);
        Ok(labels)
    }
}

/// The middle of a picture as the network takes it: red, green and blue, about between -1 and 1.
fn middle(picture: &RgbImage) -> NdTensor<f32, 4> {
    let shorter = picture.width().min(picture.height());
    let side = ((shorter as f32 * SEEN) as u32).max(1);
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let seen = scaled(&imageops::crop_imm(picture, left, top, side, side).to_image(), SIDE, SIDE);
    let side = SIDE as usize;
    let mut values = vec![0.0; 3 * side * side];
    for (x, y, pixel) in seen.enumerate_pixels() {
        for (channel, value) in pixel.0.into_iter().enumerate() {
            values[(channel * side + y as usize) * side + x as usize] = (f32::from(value) - 127.0) / 128.0;
        }
    }
    NdTensor::from_data([1, 3, side, side], values)
}

/// Writes the network down step by step.
struct Builder {
    tensors: HashMap<String, Tensor>,
    graph: Graph,
    /// In pixels, of what the next step sees.
    side: usize,
}

impl Builder {
    fn build(mut self) -> Result<Vec<u8>, String> {
        for (name, value) in [("least", 0.0), ("most", 6.0)] {
            self.graph.constant(name, &Tensor { shape: Vec::new(), values: vec![value] });
        }
        self.convolve("_conv_stem", "_bn0", 2, true)?;
        let mut block = 0;
        for (repeats, stride) in STAGES {
            for repeat in 0..repeats {
                self.block(&format!("_blocks.{block}."), if repeat == 0 { stride } else { 1 }, repeat > 0)?;
                block += 1;
            }
        }
        self.convolve("_conv_head", "_bn1", 1, true)?;
        self.graph.step("GlobalAveragePool", &[], &[]);
        self.graph.step("Flatten", &[], &[]);
        for name in ["_fc.weight", "_fc.bias"] {
            let tensor = self.tensor(name)?;
            self.graph.constant(name, &tensor);
        }
        self.graph.step("Gemm", &["_fc.weight", "_fc.bias"], &[("transB", Attribute::Number(1))]);
        self.graph.step("Softmax", &[], &[("axis", Attribute::Number(1))]);
        Ok(self.graph.file(&[1, THINGS.lines().count() as u64]))
    }

    /// Wider, seen in each layer by itself, and narrower again; beside it what was before, where that has its form.
    fn block(&mut self, name: &str, stride: usize, is_added: bool) -> Result<(), String> {
        let before = self.graph.last.clone();
        if self.tensors.contains_key(&format!("{name}_expand_conv.weight")) {
            self.convolve(&format!("{name}_expand_conv"), &format!("{name}_bn0"), 1, true)?;
        }
        self.convolve(&format!("{name}_depthwise_conv"), &format!("{name}_bn1"), stride, true)?;
        self.convolve(&format!("{name}_project_conv"), &format!("{name}_bn2"), 1, false)?;
        if is_added {
            self.graph.step("Add", &[&before], &[]);
        }
        Ok(())
    }

    /// A convolution, into whose weights its normalisation is multiplied.
    fn convolve(&mut self, name: &str, norm: &str, stride: usize, is_bounded: bool) -> Result<(), String> {
        let mut weight = self.tensor(&format!("{name}.weight"))?;
        let [outputs, inputs, kernel, _] = weight.shape[..] else {
            return Err(format!("{name}.weight is of the shape {:?}", weight.shape));
        };
        let [scale, shift, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| self.tensor(&format!("{norm}.{part}")).and_then(|tensor| one_each(tensor, outputs)));
        let (scale, shift, mean, variance) = (scale?, shift?, mean?, variance?);
        let scale: Vec<f32> =
            scale.iter().zip(&variance).map(|(scale, variance)| scale / (variance + EPSILON).sqrt()).collect();
        let size = (weight.values.len() / outputs.max(1)).max(1);
        for (number, value) in weight.values.iter_mut().enumerate() {
            *value *= scale[number / size];
        }
        let bias = (0..outputs).map(|output| shift[output] - mean[output] * scale[output]).collect();
        let (weights, biases) = (format!("{name}.weight"), format!("{name}.bias"));
        self.graph.constant(&weights, &weight);
        self.graph.constant(&biases, &Tensor { shape: vec![outputs], values: bias });
        // As many pixels come out as the stride leaves of those before; an odd one too few is put behind them.
        let left = self.side.div_ceil(stride);
        let missing = ((left - 1) * stride + kernel).saturating_sub(self.side) as u64;
        self.side = left;
        let (stride, before) = (stride as u64, missing / 2);
        // Of a depthwise one every output has one input.
        let groups = if inputs == 1 { outputs as u64 } else { 1 };
        self.graph.step(
            "Conv",
            &[&weights, &biases],
            &[
                ("group", Attribute::Number(groups)),
                ("kernel_shape", Attribute::Numbers(&[kernel as u64; 2])),
                ("strides", Attribute::Numbers(&[stride; 2])),
                ("pads", Attribute::Numbers(&[before, before, missing - before, missing - before])),
            ],
        );
        if is_bounded {
            self.graph.step("Clip", &["least", "most"], &[]);
        }
        Ok(())
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, String> {
        self.tensors.remove(name).ok_or_else(|| format!("it has no {name}"))
    }
}

fn one_each(tensor: Tensor, count: usize) -> Result<Vec<f32>, String> {
    if tensor.shape == [count] {
        Ok(tensor.values)
    } else {
        Err(format!("expected {count} numbers, got {:?}", tensor.shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_lacks_weights_is_named_with_what_it_lacks() {
        let builder = Builder { tensors: HashMap::new(), graph: Graph::new(&[1, 3, 224, 224]), side: 224 };
        assert_eq!(builder.build(), Err("it has no _conv_stem.weight".to_owned()));
    }

    #[test]
    fn a_network_that_was_written_down_computes() {
        let mut graph = Graph::new(&[1, 3, SIDE.into(), SIDE.into()]);
        let tensor = |shape: &[usize], values: &[f32]| Tensor { shape: shape.to_vec(), values: values.to_vec() };
        graph.constant("w", &tensor(&[2, 3, 1, 1], &[1.0, 0.0, 0.0, 0.0, 0.0, 2.0]));
        graph.constant("b", &tensor(&[2], &[0.5, 0.0]));
        graph.constant("least", &tensor(&[], &[0.0]));
        graph.constant("most", &tensor(&[], &[6.0]));
        graph.step("Conv", &["w", "b"], &[("kernel_shape", Attribute::Numbers(&[1, 1]))]);
        graph.step("Clip", &["least", "most"], &[]);
        graph.step("GlobalAveragePool", &[], &[]);
        graph.step("Flatten", &[], &[]);
        let network = Network::read("small", graph.file(&[1, 2])).unwrap();
        let picture = RgbImage::from_pixel(90, 60, image::Rgb([255, 127, 191]));
        let answer = network.answer(middle(&picture)).unwrap();
        assert_eq!((answer.shape, answer.values), (vec![1, 2], vec![1.5, 1.0]));
    }

    #[test]
    fn there_are_a_thousand_things() {
        assert_eq!(THINGS.lines().filter(|thing| !thing.is_empty()).count(), 1000);
        assert_eq!(THINGS.lines().nth(967), Some("espresso"));
    }
}
