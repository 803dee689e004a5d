//! A run that goes on or waits for its program: its processes and everything that is held for them.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;
use rustix::process::{Pid, PidfdFlags};

use super::{LOOK, PATIENCE};
use crate::cgroup::Group;
use crate::gvisor::{self, Bundle};
use crate::host::Tier;
use crate::limits::Limits;
use crate::network::Door;
use crate::tree;
use crate::uid::Lease;

/// How long the helper has to end everything, before it is done without the helper.
const GRACE: Duration = Duration::from_millis(300);
/// The same where the end of a whole kernel is waited for.
const GRACE_OF_GVISOR: Duration = Duration::from_millis(900);

/// A run that has been started, or waits for its program.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) child: Child,
    pub(super) process: OwnedFd,
    pub(super) streams: [Option<OwnedFd>; 2],
    pub(super) status: Option<OwnedFd>,
    /// Closing it tells the helper to end everything.
    pub(super) control: Option<Control>,
    pub(super) tier: Tier,
    /// Until the program's network is open.
    pub(super) door: Option<Door>,
    pub(super) order: Vec<u8>,
    pub(super) workspace: OwnedFd,
    pub(super) device: u64,
    pub(super) group: Option<Group>,
    // Held until every process is gone.
    pub(super) _lease: Lease,
    pub(super) _bundle: Option<Bundle>,
}

/// The warden's end of what the order goes through.
#[derive(Debug)]
pub(super) struct Control(pub(super) OwnedFd);

impl Drop for Control {
    fn drop(&mut self) {
        // A socket stays open for the reports that come by it. A pipe is none, and closing it says the same.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Write);
    }
}

impl Live {
    pub(super) fn grace(&self) -> Duration {
        match self.tier {
            Tier::Bwrap | Tier::Landlock => GRACE,
            Tier::Gvisor => GRACE_OF_GVISOR,
        }
    }

    /// Whether it has taken more memory than it may.
    pub(super) fn ran_out(&self, limits: &Limits) -> bool {
        let taken = match (&self.group, self.tier) {
            (Some(group), _) => return group.ran_out(),
            (None, Tier::Bwrap | Tier::Landlock) => tree::resident_bytes(self.child.id()),
            (None, Tier::Gvisor) => tree::guest_bytes(self.child.id()),
        };
        taken > memory_with_overhead(self.tier, limits)
    }

    /// Ends it without the helper: its descendants first, since those of a dead helper would be lost from sight.
    pub(super) fn force(&mut self) {
        if !tree::kill_descendants(self.child.id()) {
            let _ = self.child.kill();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Usually it has ended and was waited for. One that never got a program ends when the helper sees this; `bwrap`
        // is not killed while it sets itself up, since it would leave a half that waits for ever.
        self.control = None;
        let mut wait = self.grace();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let mut process = [PollFd::new(&self.process, PollFlags::IN)];
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            if poll(&mut process, Some(&timeout)).is_ok_and(|ready| ready > 0) {
                let _ = self.child.wait();
                return;
            }
            self.force();
            wait = LOOK / 2;
        }
        tracing::error!(process = self.child.id(), "a sandbox does not end");
    }
}

/// What the memory of a run is measured against.
pub(super) fn memory_with_overhead(tier: Tier, limits: &Limits) -> u64 {
    match tier {
        Tier::Bwrap | Tier::Landlock => limits.memory,
        Tier::Gvisor => limits.memory.saturating_add(gvisor::OWN_BYTES),
    }
}

/// A handle of a child that nobody else waits for.
pub(super) fn handle(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}
