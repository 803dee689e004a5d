//! Token counts (spec 03, "Usage").

use serde::{Deserialize, Serialize};

/// What an interaction cost. `total_tokens` is input + output + thought + tool use;
/// input counts include the replayed history, cached ones are part of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub total_input_tokens: u64,
    pub total_output_tokens: u64,
    pub total_thought_tokens: u64,
    pub total_tool_use_tokens: u64,
    pub total_cached_tokens: u64,
    pub total_tokens: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_tokens_by_modality: Vec<ModalityTokens>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_tokens_by_modality: Vec<ModalityTokens>,
    /// How often the tools were used that find what an answer is founded on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grounding_tool_count: Vec<GroundingToolCount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroundingToolCount {
    /// As `google_search`.
    #[serde(rename = "type")]
    pub kind: String,
    pub count: u64,
}

impl Usage {
    /// The usage of an interaction that is text alone.
    pub fn of_text(input: u64, cached: u64, output: u64, thought: u64) -> Self {
        let text = |tokens| vec![ModalityTokens { modality: Modality::Text, tokens }];
        Self {
            total_input_tokens: input,
            total_output_tokens: output,
            total_thought_tokens: thought,
            total_tool_use_tokens: 0,
            total_cached_tokens: cached,
            total_tokens: input + output + thought,
            input_tokens_by_modality: text(input),
            output_tokens_by_modality: text(output),
            grounding_tool_count: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModalityTokens {
    pub modality: Modality,
    pub tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    Text,
    Image,
    Audio,
}
