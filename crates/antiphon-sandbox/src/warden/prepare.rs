//! Everything before the first instruction of a program. Most of it does not depend on the program, and can be done
//! before there is one.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Gid, OFlags, Uid};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::{PipeFlags, pipe_with};

use super::live::{Control, Live, handle, memory_with_overhead};
use crate::cgroup::{Group, Groups};
use crate::finished::Place;
use crate::gvisor::Bundle;
use crate::host::Tier;
use crate::kernel::{self, Birth};
use crate::launch;
use crate::limits::Limits;
use crate::network::Network;
use crate::order::Order;
use crate::program::{Language, Work, Workspace};
use crate::sandbox::{Launcher, Parts};
use crate::uid::{Identity, Lease};
use crate::{folder, workspace};

/// A sandbox that is set up, and whose helper waits for its order.
#[derive(Debug)]
pub(crate) struct Parked {
    live: Live,
    place: Place,
    /// The workspace, on the machine.
    path: PathBuf,
    identity: Identity,
}

/// How often a workspace that is in use is asked for, and the pause between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Keeps other runs out of a workspace. A process that another thread has just forked holds copies of all locks until it
/// executes its program, also of those whose runs have ended, so that one which is taken may be free in a moment.
fn lock(workspace: &OwnedFd) -> Result<(), String> {
    for _ in 0..TRIES {
        if rustix::fs::flock(workspace, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err("the workspace is in use by another run".to_owned())
}

/// Sets a sandbox up, all but the program.
pub(crate) fn park(parts: &Parts, workspace: &Workspace, network: Option<&Network>) -> Result<Parked, String> {
    let failed = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let tier = parts.launcher.tier();
    if network.is_some() && tier != Tier::Bwrap {
        return Err(format!("in {tier} programs have no network"));
    }
    let (place, path) = match workspace {
        Workspace::Fresh => {
            let fresh = parts.workspaces.fresh().map_err(failed("no workspace can be made"))?;
            let path = fresh.path().to_owned();
            (Place::Fresh(fresh), path)
        }
        Workspace::Given(path) => {
            let path = fs::canonicalize(path).map_err(failed("the workspace cannot be found"))?;
            (Place::Given(path.clone()), path)
        }
    };
    let top = workspace::open(&path).map_err(failed("the workspace cannot be opened"))?;
    if let Place::Given(_) = place {
        lock(&top)?;
    }
    let beside = launch::beside(&top);
    let about = rustix::fs::fstat(&top).map_err(|error| format!("the workspace cannot be read: {error}"))?;
    let lease = Lease::take(&parts.uids, Some(about.st_uid))?;
    if let Identity::Reserved(uid) = lease.identity() {
        workspace::passable(&path)?;
        if about.st_uid != uid {
            folder::hand_over(&top, uid).map_err(failed("the workspace cannot be handed over"))?;
        }
    }
    let group = parts.groups.as_ref().map(Groups::make).transpose();
    let group = group.map_err(failed("no control group can be made"))?;
    let entrance = group.as_ref().map(Group::entrance).transpose();
    let entrance = entrance.map_err(failed("the control group cannot be opened"))?;

    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| format!("no pipe can be made: {error}"));
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let Talk { control, control_end, status, status_end } = Talk::new(tier).map_err(failed("no pipe can be made"))?;
    for ours in [&stdout, &stderr, &status, &control] {
        rustix::fs::fcntl_setfl(ours, OFlags::NONBLOCK).map_err(|error| format!("a pipe cannot be set: {error}"))?;
    }
    if let Identity::Reserved(uid) = lease.identity() {
        // So that a program can open its own output by its name in `/dev`.
        for theirs in [&stdout_end, &stderr_end] {
            rustix::fs::fchown(theirs, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))
                .map_err(|error| format!("a pipe cannot be handed over: {error}"))?;
        }
    }

    let door = network.map(Network::door).transpose().map_err(failed("no network can be made"))?;
    let (door, door_end) = door.unzip();
    let certificates = network.map(Network::certificates).transpose();
    let certificates = certificates.map_err(failed("the certificates cannot be passed"))?;

    let helper = parts.helper.as_raw_fd();
    let door_number = door_end.as_ref().map(AsRawFd::as_raw_fd);
    let arguments = || launch::helper_arguments(control_end.as_raw_fd(), status_end.as_raw_fd(), door_number);
    let mut bundle = None;
    let mut command = match &parts.launcher {
        Launcher::Bwrap(bwrap) => {
            let mut command = Command::new(bwrap);
            let certificates = certificates.as_ref().map(AsRawFd::as_raw_fd);
            command.args(launch::bwrap_arguments(&path, &beside, certificates)).arg(launch::helper_path(helper));
            command.args(arguments()).stdin(Stdio::null());
            command
        }
        Launcher::None => {
            let mut command = Command::new(launch::helper_path(helper));
            command.args(arguments()).stdin(Stdio::null());
            command
        }
        Launcher::Runsc { runsc, root } => {
            let new = Bundle::new(&parts.workspaces, root, &path, &beside, lease.identity());
            let new = bundle.insert(new.map_err(failed("gVisor's folder cannot be made"))?);
            let mut command = Command::new(runsc);
            command.args(new.arguments().map_err(failed("gVisor's folder cannot be read"))?);
            let end = control_end.try_clone().map_err(failed("a socket cannot be passed"))?;
            command.stdin(Stdio::from(end));
            command
        }
    };
    command.env_clear().current_dir("/").stdout(Stdio::from(stdout_end)).stderr(Stdio::from(stderr_end));
    let birth = Birth {
        identity: lease.identity(),
        inherits: [Some(helper), Some(control_end.as_raw_fd()), Some(status_end.as_raw_fd())]
            .into_iter()
            .filter(|_| tier != Tier::Gvisor)
            .chain([&door_end, &certificates].map(|passed| passed.as_ref().map(AsRawFd::as_raw_fd)))
            .flatten()
            .collect(),
        cgroups: entrance.iter().map(OwnedFd::as_raw_fd).collect(),
        // In tier 2 the helper has to outlive the server for a moment: it ends what would be orphaned. Elsewhere every
        // process goes with the one above it.
        dies_with_parent: tier != Tier::Landlock,
    };
    kernel::at_birth(&mut command, birth);
    let mut child = parts.spawner.spawn(command).map_err(failed("the sandbox cannot be started"))?;
    let process = match handle(&child).and_then(|process| runs_as_nobody_special(child.id()).map(|()| process)) {
        Ok(process) => process,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("the sandbox cannot be watched: {error}"));
        }
    };
    let identity = lease.identity();
    let live = Live {
        child,
        process,
        streams: [Some(stdout), Some(stderr)],
        status: Some(status),
        control: Some(Control(control)),
        tier,
        door,
        order: Vec::new(),
        workspace: top,
        device: about.st_dev,
        group,
        _lease: lease,
        _bundle: bundle,
    };
    Ok(Parked { live, place, path, identity })
}

