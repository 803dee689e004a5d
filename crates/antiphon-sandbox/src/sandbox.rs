//! The sandbox of one server, as the probe found it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::agent_files::AgentFiles;
use crate::cgroup::Groups;
use crate::gvisor;
use crate::host::Tier;
use crate::limits::Limits;
use crate::operation::{FileOperation, FileReply, REPLY_BYTES};
use crate::program::{Program, Work, Workspace};
use crate::running::{Frame, Running, Stream};
use crate::spawner::Spawner;
use crate::warden::{self, Parking};
use crate::workspace::Workspaces;

/// The helper is small; more than this is something else.
const HELPER_BYTES: u64 = 256 << 20;

/// Runs programs. Cheap to clone; the last one to go waits until what the runs left is deleted.
#[derive(Debug, Clone)]
pub struct Sandbox {
    parts: Arc<Parts>,
    /// Where files are worked on: by a program of ours, which needs no kernel of its own.
    files: Arc<Parts>,
    // Shared by the clones: its end is theirs.
    _open: Arc<Open>,
}

/// As long as somebody may run something.
#[derive(Debug)]
struct Open(Arc<Parts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.parking.close();
    }
}

#[derive(Debug)]
pub(crate) struct Parts {
    // The first to go: it uses the others.
    pub(crate) parking: Parking,
    /// What makes the namespaces or the kernel.
    pub(crate) launcher: Launcher,
    pub(crate) helper: Arc<OwnedFd>,
    pub(crate) python: PathBuf,
    pub(crate) bash: PathBuf,
    pub(crate) uids: Range<u32>,
    pub(crate) groups: Option<Groups>,
    pub(crate) workspaces: Arc<Workspaces>,
    pub(crate) spawner: Spawner,
}

/// What is executed to start a run, for each tier.
#[derive(Debug)]
pub(crate) enum Launcher {
    Bwrap(PathBuf),
    /// The executable, and what all runs have at their root.
    Runsc {
        runsc: PathBuf,
        root: PathBuf,
    },
    /// The helper itself.
    None,
}

impl Launcher {
    pub(crate) fn tier(&self) -> Tier {
        match self {
            Self::Bwrap(_) => Tier::Bwrap,
            Self::Runsc { .. } => Tier::Gvisor,
            Self::None => Tier::Landlock,
        }
    }
}

impl Sandbox {
    pub(crate) fn new(parts: Parts) -> Self {
        let parts = Arc::new(parts);
        Self { _open: Arc::new(Open(Arc::clone(&parts))), files: Arc::clone(&parts), parts }
    }

    /// Programs in a kernel of their own, and files as this one works on them. It runs no more programs itself.
    ///
    /// # Errors
    /// When what all runs share cannot be written.
    pub(crate) fn with_kernels(self, runsc: PathBuf) -> io::Result<Self> {
        let files = self.parts;
        let root = gvisor::root(&files.workspaces, &files.helper)?;
        let parts = Parts {
            parking: Parking::default(),
            launcher: Launcher::Runsc { runsc, root },
            helper: Arc::clone(&files.helper),
            python: files.python.clone(),
            bash: files.bash.clone(),
            uids: files.uids.clone(),
            groups: files.groups.clone(),
            workspaces: Arc::clone(&files.workspaces),
            spawner: files.spawner.clone(),
        };
        Ok(Self { files, ..Self::new(parts) })
    }

    /// What the machine can promise.
    pub fn tier(&self) -> Tier {
        self.parts.launcher.tier()
    }

    /// Whether the bound on memory is the kernel's own. Otherwise the memory is looked at ten times a second, and a
    /// program can have more of it in between.
    pub fn has_hard_memory_limit(&self) -> bool {
        self.parts.groups.is_some()
    }

    /// Whether programs can be given a network. In tier 2 they make no sockets at all, and what they would inherit in
    /// the place of one is of no use to a usual program; out of gVisor's kernel no socket can be handed.
    pub fn has_networks(&self) -> bool {
        self.tier() == Tier::Bwrap
    }

    /// Whether programs find what their workspace has in its folder `.root` at their root: `/data` for `.root/data`. In
    /// tier 2 they see the root of the machine.
    pub fn has_own_roots(&self) -> bool {
        self.tier() != Tier::Landlock
    }

    /// Starts a program and returns at once. With a fresh workspace it takes the sandbox that waits for the next program;
    /// with a given one, one is set up for it.
    ///
    /// Whatever keeps it from starting is the exit's reason.
    ///
    /// # Errors
    /// When not even a thread can be had.
    pub fn run(&self, program: Program, limits: Limits) -> io::Result<Running> {
        warden::start(&self.parts, Work::Program(program), limits)
    }

    /// Does something with the files of a workspace that stays, which is given to the sandbox whole: by a process inside
    /// of it, behind the same walls as a program, and never by the server. Dropping the future ends it.
    ///
    /// Of the limits, those on the workspace hold for the state after it, and how much it may say is its own.
    ///
    /// # Errors
    /// The sandbox cannot be set up, or another run is in the workspace. What the operation itself cannot do, or not
    /// within its limits, is in the reply.
    pub async fn file(&self, operation: FileOperation, workspace: PathBuf, limits: Limits) -> io::Result<FileReply> {
        if let Err(why) = operation.check() {
            return Ok(FileReply::failed(why));
        }
        let limits = Limits { output_bytes: REPLY_BYTES, ..limits };
        let work = Work::Operation(operation, Workspace::Given(workspace));
        let mut running = warden::start(&self.files, work, limits)?;
        let (mut written, mut complaint) = (String::new(), String::new());
        while let Some(frame) = running.next().await {
            match frame {
                Frame::Output { stream: Stream::Stdout, text } => written.push_str(&text),
                Frame::Output { stream: Stream::Stderr, text } => complaint.push_str(&text),
                Frame::Exit(exit) => return FileReply::of(&exit, &written, &complaint),
            }
        }
        Err(io::Error::other("a file operation had no end"))
    }

    /// Reads what a workspace says to agents, from inside, as [`Sandbox::file`] reads files.
    ///
    /// # Errors
    /// As those of [`Sandbox::file`].
    pub async fn agent_files(&self, workspace: PathBuf, limits: Limits) -> io::Result<AgentFiles> {
        let reply = self.file(FileOperation::AgentFiles, workspace, limits).await?;
        if reply.is_error {
            return Ok(AgentFiles { left_out: vec![format!("`.agents`: {}", reply.text)], ..AgentFiles::default() });
        }
        Ok(serde_json::from_str(&reply.text)?)
    }
}

/// The helper's bytes as they are now, in memory that nobody can write any more.
pub(crate) fn read_helper(path: &Path) -> io::Result<OwnedFd> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HELPER_BYTES).read_to_end(&mut bytes)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match rustix::fs::memfd_create("antiphon-sandbox-init", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know the flag, and need none.
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create("antiphon-sandbox-init", flags)?,
        result => result?,
    };
    let mut file = File::from(memory);
    file.write_all(&bytes)?;
    let memory = OwnedFd::from(file);
    // `WRITE` waits for whoever holds a page at the moment, and gives up on a busy machine. Nobody has it mapped yet,
    // so that the future is all there is to seal.
    let seals = SealFlags::FUTURE_WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&memory, seals)?;
    Ok(memory)
}
