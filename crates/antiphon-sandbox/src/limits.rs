//! What one run may use.

use std::time::Duration;

/// Bounds of one run; none can be switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From the start to the end, whatever the program does.
    pub wall: Duration,
    /// Bytes of memory of all its processes together.
    pub memory: u64,
    /// Processes and threads at once, the program itself among them.
    pub processes: u32,
    /// Descriptors that one process may hold.
    pub open_files: u32,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of the workspace.
    pub workspace_bytes: u64,
    /// Files and folders of the workspace.
    pub workspace_entries: u32,
    /// Bytes of output that are passed on. More is discarded, and counted; a program that writes 64 times as much is
    /// ended.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            wall: Duration::from_secs(120),
            memory: 512 * MIB,
            processes: 64,
            open_files: 256,
            file_bytes: 64 * MIB,
            workspace_bytes: 256 * MIB,
            workspace_entries: 65_536,
            output_bytes: MIB,
        }
    }
}

impl Limits {
    /// Address space of one process. Far more than `memory`, since runtimes reserve what they never touch; it bounds
    /// what one process can take between two looks of the watchdog.
    pub(crate) fn address_space(&self) -> u64 {
        self.memory.saturating_add(1 << 30)
    }

    pub(crate) fn output_at_most(&self) -> u64 {
        self.output_bytes.saturating_mul(64)
    }
}
