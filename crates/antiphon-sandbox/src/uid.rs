//! Whom a program runs as: never root of the machine.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::FlockOperation;

/// Every server on the machine leases from the same place, so that no two programs share a uid.
const LEASES: &str = "/run/antiphon-sandbox";

/// Whom a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// As the server, which is no root.
    Own,
    Reserved(u32),
}

/// An identity, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Lease {
    identity: Identity,
    // Its lock is the lease.
    _file: Option<File>,
}

impl Lease {
    /// The wanted uid if it is of the range and free, else any free one.
    pub(crate) fn take(range: &Range<u32>, wanted: Option<u32>) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { identity: Identity::Own, _file: None });
        }
        if range.is_empty() || range.start == 0 {
            return Err(format!("uids {} to {} are no range of reserved uids", range.start, range.end));
        }
        let folder = Path::new(LEASES);
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(format!("`{LEASES}` cannot be made: {error}"));
            }
            Ok(()) | Err(_) => {}
        }
        // Servers that start at the same place would ask for each other's.
        let length = range.end - range.start;
        let offset = std::process::id().wrapping_mul(97) % length;
        let others = (0..length.min(4096)).map(|index| range.start + (offset + index) % length);
        for uid in wanted.filter(|uid| range.contains(uid)).into_iter().chain(others) {
            let file = File::options().create(true).truncate(false).write(true).open(folder.join(uid.to_string()));
            let file = file.map_err(|error| format!("`{LEASES}/{uid}` cannot be opened: {error}"))?;
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(Self { identity: Identity::Reserved(uid), _file: Some(file) });
            }
        }
        Err("every reserved uid is in use".to_owned())
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }
}

/// Above what `systemd` and `subuid` give out; in a container with few uids, above what distributions do.
pub(crate) fn default_range() -> Range<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let preferred = 2_000_000_000..2_000_065_536;
    if maps(&map, &preferred) { preferred } else { 60_000..61_000 }
}

fn maps(map: &str, range: &Range<u32>) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        let (inside, _, length) = (numbers.next(), numbers.next(), numbers.next());
        inside.zip(length).is_some_and(|(inside, length)| {
            inside <= u64::from(range.start) && u64::from(range.end) <= inside.saturating_add(length)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_mapped_as_a_whole() {
        let check = |map: &str, expected| assert_eq!(maps(map, &(1_000..2_000)), expected, "{map}");
        check("         0          0 4294967295", true);
        check("0 100000 65536", true);
        check("0 100000 1999", false);
        check("1500 0 9000", false);
        check("0 0 1\n1 100000 65536", true);
        check("", false);
    }

    #[test]
    fn a_user_runs_programs_as_itself() {
        if rustix::process::geteuid().is_root() {
            let range = 2_000_100_000..2_000_100_002;
            let first = Lease::take(&range, Some(2_000_100_001)).unwrap();
            assert_eq!(first.identity(), Identity::Reserved(2_000_100_001));
            let second = Lease::take(&range, Some(2_000_100_001)).unwrap();
            assert_eq!(second.identity(), Identity::Reserved(2_000_100_000));
            assert_eq!(Lease::take(&range, None).map(|_| ()), Err("every reserved uid is in use".to_owned()));
            drop(first);
            assert_eq!(Lease::take(&range, None).unwrap().identity(), Identity::Reserved(2_000_100_001));
            assert!(Lease::take(&(0..10), None).is_err());
        } else {
            assert_eq!(Lease::take(&(1..2), None).unwrap().identity(), Identity::Own);
        }
    }
}
