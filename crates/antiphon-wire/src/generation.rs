//! `generation_config` of a request (spec 02).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{Fields, describe};
use crate::image::ImageConfig;
use crate::tool::ToolChoice;

/// How the answer is to be generated. Absent fields take the model's own defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerationConfig {
    /// 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Thought and output together; reaching it ends the interaction `incomplete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Best effort: the same seed draws the same, as far as the arithmetic of the
    /// engine is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// A ceiling, met also by not thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<ThinkingLevel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_summaries: Option<ThinkingSummaries>,
    /// Absent is `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Of models that answer with a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_config: Option<ImageConfig>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingLevel {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
}

/// Whether thought steps carry a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingSummaries {
    Auto,
    None,
}

/// More and longer stop sequences than any program needs cost time at every token.
const MOST_STOP_SEQUENCES: usize = 16;
const LONGEST_STOP_SEQUENCE: usize = 256;

impl GenerationConfig {
    pub(crate) fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        let config = Self {
            temperature: fields.number("temperature", 0.0, 2.0)?,
            top_p: fields.number("top_p", 0.0, 1.0)?,
            max_output_tokens: fields
                .integer("max_output_tokens", 1, i64::from(i32::MAX))?
                .and_then(|tokens| u32::try_from(tokens).ok()),
            seed: fields.integer("seed", i64::MIN, i64::MAX)?,
            stop_sequences: read_stop_sequences(&mut fields)?,
            thinking_level: fields.choice(
                "thinking_level",
                &[
                    ("minimal", ThinkingLevel::Minimal),
                    ("low", ThinkingLevel::Low),
                    ("medium", ThinkingLevel::Medium),
                    ("high", ThinkingLevel::High),
                    ("xhigh", ThinkingLevel::Xhigh),
                ],
            )?,
            thinking_summaries: fields.choice(
                "thinking_summaries",
                &[("auto", ThinkingSummaries::Auto), ("none", ThinkingSummaries::None)],
            )?,
            tool_choice: ToolChoice::read(&mut fields)?,
            image_config: fields
                .take("image_config")
                .map(|value| ImageConfig::read(value, "generation_config.image_config"))
                .transpose()?,
        };
        fields.refuse("speech_config", "audio output is not supported by this server yet")?;
        fields.refuse("video_config", "video output is not supported by this server yet")?;
        fields.refuse("transcription_config", "audio input is not supported by this server yet")?;
        fields.finish()?;
        Ok(config)
    }
}

fn read_stop_sequences(fields: &mut Fields) -> Result<Vec<String>, Error> {
    let items = fields.list("stop_sequences")?.unwrap_or_default();
    let path = fields.path_of("stop_sequences");
    if items.len() > MOST_STOP_SEQUENCES {
        let message = format!("expected at most {MOST_STOP_SEQUENCES} sequences, got {}", items.len());
        return Err(Error::invalid(&path, message));
    }
    items
        .into_iter()
        .enumerate()
        .map(|(at, item)| match item {
            Value::String(text) if (1..=LONGEST_STOP_SEQUENCE).contains(&text.len()) => Ok(text),
            other => Err(Error::invalid(
                &format!("{path}[{at}]"),
                format!("expected a string of 1 to {LONGEST_STOP_SEQUENCE} bytes, got {}", describe(&other)),
            )),
        })
        .collect()
}
