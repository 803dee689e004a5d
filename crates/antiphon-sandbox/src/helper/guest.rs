//! What is different for the helper where the kernel is gVisor's: it is the first process there, with nobody else's
//! beside the program's, and some of what Linux does for it is left to the helper.

use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::{Confined, report_of};
use crate::kernel;
use crate::order::Report;

/// Of the program's user and group inside, as in tier 1.
const USER: u32 = 1000;

/// Between two looks at whether the program has ended: this kernel gives no handle of a process that would tell.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Becomes somebody who is not root, and takes both ends of the warden's socket.
pub(super) fn enter() -> io::Result<(OwnedFd, OwnedFd)> {
    kernel::become_user(USER)?;
    let end = || rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3);
    Ok((end()?, end()?))
}

/// Before the program is executed: a signal to its group is not to reach the helper.
pub(super) fn leave() -> io::Result<()> {
    kernel::new_session()
}

/// The program's end, or the warden's wish. By then what it wrote has been passed on, and nobody else is left.
pub(super) fn wait(control: &File, child: Pid, confined: &Confined, mut relay: Relay) -> io::Result<Report> {
    loop {
        let is_unwanted = relay.pass_on(control)?;
        if is_unwanted {
            confined.kill();
        }
        if let Some(status) = reap_until(child)? {
            confined.end_all();
            relay.finish();
            return Ok(report_of(status));
        }
    }
}

/// The program's output on its way out of its kernel. A pipe of this kernel takes whole what is written to it, as one of
/// Linux does; one of the machine takes what there is room for, and many programs lose the rest.
pub(super) struct Relay {
    ways: Vec<(PipeReader, File)>,
}

impl Relay {
    pub(super) fn new(command: &mut Command) -> io::Result<Self> {
        let (stdout, stdout_end) = io::pipe()?;
        let (stderr, stderr_end) = io::pipe()?;
        command.stdout(stdout_end).stderr(stderr_end);
        let ways = vec![
            (stdout, File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            (stderr, File::from(io::stderr().as_fd().try_clone_to_owned()?)),
        ];
        Ok(Self { ways })
    }

    /// Waits a moment for what comes, and passes it on. Whether the warden wants the end.
    fn pass_on(&mut self, control: &File) -> io::Result<bool> {
        let mut ready = vec![PollFd::new(control, PollFlags::IN)];
        ready.extend(self.ways.iter().map(|(from, _)| PollFd::new(from, PollFlags::IN)));
        match poll(&mut ready, Some(&PAUSE)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready =
            ready.into_iter().map(|descriptor| !descriptor.revents().is_empty()).collect::<Vec<_>>().into_iter();
        // Nothing is sent after the order: readable means closed.
        let is_unwanted = ready.next().unwrap_or(false);
        self.ways.retain_mut(|way| !ready.next().unwrap_or(false) || pass_on_once(way));
        Ok(is_unwanted)
    }

    /// What is still under way, once nobody can write any more.
    fn finish(mut self) {
        for way in &mut self.ways {
            while pass_on_once(way) {}
        }
    }
}

/// Whether there may be more.
fn pass_on_once((from, to): &mut (PipeReader, File)) -> bool {
    let mut piece = [0; 16 << 10];
    match from.read(&mut piece) {
        Ok(0) => false,
        Ok(length) => to.write_all(&piece[..length]).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::Interrupted,
    }
}

/// Takes leave of what has ended, until the program is among it.
fn reap_until(child: Pid) -> io::Result<Option<WaitStatus>> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((process, status))) if process == child => return Ok(Some(status)),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}
