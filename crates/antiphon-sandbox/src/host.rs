//! What this machine has for a sandbox, and what the operator wants of it.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{kernel, uid};

/// How strong the walls are. The greater, the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Tier 2: Landlock, seccomp and resource limits. The program sees the machine, and may touch none of it.
    Landlock,
    /// Tier 1: namespaces by `bwrap`, and all of tier 2 inside. The program sees nothing of the machine.
    Bwrap,
    /// Programs in a kernel of their own, by gVisor's `runsc`; work on files in tier 1. Taken only where it is asked
    /// for: a program waits longer for it, and has no network.
    Gvisor,
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Landlock => "tier 2 (Landlock)",
            Self::Bwrap => "tier 1 (bwrap)",
            Self::Gvisor => "gVisor (runsc)",
        })
    }
}

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// `antiphon-sandbox-init`. It is read once, and a file that takes its place later is not run.
    pub helper: PathBuf,
    /// Where fresh workspaces are made. It is created when missing; it has to be the server's own, and for a server
    /// that is root other users must be able to pass to it.
    pub folder: PathBuf,
    /// Less than this is refused. More than tier 1 is not tried unless it is asked for.
    pub minimum: Tier,
    /// Which uids a server that is root runs programs as, one for each run; nobody else may have them. `None` takes
    /// 2,000,000,000 and the 65,535 after it, or 60,000 to 60,999 where those are not mapped.
    pub uids: Option<Range<u32>>,
}

/// What the machine has. Found by [`Host::detect`]; a test makes its own.
#[derive(Debug, Clone)]
pub struct Host {
    /// Or why it cannot be used.
    pub bwrap: Result<PathBuf, String>,
    /// Or why it cannot be used.
    pub runsc: Result<PathBuf, String>,
    /// The version of Landlock's interface; 0 when there is none.
    pub landlock: u32,
    /// Python below `/usr`, where programs can see it, or why there is none.
    pub python: Result<PathBuf, String>,
    pub bash: Result<PathBuf, String>,
}

impl Host {
    pub fn detect() -> Self {
        Self {
            bwrap: launcher("bwrap", "bubblewrap"),
            runsc: launcher("runsc", "runsc"),
            landlock: kernel::landlock_abi(),
            python: below_usr("python3"),
            bash: below_usr("bash"),
        }
    }
}

impl Options {
    pub(crate) fn uids(&self) -> Range<u32> {
        self.uids.clone().unwrap_or_else(uid::default_range)
    }
}

/// From fixed places and not from `PATH`, since it is started with all the rights there are to lose.
fn launcher(name: &str, package: &str) -> Result<PathBuf, String> {
    let places = ["/usr/bin", "/usr/local/bin", "/bin"].map(|folder| Path::new(folder).join(name));
    let found = places.into_iter().find(|at| at.exists());
    let path = found.ok_or_else(|| format!("`{name}` is not installed (Debian's package is `{package}`)"))?;
    let about = fs::metadata(&path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    if about.mode() & 0o6000 != 0 {
        return Err(format!("`{}` is setuid, which keeps it from making user namespaces of its own", path.display()));
    }
    Ok(path)
}

/// The file itself, with links resolved: what they go through may not be there inside.
fn below_usr(name: &str) -> Result<PathBuf, String> {
    let found = ["/usr/bin", "/usr/local/bin"]
        .into_iter()
        .filter_map(|folder| fs::canonicalize(Path::new(folder).join(name)).ok())
        .find(|path| path.starts_with("/usr"));
    found.ok_or_else(|| {
        format!("there is no `{name}` in `/usr/bin` or `/usr/local/bin`; programs see nothing outside of `/usr`")
    })
}
