//! The helper: takes its order, gives up every right, starts the program, and ends whatever is left of it.
//!
//! An operation on files is done where the program would be: in a child of the helper, behind the same walls.
//!
//! It is the parent of everything that the program leaves behind, and outlives it. The program cannot signal it:
//! it is in a Landlock domain inside the helper's (with an older Landlock `bwrap`'s namespace ends with the helper).
//! When the warden closes the control pipe, or is gone, the helper ends everything.
//!
//! It is linked dynamically: both tiers show the machine's own `/usr`, hence the library it was built against, and a
//! static executable would need compiler flags of the whole workspace.

mod filter;
mod guest;
mod operation;
mod place;
mod walls;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Resource, Rlimit, WaitOptions, WaitStatus};

use crate::host::Tier;
use crate::kernel;
use crate::network;
use crate::order::{Order, Report, Task};
use crate::program::Language;
use guest::Relay;

/// What `antiphon-sandbox-init` does. It is started by a [`Sandbox`](crate::Sandbox) alone.
pub fn initialise(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let numbers: Vec<_> = arguments.skip(1).filter_map(|argument| argument.to_str()?.parse().ok()).collect();
    let (control, status, door) = match numbers[..] {
        [] => match guest::enter() {
            Ok((control, status)) => (control, status, None),
            Err(_) => return ExitCode::from(3),
        },
        [control, status, ref door @ ..] => {
            let door = door.first().copied().map(kernel::adopt).transpose();
            let (Ok(control), Ok(status), Ok(door)) = (kernel::adopt(control), kernel::adopt(status), door) else {
                return ExitCode::from(2);
            };
            (control, status, door)
        }
        [_] => return ExitCode::from(2),
    };
    let mut status = File::from(status);
    // Into gVisor only the standard descriptors come, and its kernel does not know this way to close others.
    let closed = if numbers.is_empty() { Ok(()) } else { kernel::close_on_exec() };
    let closed = closed.map_err(|error| format!("descriptors cannot be closed: {error}"));
    match closed.and_then(|()| run(&File::from(control), &mut status, door)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let words: String = error.chars().take(500).collect();
            // Whoever would read it is gone if this fails.
            let _ = status.write_all(&Report::Failed(words).line());
            ExitCode::FAILURE
        }
    }
}

fn run(control: &File, status: &mut File, door: Option<OwnedFd>) -> Result<(), String> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("orphans cannot be adopted: {error}"))?;
    let mut badness = File::options().write(true).open("/proc/self/oom_score_adj").ok();
    let before = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    // Nobody opens this process's memory, through `/proc` either.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("memory cannot be closed: {error}"))?;
    if rustix::process::getuid().is_root() {
        return Err("it would run as root".to_owned());
    }
    let order = Order::read(control).map_err(|error| format!("the order cannot be read: {error}"))?;
    std::env::set_current_dir(&order.workspace).map_err(|error| format!("the workspace cannot be entered: {error}"))?;
    if let Some(door) = door {
        network::open(&door).map_err(|error| format!("the network cannot be opened: {error}"))?;
    }
    limit(&order).map_err(|error| format!("limits cannot be set: {error}"))?;
    walls::raise(&order)?;
    let confined = Confined::check(order.tier)?;
    filter::install(&order).map_err(|error| format!("the system call filter cannot be installed: {error}"))?;
    let (seconds, nanoseconds) = place::place(&order)?;
    status
        .write_all(&Report::Started { seconds, nanoseconds }.line())
        .map_err(|error| format!("the warden cannot be reached: {error}"))?;

    // When memory is short the program is chosen and the helper is not; one may go back to what one had.
    let mut adjust =
        |value: &str| badness.as_mut().map(|file| file.rewind().and_then(|()| file.write_all(value.as_bytes())));
    adjust("1000");
    let started = start(&order);
    adjust(before.trim());
    let (child, relay) = started.inspect_err(|_| confined.end_all())?;
    let ended = match relay {
        Some(relay) => guest::wait(control, child, &confined, relay),
        None => wait(control, child, &confined),
    };
    confined.end_all();
    let report = ended.map_err(|error| format!("the program's end is not known: {error}"))?;
    let _ = status.write_all(&report.line());
    Ok(())
}

