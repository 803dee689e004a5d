//! The half of the network that writes: what was heard and what was written so far, to how likely each token is next.
//!
//! Keys and values are kept from token to token, those of what was heard from the first one on, so that a token costs
//! the same wherever it stands.

use crate::Broken;
use crate::layer::{Affine, HEAD, HEADS, INNER, LAYERS, Narrow, Norm, WIDTH, add, dot, gelu, softmax};
use crate::vocabulary::TOKENS;
use crate::weights::Weights;

/// Tokens that it was trained to write after one another.
pub(crate) const LONGEST: usize = 448;

pub(crate) struct Decoder {
    /// Also the last matrix: a token is likely where the row agrees with its own.
    tokens: Narrow,
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Norm,
}

struct Layer {
    written_norm: Norm,
    written_in: Narrow,
    written_out: Narrow,
    heard_norm: Norm,
    heard_query: Narrow,
    heard_keys_and_values: Affine,
    heard_out: Narrow,
    inner_norm: Norm,
    inner_in: Narrow,
    inner_out: Narrow,
}

/// What was heard in a piece, as the layers ask for it: a row of keys and then of values for each moment.
pub(crate) struct Heard(Vec<Vec<f32>>);

/// A text that is being written.
pub(crate) struct Course<'a> {
    decoder: &'a Decoder,
    heard: &'a Heard,
    /// For each layer the keys of the tokens so far, and their values.
    written: Vec<(Vec<f32>, Vec<f32>)>,
    position: usize,
}

impl Decoder {
    /// # Errors
    /// [`Broken`] when a tensor is missing.
    pub(crate) fn take(weights: &mut Weights) -> Result<Self, Broken> {
        let tokens = weights.take("decoder/embeddings/weight", &[TOKENS, WIDTH])?;
        let layers = (0..LAYERS)
            .map(|number| {
                let of = |part: &str| format!("decoder/layer_{number}/{part}");
                let mut narrow = |part: &str, outputs, inputs| Narrow::take(weights, &of(part), outputs, inputs);
                let written_in = narrow("self_attention/linear_0", 3 * WIDTH, WIDTH)?;
                let written_out = narrow("self_attention/linear_1", WIDTH, WIDTH)?;
                let heard_query = narrow("attention/linear_0", WIDTH, WIDTH)?;
                let heard_out = narrow("attention/linear_2", WIDTH, WIDTH)?;
                let inner_in = narrow("ffn/linear_0", INNER, WIDTH)?;
                let inner_out = narrow("ffn/linear_1", WIDTH, INNER)?;
                Ok(Layer {
                    written_norm: Norm::take(weights, &of("self_attention/layer_norm"))?,
                    written_in,
                    written_out,
                    heard_norm: Norm::take(weights, &of("attention/layer_norm"))?,
                    heard_query,
                    heard_keys_and_values: Affine::take(weights, &of("attention/linear_1"), 2 * WIDTH, WIDTH)?,
                    heard_out,
                    inner_norm: Norm::take(weights, &of("ffn/layer_norm"))?,
                    inner_in,
                    inner_out,
                })
            })
            .collect::<Result<_, Broken>>()?;
        Ok(Self {
            tokens: Narrow::new(&tokens, vec![0.0; TOKENS], WIDTH),
            positions: weights.take("decoder/position_encodings/encodings", &[LONGEST, WIDTH])?,
            layers,
            norm: Norm::take(weights, "decoder/layer_norm")?,
        })
    }

    /// `rows` as the encoder gives them.
    ///
    /// # Errors
    /// [`Broken`] when the sums cannot be made.
    pub(crate) fn hear(&self, rows: &[f32]) -> Result<Heard, Broken> {
        Ok(Heard(self.layers.iter().map(|layer| layer.heard_keys_and_values.of(rows)).collect::<Result<_, _>>()?))
    }

    pub(crate) fn begin<'a>(&'a self, heard: &'a Heard) -> Course<'a> {
        Course { decoder: self, heard, written: vec![Default::default(); LAYERS], position: 0 }
    }
}

impl Course<'_> {
    /// Writes `token`. Gives how likely each token is next, as a logarithm and up to a constant; `None` for a token
    /// that there is not, or where no more can be written.
    pub(crate) fn write(&mut self, token: usize) -> Option<Vec<f32>> {
        let decoder = self.decoder;
        let mut row = decoder.tokens.row(token)?;
        add(&mut row, decoder.positions.get(self.position * WIDTH..(self.position + 1) * WIDTH)?);
        self.position += 1;
        for ((layer, heard), (keys, values)) in decoder.layers.iter().zip(&self.heard.0).zip(&mut self.written) {
            let seen = layer.written_in.of(&layer.written_norm.of(&row));
            keys.extend_from_slice(&seen[WIDTH..2 * WIDTH]);
            values.extend_from_slice(&seen[2 * WIDTH..]);
            let attended = look(&seen[..WIDTH], keys.chunks_exact(WIDTH), values.chunks_exact(WIDTH));
            add(&mut row, &layer.written_out.of(&attended));

            let query = layer.heard_query.of(&layer.heard_norm.of(&row));
            let moments = || heard.chunks_exact(2 * WIDTH);
            let attended =
                look(&query, moments().map(|moment| &moment[..WIDTH]), moments().map(|moment| &moment[WIDTH..]));
            add(&mut row, &layer.heard_out.of(&attended));

            let mut inner = layer.inner_in.of(&layer.inner_norm.of(&row));
            gelu(&mut inner);
            add(&mut row, &layer.inner_out.of(&inner));
        }
        Some(decoder.tokens.of(&decoder.norm.of(&row)))
    }
}

/// What one row sees of others, head by head.
fn look<'a>(query: &[f32], keys: impl Iterator<Item = &'a [f32]>, values: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let scale = (HEAD as f32).sqrt().recip();
    let mut scores: [Vec<f32>; HEADS] = Default::default();
    for key in keys {
        for ((scores, query), key) in scores.iter_mut().zip(query.chunks_exact(HEAD)).zip(key.chunks_exact(HEAD)) {
            scores.push(dot(query, key) * scale);
        }
    }
    scores.iter_mut().for_each(|scores| softmax(scores));
    let mut seen = vec![0.0; WIDTH];
    for (index, value) in values.enumerate() {
        for ((seen, scores), value) in seen.chunks_exact_mut(HEAD).zip(&scores).zip(value.chunks_exact(HEAD)) {
            let score = scores[index];
            for (seen, value) in seen.iter_mut().zip(value) {
                *seen += score * value;
            }
        }
    }
    seen
}
