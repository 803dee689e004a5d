//! What a workspace says to the agents that work in it: an instruction, and skills that they may read (spec 06, "Custom
//! agents").

use serde::{Deserialize, Serialize};

/// What is in `.agents`, as far as it can be read. All of it is text that anybody may have written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFiles {
    /// `.agents/AGENTS.md`, 32 KiB of it at most.
    pub instruction: Option<String>,
    /// Whether the file goes on.
    pub is_cut: bool,
    /// 64 at most, in the order of their folders' names.
    pub skills: Vec<Skill>,
    /// What is there and was not taken, and why; a line each.
    pub left_out: Vec<String>,
}

/// What is to be known of a skill before its file is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skill {
    /// One line of 64 characters at most.
    pub name: String,
    /// One line of about 1,000 characters at most.
    pub description: String,
    /// Of its file, from the workspace on.
    pub path: String,
}
