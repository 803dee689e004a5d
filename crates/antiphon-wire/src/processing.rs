//! The steps that say how a medium was read before a model was asked (spec 03, "Steps").
//!
//! Google's carry nothing but their ids. Ours say in `x_media` what was done, and carry what the
//! model was told of it, sealed, so that it need not be done again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::fields::Fields;

/// That a medium is being read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessingCallStep {
    /// Unique in its conversation.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessingResultStep {
    /// The `id` of the call.
    pub call_id: String,
    /// What the model was told, sealed; the client carries it unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// A [`Perceived`], or what a client sent in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_media: Option<Value>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How a medium became text.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Perceived {
    /// Where in the request it is, as `input[0].content[1]`.
    pub block: String,
    /// `image`, `audio`, `video` or `document`.
    pub kind: String,
    /// `perceive`.
    pub route: String,
    /// What read it.
    pub tools: Vec<String>,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    /// How long that took; 0 when it was known already.
    pub seconds: f64,
    /// Whether there is more than the model was told.
    pub truncated: bool,
    /// What else is to be known, such as a type that was declared wrongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ProcessingCallStep {
    /// Reads a replayed step whose `type` was taken already.
    pub(crate) fn read(mut fields: Fields) -> Result<Self, Error> {
        let (id, signature) = (fields.text("id")?, fields.string("signature")?);
        Ok(Self { id, signature: signature.filter(|text| !text.is_empty()), extra: fields.rest() })
    }
}

impl ProcessingResultStep {
    /// Reads a replayed step whose `type` was taken already. What it says in `x_media` is kept as
    /// it came and not believed: what was read stands in the signature.
    pub(crate) fn read(mut fields: Fields) -> Result<Self, Error> {
        let (call_id, signature) = (fields.text("call_id")?, fields.string("signature")?);
        let signature = signature.filter(|text| !text.is_empty());
        let x_media = fields.take("x_media");
        Ok(Self { call_id, signature, x_media, extra: fields.rest() })
    }
}
