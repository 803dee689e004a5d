//! How an interaction stands (spec 03, "Status").

use serde::{Deserialize, Serialize};

/// The closed set that this server emits. Clients treat it as open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    InProgress,
    RequiresAction,
    Completed,
    Failed,
    Cancelled,
    Incomplete,
}

impl Status {
    /// Nothing leaves a terminal status.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::InProgress => false,
            Self::RequiresAction | Self::Completed | Self::Failed | Self::Cancelled | Self::Incomplete => true,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::RequiresAction => "requires_action",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Incomplete => "incomplete",
        }
    }
}
