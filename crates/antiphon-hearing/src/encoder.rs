//! The half of the network that hears: features to rows that stand for moments of 20 ms.

use crate::layer::{Affine, INNER, LAYERS, Norm, WIDTH, add, attend, gelu};
use crate::mel::BANDS;
use crate::weights::Weights;
use crate::{Broken, RATE};

/// Moments that it was trained on: 30 s.
pub(crate) const MOMENTS: usize = 1500;

/// In samples at [`RATE`]: 20 ms.
pub(crate) const MOMENT: usize = RATE as usize / 50;

/// Rows that a convolution sees at once.
const REACH: usize = 3;

pub(crate) struct Encoder {
    first: Affine,
    second: Affine,
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Norm,
}

struct Layer {
    attention_norm: Norm,
    attention_in: Affine,
    attention_out: Affine,
    inner_norm: Norm,
    inner_in: Affine,
    inner_out: Affine,
}

impl Encoder {
    /// # Errors
    /// [`Broken`] when a tensor is missing.
    pub(crate) fn take(weights: &mut Weights) -> Result<Self, Broken> {
        let mut convolution = |name: &str, inputs: usize| -> Result<Affine, Broken> {
            let matrix = weights.take(&format!("encoder/{name}/weight"), &[WIDTH, inputs, REACH])?;
            let bias = weights.take(&format!("encoder/{name}/bias"), &[WIDTH])?;
            Ok(Affine::new(&matrix, bias, inputs * REACH))
        };
        let (first, second) = (convolution("conv1", BANDS)?, convolution("conv2", WIDTH)?);
        let positions = weights.take("encoder/position_encodings/encodings", &[MOMENTS, WIDTH])?;
        let layers = (0..LAYERS)
            .map(|number| {
                let (attention, inner) =
                    (format!("encoder/layer_{number}/self_attention"), format!("encoder/layer_{number}/ffn"));
                Ok(Layer {
                    attention_norm: Norm::take(weights, &format!("{attention}/layer_norm"))?,
                    attention_in: Affine::take(weights, &format!("{attention}/linear_0"), 3 * WIDTH, WIDTH)?,
                    attention_out: Affine::take(weights, &format!("{attention}/linear_1"), WIDTH, WIDTH)?,
                    inner_norm: Norm::take(weights, &format!("{inner}/layer_norm"))?,
                    inner_in: Affine::take(weights, &format!("{inner}/linear_0"), INNER, WIDTH)?,
                    inner_out: Affine::take(weights, &format!("{inner}/linear_1"), WIDTH, INNER)?,
                })
            })
            .collect::<Result<_, Broken>>()?;
        Ok(Self { first, second, positions, layers, norm: Norm::take(weights, "encoder/layer_norm")? })
    }

    /// Rows of [`WIDTH`] for pairs of frames, [`MOMENTS`] at most.
    ///
    /// # Errors
    /// [`Broken`] when the sums cannot be made.
    pub(crate) fn of(&self, features: &[f32]) -> Result<Vec<f32>, Broken> {
        let mut rows = self.first.of(&neighbours(features, BANDS, 1))?;
        gelu(&mut rows);
        let mut rows = self.second.of(&neighbours(&rows, WIDTH, 2))?;
        gelu(&mut rows);
        rows.truncate(MOMENTS * WIDTH);
        add(&mut rows, &self.positions);
        for layer in &self.layers {
            let seen = layer.attention_in.of(&layer.attention_norm.of(&rows))?;
            add(&mut rows, &layer.attention_out.of(&attend(&seen)?)?);
            let mut inner = layer.inner_in.of(&layer.inner_norm.of(&rows))?;
            gelu(&mut inner);
            add(&mut rows, &layer.inner_out.of(&inner)?);
        }
        Ok(self.norm.of(&rows))
    }
}

/// Each row in steps of `step` with the one before and the one after it, as the weights of a convolution want them:
/// the three values of a channel side by side, and zeros beyond both ends.
fn neighbours(rows: &[f32], width: usize, step: usize) -> Vec<f32> {
    let count = rows.len() / width;
    let mut seen = vec![0.0; count.div_ceil(step) * width * REACH];
    for (target, row) in seen.chunks_exact_mut(width * REACH).enumerate() {
        for offset in 0..REACH {
            let Some(source) = (target * step + offset).checked_sub(1).filter(|&source| source < count) else {
                continue;
            };
            for (channel, value) in rows[source * width..(source + 1) * width].iter().enumerate() {
                row[channel * REACH + offset] = *value;
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convolution_sees_each_channel_with_its_neighbours() {
        let rows = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        let all = [0.0, 1.0, 2.0, 0.0, 10.0, 20.0, 1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 2.0, 3.0, 0.0, 20.0, 30.0, 0.0];
        assert_eq!(neighbours(&rows, 2, 1), all);
        assert_eq!(neighbours(&rows, 2, 2), [&all[..6], &all[12..]].concat());
    }
}
