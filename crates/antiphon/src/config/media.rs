//! The keys of media that models do not take.

use serde::{Deserialize, Serialize};

/// What becomes of media in requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Media {
    /// Of those that the model does not take.
    pub(crate) fallback: Fallback,
    /// Whether they are fetched over plain `http` too.
    pub(crate) http: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fallback {
    /// Text is made of them.
    #[default]
    Perceive,
    Reject,
}
