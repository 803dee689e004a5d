//! What a program that decodes can get at, beside its input and output: itself and its libraries. No file of a user's,
//! and nobody on any network.
//!
//! The kernel's Landlock does this for any user. Where it is missing, the limits of the process still hold.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
};

/// Where programs are installed, and what finds their libraries.
const INSTALLED: [&str; 9] =
    ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/gnu/store", "/etc/ld.so.cache"];

/// The newest version of Landlock of which something is used.
const NEWEST: ABI = ABI::V4;

/// Raises them around this process and what it becomes.
///
/// # Errors
/// When the kernel refuses what it knows.
pub(super) fn raise(program: &Path) -> Result<(), RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .create()?;
    // One that somebody has put elsewhere, by itself or with its libraries beside it.
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let libraries = program.parent().and_then(Path::parent).map(|folder| folder.join("lib"));
    let own = [Some(program), libraries].into_iter().flatten();
    for place in INSTALLED.iter().map(PathBuf::from).chain(own) {
        // What this machine lacks needs no rule.
        let Ok(opened) = PathFd::new(&place) else { continue };
        let read = AccessFs::from_read(NEWEST);
        // Rights over folders mean nothing for a file.
        let read = if place.is_dir() { read } else { read & AccessFs::from_file(NEWEST) };
        ruleset = ruleset.add_rule(PathBeneath::new(opened, read))?;
    }
    ruleset.restrict_self().map(drop)
}
