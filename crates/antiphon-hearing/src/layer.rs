//! The sums that the network is made of, over rows of 32-bit numbers.

use rayon::prelude::*;
use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_simd::SimdOp as _;
use rten_simd::SimdUnaryOp as _;
use rten_tensor::{Matrix, NdTensorView};
use rten_vecmath::{Gelu, Softmax};

use crate::Broken;
use crate::weights::Weights;

/// Numbers that stand for one moment or one token.
pub(crate) const WIDTH: usize = 512;

/// Attention looks in so many ways at once.
pub(crate) const HEADS: usize = 8;

/// Numbers of one head.
pub(crate) const HEAD: usize = WIDTH / HEADS;

/// Numbers between the two layers that follow attention.
pub(crate) const INNER: usize = 2048;

/// Layers of each half.
pub(crate) const LAYERS: usize = 6;

/// Rows times a matrix, plus a row: for many rows at once.
pub(crate) struct Affine {
    weights: PackedBMatrix<f32>,
    bias: Vec<f32>,
    inputs: usize,
    sums: GemmExecutor,
}

impl Affine {
    /// Takes `name/weight`, of `outputs` rows, and `name/bias`.
    pub(crate) fn take(weights: &mut Weights, name: &str, outputs: usize, inputs: usize) -> Result<Self, Broken> {
        let matrix = weights.take(&format!("{name}/weight"), &[outputs, inputs])?;
        Ok(Self::new(&matrix, weights.take(&format!("{name}/bias"), &[outputs])?, inputs))
    }

    /// Of `bias.len()` rows of `inputs` weights.
    pub(crate) fn new(matrix: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let sums = GemmExecutor::new();
        let rows = NdTensorView::from_data([bias.len(), inputs], matrix);
        Self { weights: sums.prepack_b(rows.transposed()), bias, inputs, sums }
    }

    /// # Errors
    /// [`Broken`] when the sums cannot be made.
    pub(crate) fn of(&self, rows: &[f32]) -> Result<Vec<f32>, Broken> {
        let count = rows.len() / self.inputs;
        let mut outputs = vec![0.0; count * self.bias.len()];
        let options = GemmOptions { bias: Some(BiasVector::Row(&self.bias)), ..GemmOptions::default() };
        let input = GemmInputA::Unpacked(NdTensorView::from_data([count, self.inputs], rows));
        let done = self.sums.gemm(&mut outputs, input, GemmInputB::Packed(&self.weights), options);
        done.map_err(|error| Broken::sums(&error))?;
        Ok(outputs)
    }
}

/// The same for one row at a time, with weights of 8 bits: reading them is what takes the time.
pub(crate) struct Narrow {
    weights: Vec<i8>,
    /// What one step of a row's weights is worth.
    steps: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

impl Narrow {
    /// Takes `name/weight`, of `outputs` rows, and `name/bias`.
    pub(crate) fn take(weights: &mut Weights, name: &str, outputs: usize, inputs: usize) -> Result<Self, Broken> {
        let matrix = weights.take(&format!("{name}/weight"), &[outputs, inputs])?;
        Ok(Self::new(&matrix, weights.take(&format!("{name}/bias"), &[outputs])?, inputs))
    }

    /// Of `bias.len()` rows of `inputs` weights.
    pub(crate) fn new(matrix: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let (mut weights, mut steps) = (Vec::with_capacity(matrix.len()), Vec::with_capacity(bias.len()));
        for row in matrix.chunks_exact(inputs) {
            let step = row.iter().fold(f32::MIN_POSITIVE, |most, weight| most.max(weight.abs())) / 127.0;
            weights.extend(row.iter().map(|weight| (weight / step).round() as i8));
            steps.push(step);
        }
        Self { weights, steps, bias, inputs }
    }

    /// One row of the matrix.
    pub(crate) fn row(&self, index: usize) -> Option<Vec<f32>> {
        let row = self.weights.get(index * self.inputs..(index + 1) * self.inputs)?;
        let step = self.steps.get(index)?;
        Some(row.iter().map(|&weight| f32::from(weight) * step).collect())
    }

    pub(crate) fn of(&self, row: &[f32]) -> Vec<f32> {
        let value = |index: usize| {
            let weights = &self.weights[index * self.inputs..(index + 1) * self.inputs];
            dot_narrow(weights, row).mul_add(self.steps[index], self.bias[index])
        };
        // Sharing small ones out takes longer than they do.
        if self.bias.len() < 4096 {
            (0..self.bias.len()).map(value).collect()
        } else {
            (0..self.bias.len()).into_par_iter().with_min_len(1024).map(value).collect()
        }
    }
}

/// Sums that are kept apart so that they are made at once.
const LANES: usize = 16;

fn dot_narrow(weights: &[i8], values: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (weights, values) = (weights.as_chunks::<LANES>().0, values.as_chunks::<LANES>().0);
    for (weights, values) in weights.iter().zip(values) {
        for lane in 0..LANES {
            sums[lane] += f32::from(weights[lane]) * values[lane];
        }
    }
    sums.iter().sum()
}

pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (left, right) = (left.as_chunks::<LANES>().0, right.as_chunks::<LANES>().0);
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum()
}

