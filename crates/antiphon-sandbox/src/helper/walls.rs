//! Landlock: which files the program may touch, and whom it may signal or connect to.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use crate::host::Tier;
use crate::launch;
use crate::network::CERTIFICATES;
use crate::order::Order;

/// The version that tier 2 needs whole: it is the first that confines signals and abstract sockets.
const WHOLE: ABI = ABI::V6;

/// The helper's own domain, and with it the program's.
pub(super) fn raise(order: &Order) -> Result<(), String> {
    if order.tier == Tier::Gvisor {
        // It has no Landlock. Nothing of the machine is there to be touched.
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| format!("Landlock cannot be set up: {error}");
    let level = match order.tier {
        Tier::Landlock => CompatLevel::HardRequirement,
        // Here it stands behind the namespaces, and takes what the kernel has.
        Tier::Bwrap | Tier::Gvisor => CompatLevel::BestEffort,
    };
    let mut ruleset = Ruleset::default().set_compatibility(level);
    ruleset = ruleset.handle_access(AccessFs::from_all(WHOLE)).map_err(|error| failed(&error))?;
    if order.tier == Tier::Landlock {
        // In a network namespace a program may serve itself.
        ruleset = ruleset.handle_access(AccessNet::from_all(WHOLE)).map_err(|error| failed(&error))?;
    }
    ruleset = ruleset.scope(Scope::from_all(WHOLE)).map_err(|error| failed(&error))?;
    let mut created = ruleset.create().map_err(|error| failed(&error))?;
    for (path, access) in allowed(order) {
        // What this machine lacks needs no rule.
        let Ok(place) = PathFd::new(&path) else { continue };
        // Rights over folders mean nothing for a file, and are refused for one.
        let access = if Path::new(&path).is_dir() { access } else { access & AccessFs::from_file(WHOLE) };
        created = created.add_rule(PathBeneath::new(place, access)).map_err(|error| failed(&error))?;
    }
    let status = created.restrict_self().map_err(|error| failed(&error))?;
    match (order.tier, status.ruleset) {
        (_, RulesetStatus::FullyEnforced) | (Tier::Bwrap, RulesetStatus::PartiallyEnforced) => Ok(()),
        (Tier::Landlock | Tier::Gvisor, RulesetStatus::PartiallyEnforced) | (_, RulesetStatus::NotEnforced) => {
            Err("Landlock does not enforce what was asked of it".to_owned())
        }
    }
}

/// The program's domain inside the helper's: it may signal its own descendants, and the helper no more.
pub(super) fn raise_inner() -> io::Result<()> {
    // Every domain forbids to move files from one folder to another, unless it says otherwise. The helper's does, for
    // the places that may be written at all.
    let anywhere = PathBeneath::new(PathFd::new("/").map_err(io::Error::other)?, AccessFs::Refer);
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::Refer);
    let ruleset = ruleset.and_then(|ruleset| ruleset.scope(Scope::Signal)).and_then(Ruleset::create);
    let status = ruleset.and_then(|created| created.add_rule(anywhere)).and_then(RulesetCreated::restrict_self);
    status.map(|_| ()).map_err(io::Error::other)
}

fn allowed(order: &Order) -> Vec<(String, BitFlags<AccessFs>)> {
    let everything = AccessFs::from_all(WHOLE);
    let made: BitFlags<AccessFs> = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    let work = everything & !made;
    let read = AccessFs::from_read(WHOLE);
    let only_read = read & !BitFlags::from(AccessFs::Execute);
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let mut rules = vec![("/usr".to_owned(), read), (order.workspace.to_string_lossy().into_owned(), work)];
    rules.extend(launch::system_folders().into_iter().map(|(folder, _)| (folder.to_owned(), read)));
    rules.extend(launch::shown_of_etc().map(|path| (path.to_owned(), only_read)));
    match order.tier {
        Tier::Bwrap | Tier::Gvisor => {
            rules.extend([("/tmp".to_owned(), work), ("/proc".to_owned(), only_read)]);
            // Of a program that has a network.
            rules.push((CERTIFICATES.to_owned(), only_read));
            // All that `bwrap` puts there are harmless devices, and new pseudo terminals of the program's own.
            let terminals = only_read | AccessFs::WriteFile | AccessFs::IoctlDev;
            rules.extend([("/dev".to_owned(), terminals), ("/dev/shm".to_owned(), work)]);
        }
        Tier::Landlock => {
            for name in ["null", "zero", "full", "random", "urandom"] {
                rules.push((format!("/dev/{name}"), device));
            }
        }
    }
    rules
}
