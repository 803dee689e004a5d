//! Everything before the first instruction of a run.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use rustix::fs::{Gid, OFlags, Uid};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Live;
use crate::finished::Place;
use crate::host::Tier;
use crate::kernel::{self, Birth};
use crate::launch;
use crate::limits::Limits;
use crate::order::Order;
use crate::program::{Language, Program, Workspace};
use crate::sandbox::Parts;
use crate::uid::{Identity, Lease};
use crate::{folder, workspace};

type Prepared = Result<(Live, Place), String>;

pub(super) fn prepare(parts: &Parts, program: &Program, limits: &Limits) -> Prepared {
    let failed = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
    let (place, path) = match &program.workspace {
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
    let owner = fs::metadata(&path).map_err(failed("the workspace cannot be read"))?.uid();
    let lease = Lease::take(&parts.uids, Some(owner))?;
    if let Identity::Reserved(uid) = lease.identity() {
        workspace::passable(&path)?;
        if owner != uid {
            folder::hand_over(&top, uid).map_err(failed("the workspace cannot be handed over"))?;
        }
    }
    let group = match &parts.groups {
        Some(groups) => {
            let made = groups.make(limits.memory);
            Some(made.map_err(failed("no control group can be made"))?)
        }
        None => None,
    };
    let entrance = group.as_ref().map(|group| group.entrance()).transpose();
    let entrance = entrance.map_err(failed("the control group cannot be opened"))?;

    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| format!("no pipe can be made: {error}"));
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let (status, status_end) = pipe()?;
    let (control_end, control) = pipe()?;
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

    let workspace_inside = match parts.tier {
        Tier::Bwrap => launch::WORKSPACE.into(),
        Tier::Landlock => path.clone(),
    };
    let mut order = Order::new(parts.tier, workspace_inside, program, limits);
    order.interpreter = match program.language {
        Language::Python => parts.python.clone(),
        Language::Bash => parts.bash.clone(),
    };
    order.shares_uid = parts.tier == Tier::Landlock && lease.identity() == Identity::Own;
    order.processes = limits.processes.saturating_add(beside(parts.tier, lease.identity()));
    let order = order.encode().map_err(failed("the order cannot be written"))?;

    let helper = parts.helper.as_raw_fd();
    let mut command = match parts.tier {
        Tier::Bwrap => {
            let mut command = Command::new(&parts.bwrap);
            command.args(launch::bwrap_arguments(&path)).arg(launch::helper_path(helper));
            command
        }
        Tier::Landlock => Command::new(launch::helper_path(helper)),
    };
    command
        .args(launch::helper_arguments(control_end.as_raw_fd(), status_end.as_raw_fd()))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::from(stdout_end))
        .stderr(Stdio::from(stderr_end));
    let birth = Birth {
        identity: lease.identity(),
        inherits: vec![helper, control_end.as_raw_fd(), status_end.as_raw_fd()],
        cgroups: entrance.iter().map(OwnedFd::as_raw_fd).collect(),
        // In tier 2 the helper has to outlive the server for a moment: it ends what would be orphaned.
        dies_with_parent: parts.tier == Tier::Bwrap,
    };
    kernel::at_birth(&mut command, birth);
    let mut child = parts.spawner.spawn(command).map_err(failed("the sandbox cannot be started"))?;
    let process = match super::handle(&child).and_then(|process| runs_as_nobody_special(child.id()).map(|()| process)) {
        Ok(process) => process,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("the sandbox cannot be watched: {error}"));
        }
    };
    let device = super::device(&top).map_err(failed("the workspace cannot be read"))?;
    let live = Live {
        child,
        process,
        streams: [Some(stdout), Some(stderr)],
        status: Some(status),
        control: Some(control),
        order,
        workspace: top,
        device,
        group,
        _lease: lease,
    };
    Ok((live, place))
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
        (Tier::Landlock, Identity::Reserved(_)) => 1,
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
