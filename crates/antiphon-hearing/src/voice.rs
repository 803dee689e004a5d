//! How likely somebody speaks, 31 times a second: the silero network.
//!
//! Whisper writes words for silence and noise too, and is sure of them. What this hears no voice in never gets there.

use std::path::Path;

use rten::{Model, NodeId};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::Broken;

/// Samples that one likelihood is of.
pub(crate) const WINDOW: usize = 512;

/// Samples before a window that the network is shown with it.
const CONTEXT: usize = 64;

/// What it remembers between windows.
const STATE: usize = 128;

/// Windows in one run: a minute of sound.
const BATCH: usize = 1875;

pub(crate) struct Voice {
    model: Model,
    input: NodeId,
    hidden: NodeId,
    cell: NodeId,
    outputs: [NodeId; 3],
}

impl Voice {
    /// # Errors
    /// [`Broken`] when the file is not the network.
    pub(crate) fn load(path: &Path) -> Result<Self, Broken> {
        let model = Model::load_file(path).map_err(|error| Broken::weights(path, &error))?;
        let node = |name| model.node_id(name).map_err(|error| Broken::weights(path, &error));
        let (input, hidden, cell) = (node("input")?, node("h")?, node("c")?);
        let Ok(outputs) = <[NodeId; 3]>::try_from(model.output_ids()) else {
            return Err(Broken::weights(path, &format!("expected 3 outputs, got {}", model.output_ids().len())));
        };
        Ok(Self { model, input, hidden, cell, outputs })
    }

    /// For each window of `samples`, the last of which is filled up with silence, between 0 and 1.
    ///
    /// # Errors
    /// [`Broken`] when the network cannot be computed.
    pub(crate) fn likelihoods(&self, samples: &[f32]) -> Result<Vec<f32>, Broken> {
        let windows = samples.len().div_ceil(WINDOW);
        let mut likelihoods = Vec::with_capacity(windows);
        let nothing = || NdTensor::<f32, 3>::zeros([1, 1, STATE]);
        let (mut hidden, mut cell) = (nothing(), nothing());
        for first in (0..windows).step_by(BATCH) {
            let count = BATCH.min(windows - first);
            let mut batch = vec![0.0; count * (CONTEXT + WINDOW)];
            for (window, row) in batch.chunks_exact_mut(CONTEXT + WINDOW).enumerate() {
                let start = (first + window) * WINDOW;
                let from = start.saturating_sub(CONTEXT);
                let part = &samples[from..samples.len().min(start + WINDOW)];
                let place = CONTEXT + from - start;
                row[place..place + part.len()].copy_from_slice(part);
            }
            let input = NdTensor::from_data([count, CONTEXT + WINDOW], batch);
            let inputs = vec![(self.input, input.into()), (self.hidden, hidden.into()), (self.cell, cell.into())];
            let [output, next_hidden, next_cell] =
                self.model.run_n(inputs, self.outputs, None).map_err(|error| Broken::sums(&error))?;
            let output: Tensor<f32> = output.try_into().map_err(|error| Broken::sums(&error))?;
            if output.len() != count {
                return Err(Broken::sums(&format!("expected {count} likelihoods, got {}", output.len())));
            }
            hidden = next_hidden.try_into().map_err(|error| Broken::sums(&error))?;
            cell = next_cell.try_into().map_err(|error| Broken::sums(&error))?;
            likelihoods.extend(output.iter().copied());
        }
        Ok(likelihoods)
    }
}