/// Brings each row to mean 0 and variance 1, and then where the network wants it.
pub(crate) struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl Norm {
    /// Takes `name/gamma` and `name/beta`.
    pub(crate) fn take(weights: &mut Weights, name: &str) -> Result<Self, Broken> {
        let mut part = |part: &str| weights.take(&format!("{name}/{part}"), &[WIDTH]);
        Ok(Self { gamma: part("gamma")?, beta: part("beta")? })
    }

    pub(crate) fn of(&self, rows: &[f32]) -> Vec<f32> {
        let mut normed = rows.to_vec();
        for row in normed.chunks_exact_mut(WIDTH) {
            let mean = row.iter().sum::<f32>() / WIDTH as f32;
            let variance = row.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / WIDTH as f32;
            let scale = (variance + 1e-5).sqrt().recip();
            for ((value, gamma), beta) in row.iter_mut().zip(&self.gamma).zip(&self.beta) {
                *value = (*value - mean) * scale * gamma + beta;
            }
        }
        normed
    }
}

pub(crate) fn add(to: &mut [f32], other: &[f32]) {
    for (value, other) in to.iter_mut().zip(other) {
        *value += other;
    }
}

pub(crate) fn gelu(values: &mut [f32]) {
    values.par_chunks_mut(1 << 16).for_each(|part| {
        Gelu {}.map_mut(part);
    });
}

pub(crate) fn softmax(row: &mut [f32]) {
    Softmax::new_mut(row).dispatch();
}

/// Every row attends to every row: `rows` of queries, keys and values one after another, to rows of [`WIDTH`].
///
/// # Errors
/// [`Broken`] when the sums cannot be made.
pub(crate) fn attend(rows: &[f32]) -> Result<Vec<f32>, Broken> {
    const STRIDE: usize = 3 * WIDTH;
    let count = rows.len() / STRIDE;
    let heads: Result<Vec<Vec<f32>>, Broken> = (0..HEADS)
        .into_par_iter()
        .map(|head| {
            let view = |from: usize, shape, strides| -> Result<Matrix<'_>, Broken> {
                NdTensorView::from_data_with_strides(shape, &rows[from + head * HEAD..], strides)
                    .map_err(|error| Broken::sums(&error))
            };
            let queries = view(0, [count, HEAD], [STRIDE, 1])?;
            let keys = view(WIDTH, [HEAD, count], [1, STRIDE])?;
            let values = view(2 * WIDTH, [count, HEAD], [STRIDE, 1])?;
            let mut scores = vec![0.0; count * count];
            let sums = GemmExecutor::new();
            let scaled = GemmOptions { alpha: (HEAD as f32).sqrt().recip(), ..GemmOptions::default() };
            sums.gemm(&mut scores, GemmInputA::Unpacked(queries), GemmInputB::Unpacked(keys), scaled)
                .map_err(|error| Broken::sums(&error))?;
            scores.chunks_exact_mut(count).for_each(softmax);
            let scores = NdTensorView::from_data([count, count], scores.as_slice());
            let mut attended = vec![0.0; count * HEAD];
            let (scores, values) = (GemmInputA::Unpacked(scores), GemmInputB::Unpacked(values));
            sums.gemm(&mut attended, scores, values, GemmOptions::default()).map_err(|error| Broken::sums(&error))?;
            Ok(attended)
        })
        .collect();
    let heads = heads?;
    let mut joined = vec![0.0; count * WIDTH];
    for (moment, row) in joined.chunks_exact_mut(WIDTH).enumerate() {
        for (part, head) in row.chunks_exact_mut(HEAD).zip(&heads) {
            part.copy_from_slice(&head[moment * HEAD..(moment + 1) * HEAD]);
        }
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_matrix_give_the_same() {
        let value = |index: usize| ((index * 7919 % 1000) as f32 - 500.0) / 500.0;
        let matrix: Vec<f32> = (0..48 * 64).map(value).collect();
        let bias: Vec<f32> = (0..48).map(|index| value(index + 3)).collect();
        let row: Vec<f32> = (0..64).map(|index| value(index + 11)).collect();
        let exact: Vec<f32> = matrix
            .chunks_exact(64)
            .zip(&bias)
            .map(|(weights, bias)| weights.iter().zip(&row).map(|(weight, value)| weight * value).sum::<f32>() + bias)
            .collect();
        let affine = Affine::new(&matrix, bias.clone(), 64).of(&row).unwrap();
        let narrow = Narrow::new(&matrix, bias, 64);
        for index in 0..48 {
            assert!((affine[index] - exact[index]).abs() < 1e-4, "{index}");
            // 64 weights, each off by half a step of 1/127 at most.
            assert!((narrow.of(&row)[index] - exact[index]).abs() < 0.25, "{index}");
        }
        let error =
            narrow.row(5).unwrap().iter().zip(&matrix[5 * 64..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error <= 0.5 / 127.0 + 1e-6);
        assert_eq!(narrow.row(48), None);
    }

    #[test]
    fn a_row_that_points_at_one_attends_to_it() {
        // Two rows; the second's query agrees with the first's key alone.
        let mut rows = vec![0.0; 2 * 3 * WIDTH];
        for index in 0..WIDTH {
            rows[WIDTH + index] = 10.0;
            rows[2 * WIDTH + index] = index as f32;
            rows[3 * WIDTH + index] = 10.0;
        }
        let attended = attend(&rows).unwrap();
        for index in 0..WIDTH {
            assert!((attended[index] - index as f32 / 2.0).abs() < 1e-3, "the first attends to both");
            assert!((attended[WIDTH + index] - index as f32).abs() < 1e-3, "the second to the first");
        }
    }
}
