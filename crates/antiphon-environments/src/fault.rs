//! Where a test of crashes may end the process: around each step that makes files of an environment durable.

use std::fmt;
use std::sync::Arc;

/// A place that is passed on the way of files into a workspace, or of a workspace that rests and is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// Files on their way in are written.
    Staged,
    /// They are committed, and not moved.
    Committed,
    /// One of them has been moved.
    Moved,
    /// All of them are in the workspace, which is not counted yet.
    Placed,
    /// One entry of a workspace that is put to rest is written.
    Packing,
    /// All of them are.
    Packed,
    /// The archive is in its place, beside the workspace.
    Kept,
    /// The workspace has lost its place, and is not removed.
    Discarded,
    /// One entry of an archive is written into what is to be the workspace.
    Unpacking,
    /// All of them are.
    Unpacked,
    /// The workspace is in its place, beside the archive.
    Woken,
}

/// Called at each fault point.
pub type FaultHook = Arc<dyn Fn(FaultPoint) + Send + Sync>;

/// The hook, where there is one.
#[derive(Clone, Default)]
pub(crate) struct Faults(pub(crate) Option<FaultHook>);

impl Faults {
    pub(crate) fn pass(&self, point: FaultPoint) {
        if let Some(hook) = &self.0 {
            hook(point);
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Faults")
    }
}
