//! Which sandbox this machine can have. A tier counts only once something has run in it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::cgroup::Groups;
use crate::host::{Host, Options, Tier};
use crate::limits::Limits;
use crate::program::{Language, Program};
use crate::running::{End, Message, Reason};
use crate::sandbox::{Launcher, Parts, Sandbox, read_helper};
use crate::spawner::Spawner;
use crate::tree;
use crate::warden::Parking;
use crate::workspace::Workspaces;

/// Why nothing is run here: one sentence for each tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no sandbox for programs: {reason}")]
pub struct Unavailable {
    reason: String,
}

/// What the walls must keep, tried from inside.
const TRIAL: &str = r#"
import os, socket
def refused(what, attempt):
    try:
        attempt()
    except OSError:
        return
    raise SystemExit(what + " is not refused")
refused("reading /etc/passwd", lambda: open("/etc/passwd").close())
refused("reading /root", lambda: os.listdir("/root"))
refused("writing /usr", lambda: open("/usr/antiphon-sandbox", "w").close())
refused("a netlink socket", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())
refused("another root", lambda: os.chroot("."))
if 0 in (os.getuid(), os.geteuid()):
    raise SystemExit("it runs as root")
open("written", "w").write("x")
print("the walls hold")
"#;

impl Sandbox {
    /// Finds the strongest tier that works, by running a program in it. Takes up to some seconds; call it once, at
    /// the start, where it may block.
    ///
    /// # Errors
    /// No tier works, or none that the options allow. Nothing is ever run without one.
    pub fn probe(options: &Options) -> Result<Self, Unavailable> {
        Self::choose(options, &Host::detect())
    }

    /// As [`probe`](Self::probe), on what is said of the machine.
    ///
    /// # Errors
    /// As there.
    pub fn choose(options: &Options, host: &Host) -> Result<Self, Unavailable> {
        let unavailable = |reason: String| Unavailable { reason };
        let mut reasons = Vec::new();
        if options.minimum == Tier::Gvisor {
            return Self::gvisor(options, host).map_err(|reason| unavailable(format!("{}: {reason}", Tier::Gvisor)));
        }
        for tier in [Tier::Bwrap, Tier::Landlock] {
            if tier < options.minimum {
                reasons.push(format!("{tier}: the configuration asks for more"));
                continue;
            }
            let launcher = match tier {
                Tier::Landlock => Ok(Launcher::None),
                Tier::Bwrap | Tier::Gvisor => host.bwrap.clone().map(Launcher::Bwrap),
            };
            let built = launcher.and_then(|launcher| Self::build(launcher, options, host));
            match built.and_then(|sandbox| sandbox.try_out().map(|()| sandbox)) {
                Ok(sandbox) => {
                    for reason in reasons {
                        tracing::warn!(reason, "a stronger sandbox is not available");
                    }
                    return Ok(sandbox);
                }
                Err(reason) => reasons.push(format!("{tier}: {reason}")),
            }
        }
        Err(unavailable(reasons.join("; ")))
    }

    /// Tier 1 with kernels for the programs, once both have been tried.
    fn gvisor(options: &Options, host: &Host) -> Result<Self, String> {
        let runsc = host.runsc.clone()?;
        let failed = |reason: String| format!("for files {} is needed as well: {reason}", Tier::Bwrap);
        let files = Self::build(Launcher::Bwrap(host.bwrap.clone().map_err(failed)?), options, host).map_err(failed)?;
        files.try_out().map_err(failed)?;
        let sandbox = files.with_kernels(runsc).map_err(|error| format!("its root cannot be written: {error}"))?;
        sandbox.try_out().map(|()| sandbox)
    }

    fn build(launcher: Launcher, options: &Options, host: &Host) -> Result<Self, String> {
        let least = match launcher {
            Launcher::Bwrap(_) | Launcher::Runsc { .. } => 1,
            Launcher::None => 6,
        };
        if host.landlock < least {
            return Err(match host.landlock {
                0 => "this kernel has no Landlock, or it is switched off".to_owned(),
                version => format!("this kernel's Landlock has version {version}, and {least} is needed"),
            });
        }
        if !tree::can_be_followed() {
            return Err("this kernel does not tell the children of a process in `/proc`".to_owned());
        }
        let helper = read_helper(&options.helper)
            .map_err(|error| format!("the helper `{}` cannot be read: {error}", options.helper.display()))?;
        let parts = Parts {
            parking: Parking::default(),
            launcher,
            helper: Arc::new(helper),
            python: host.python.clone()?,
            bash: host.bash.clone()?,
            uids: options.uids(),
            groups: Groups::detect(),
            workspaces: Arc::new(Workspaces::open(&options.folder)?),
            spawner: Spawner::start().map_err(|error| format!("no thread can be started: {error}"))?,
        };
        Ok(Self::new(parts))
    }

    fn try_out(&self) -> Result<(), String> {
        let program = Program::new(Language::Python, TRIAL).map_err(|error| error.to_string())?;
        // Patient, for a busy machine is no reason to refuse.
        let limits = Limits { wall: Duration::from_secs(60), ..Limits::default() };
        let mut running = self.run(program, limits).map_err(|error| error.to_string())?;
        // On a thread of its own, since a caller's may belong to an async runtime, which forbids to block on this.
        let read = move || {
            let mut said = String::new();
            while let Some(message) = running.messages.blocking_recv() {
                match message {
                    Message::Output { text, .. } => said.extend(text.chars().take(1000)),
                    Message::Finished(finished) => return (said, Some(finished)),
                }
            }
            (said, None)
        };
        let (said, finished) = thread::spawn(read).join().map_err(|_| "the trial's thread has ended")?;
        let exit = finished.ok_or("the trial was lost")?.exit().clone();
        match (exit.reason, exit.end) {
            (Reason::Exited, End::Code(0)) if said.trim() == "the walls hold" => Ok(()),
            (Reason::Failed(reason), _) => Err(reason),
            (reason, end) => Err(format!("a trial ended with {reason:?}, {end:?}: {}", said.trim())),
        }
    }
}
