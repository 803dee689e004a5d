//! Programs that nobody vouches for, in Python or bash, run apart from everything else on the machine.
//!
//! [`Sandbox::probe`] finds once what this machine can promise, by running something in it; [`Sandbox::run`] gives
//! live output and one end; [`Sandbox::file`] works on the files of a workspace, from inside. What the tiers promise
//! and what they do not is in `docs/security.md`.
//!
//! Three processes take part. The server's *warden*, a thread per run, starts, watches and ends the run. The *helper*
//! (`antiphon-sandbox-init`) gives up every right, starts the program and ends whatever it leaves behind. Between
//! them stands `bwrap` in tier 1, which gives the program a view of its own, or gVisor's `runsc`, which gives it a kernel
//! of its own as well.

mod agent_files;
mod cgroup;
mod finished;
pub mod folder;
mod gvisor;
mod helper;
mod host;
mod kernel;
mod launch;
mod limits;
mod network;
mod operation;
mod order;
mod output;
mod picture;
mod probe;
mod program;
mod running;
mod sandbox;
mod spawner;
mod tree;
mod uid;
mod warden;
mod workspace;

pub use agent_files::{AgentFiles, Skill};
pub use finished::{Finished, Pictures};
pub use host::{Host, Options, Tier};
pub use limits::Limits;
pub use network::Network;
pub use operation::{FileOperation, FileReply, FileTool};
pub use picture::{Picture, PictureKind};
pub use probe::Unavailable;
pub use program::{Language, Program, Refused, Workspace};
pub use running::{End, Exit, Frame, Reason, Running, Stream};
pub use sandbox::Sandbox;

#[doc(hidden)]
pub use helper::initialise;