impl Parked {
    /// Whether nothing has happened to it while it waited.
    pub(crate) fn is_alive(&self) -> bool {
        let mut process = [PollFd::new(&self.live.process, PollFlags::IN)];
        poll(&mut process, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
    }

    /// Gives it its work, whose order is then to be written.
    pub(super) fn go(mut self, parts: &Parts, work: &Work, limits: &Limits) -> Result<(Live, Place), String> {
        let tier = self.live.tier;
        if let Some(group) = &self.live.group {
            group
                .limit(memory_with_overhead(tier, limits))
                .map_err(|error| format!("the memory cannot be limited: {error}"))?;
        }
        let inside = match tier {
            Tier::Bwrap | Tier::Gvisor => launch::WORKSPACE.into(),
            Tier::Landlock => self.path,
        };
        let interpreter = |language| match language {
            Language::Python => parts.python.clone(),
            Language::Bash => parts.bash.clone(),
        };
        let mut order = Order::new(tier, inside, work, interpreter, limits);
        order.shares_uid = tier == Tier::Landlock && self.identity == Identity::Own;
        order.processes = limits.processes.saturating_add(beside(tier, self.identity));
        self.live.order = order.encode().map_err(|error| format!("the order cannot be written: {error}"))?;
        Ok((self.live, self.place))
    }
}

/// How the warden and the helper talk: by two pipes, or where only the standard descriptors are passed on by one socket.
struct Talk {
    control: OwnedFd,
    control_end: OwnedFd,
    status: OwnedFd,
    status_end: OwnedFd,
}

impl Talk {
    fn new(tier: Tier) -> std::io::Result<Self> {
        match tier {
            Tier::Bwrap | Tier::Landlock => {
                let (status, status_end) = pipe_with(PipeFlags::CLOEXEC)?;
                let (control_end, control) = pipe_with(PipeFlags::CLOEXEC)?;
                Ok(Self { control, control_end, status, status_end })
            }
            Tier::Gvisor => {
                let (control, control_end) =
                    rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
                Ok(Self { status: control.try_clone()?, status_end: control_end.try_clone()?, control, control_end })
            }
        }
    }
}

/// The last check that nothing was started with the rights of root, by the kernel's own account.
fn runs_as_nobody_special(process: u32) -> std::io::Result<()> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    if uids.split_whitespace().next().is_none() || uids.split_whitespace().any(|uid| uid == "0") {
        return Err(std::io::Error::other("it runs as root"));
    }
    Ok(())
}

/// Processes that the limit of processes counts beside the program's own.
fn beside(tier: Tier, identity: Identity) -> u32 {
    match (tier, identity) {
        // They are counted in the namespace of the run: its first process, and the helper.
        (Tier::Bwrap, _) => 2,
        // The helper alone.
        (Tier::Gvisor, _) | (Tier::Landlock, Identity::Reserved(_)) => 1,
        // They are counted with everything else that the user runs, now.
        (Tier::Landlock, Identity::Own) => threads_of_this_user().saturating_add(1),
    }
}

fn threads_of_this_user() -> u32 {
    let own = rustix::process::getuid().as_raw();
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let of_user = processes.flatten().filter(|entry| entry.metadata().is_ok_and(|about| about.uid() == own));
    let threads = |entry: fs::DirEntry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse::<u32>().ok())
    };
    of_user.filter_map(threads).fold(0, u32::saturating_add)
}