fn limit(order: &Order) -> io::Result<()> {
    let both = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    // Neither a file nor a process of the machine that would take the dump; 0 would still start the latter.
    rustix::process::setrlimit(Resource::Core, both(1))?;
    if order.tier != Tier::Gvisor {
        // There it has no such limit; the filter refuses message queues.
        rustix::process::setrlimit(Resource::Msgqueue, both(0))?;
    }
    rustix::process::setrlimit(Resource::Fsize, both(order.file_bytes))?;
    rustix::process::setrlimit(Resource::Nofile, both(order.open_files.into()))?;
    rustix::process::setrlimit(Resource::Nproc, both(order.processes.into()))?;
    rustix::process::setrlimit(Resource::As, both(order.address_space))?;
    Ok(())
}

/// With what its output has to be passed on by, where that is the helper's to do.
fn start(order: &Order) -> Result<(Pid, Option<Relay>), String> {
    match &order.task {
        Task::Program { language, interpreter, environment, .. } => {
            let mut command = command(order, *language, interpreter, environment);
            let relay = (order.tier == Tier::Gvisor).then(|| Relay::new(&mut command)).transpose();
            let relay = relay.map_err(|error| format!("no pipe can be made: {error}"))?;
            let child = command.spawn();
            let child = child.map_err(|error| format!("`{}` cannot be executed: {error}", interpreter.display()))?;
            Ok((Pid::from_child(&child), relay))
        }
        Task::Operation { operation, room } => kernel::fork(|| match walls::raise_inner() {
            Ok(()) => operation::perform(operation, &order.workspace, *room),
            Err(_) => 103,
        })
        .map(|child| (child, None))
        .map_err(|error| format!("no process can be made: {error}")),
    }
}

fn command(order: &Order, language: Language, interpreter: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(interpreter);
    if language == Language::Python {
        // Output is seen when it is written.
        command.arg("-u");
    }
    command.arg(language.source_file()).stdin(Stdio::null()).env_clear();
    let temporary = match order.tier {
        Tier::Bwrap | Tier::Gvisor => "/tmp".into(),
        Tier::Landlock => order.workspace.clone(),
    };
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/.bin")
        .env("HOME", &order.workspace)
        .env("LANG", "C.UTF-8")
        .env("TMPDIR", temporary)
        .envs(environment.iter().map(|(name, value)| (name, value)));
    let last: fn() -> io::Result<()> = match order.tier {
        Tier::Gvisor => guest::leave,
        Tier::Bwrap | Tier::Landlock => walls::raise_inner,
    };
    kernel::before_exec(&mut command, last);
    command
}

/// The program's end, or the warden's wish.
fn wait(control: &File, child: Pid, confined: &Confined) -> io::Result<Report> {
    let process: OwnedFd = rustix::process::pidfd_open(child, PidfdFlags::empty())?;
    loop {
        let mut ready = [PollFd::new(control, PollFlags::IN), PollFd::new(&process, PollFlags::IN)];
        match poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_over = !ready[1].revents().is_empty();
        // Nothing is sent after the order: readable means closed.
        if !ready[0].revents().is_empty() && !is_over {
            confined.kill();
        }
        if is_over || !ready[0].revents().is_empty() {
            let (_, status) =
                rustix::process::waitpid(Some(child), WaitOptions::empty())?.ok_or(io::ErrorKind::NotFound)?;
            return Ok(report_of(status));
        }
    }
}

fn report_of(status: WaitStatus) -> Report {
    let status = std::process::ExitStatus::from_raw(status.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) => Report::Code(code),
        (None, Some(signal)) => Report::Signal(signal),
        (None, None) => Report::Failed("the program neither exited nor was killed".to_owned()),
    }
}

/// That "every process I may signal" means the run's own. Without it an ordinary user's whole session would be meant.
struct Confined(());

impl Confined {
    fn check(tier: Tier) -> Result<Self, String> {
        let parent = || rustix::process::getppid().ok_or("the warden is gone");
        let is_confined = match tier {
            // The first of a kernel that has nobody else's processes.
            Tier::Gvisor => rustix::process::getpid() == Pid::INIT,
            // `bwrap` is the first process of the namespace, and its first child is this one.
            Tier::Bwrap => parent()? == Pid::INIT && rustix::process::getpid().as_raw_nonzero().get() < 10,
            Tier::Landlock => rustix::process::test_kill_process(parent()?) == Err(rustix::io::Errno::PERM),
        };
        if is_confined { Ok(Self(())) } else { Err("signals would reach processes outside".to_owned()) }
    }

    fn kill(&self) {
        kernel::kill_all_others();
    }

    /// Orphans become children of this process, so that none is left when it has no child.
    fn end_all(&self) {
        loop {
            self.kill();
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}
