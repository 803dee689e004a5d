//! A process and everything that descends from it, as `/proc` shows it.

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::os::linux::fs::MetadataExt as _;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// More than any run may have: a tree that is larger is not looked at further.
const PROCESSES: usize = 16_384;

/// Whether this kernel tells the children of a process, without which a tree cannot be followed.
pub(crate) fn can_be_followed() -> bool {
    fs::exists(format!("/proc/self/task/{}/children", std::process::id())).unwrap_or(false)
}

/// The descendants, not the process itself. One that is born meanwhile may be missing.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(process) = open.pop() {
        let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
                found.push(child);
                open.push(child);
            }
        }
        if found.len() > PROCESSES {
            break;
        }
    }
    found
}

/// Bytes of memory that the descendants hold and no file could give back. What forks share is counted for each.
pub(crate) fn resident_bytes(root: u32) -> u64 {
    descendants(root).into_iter().map(|process| resident(process).unwrap_or(0)).sum()
}

/// As [`resident_bytes`], where the memory of programs is a file without a name that several processes map: what is in
/// such files counts once.
pub(crate) fn guest_bytes(root: u32) -> u64 {
    let mut seen = HashSet::new();
    let mut bytes = 0_u64;
    for process in descendants(root) {
        bytes = bytes.saturating_add(status_bytes(process, &["RssAnon:"]).unwrap_or(0));
        let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else { continue };
        for path in descriptors.flatten().map(|descriptor| descriptor.path()) {
            let is_memory =
                fs::read_link(&path).is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"));
            let Ok(about) = fs::metadata(&path) else { continue };
            if is_memory && seen.insert((about.st_dev(), about.st_ino())) {
                bytes = bytes.saturating_add(about.st_blocks().saturating_mul(512));
            }
        }
    }
    bytes
}

fn resident(process: u32) -> Option<u64> {
    status_bytes(process, &["RssAnon:", "RssShmem:"])
}

fn status_bytes(process: u32, lines: &[&str]) -> Option<u64> {
    let mut status = String::new();
    fs::File::open(format!("/proc/{process}/status")).ok()?.take(16_384).read_to_string(&mut status).ok()?;
    let kilobytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Some(lines.iter().map(|name| kilobytes(name)).sum::<u64>().saturating_mul(1024))
}

/// Bytes of files on a device that the descendants hold open and that have no name any more.
pub(crate) fn unlinked_bytes(root: u32, device: u64) -> u64 {
    let mut seen = HashSet::new();
    let mut bytes = 0_u64;
    for process in descendants(root) {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let Ok(about) = fs::metadata(descriptor.path()) else { continue };
            if about.st_dev() == device && about.st_nlink() == 0 && seen.insert(about.st_ino()) {
                bytes = bytes.saturating_add(about.st_blocks().saturating_mul(512));
            }
        }
    }
    bytes
}

/// Kills the descendants. Whether there were any.
pub(crate) fn kill_descendants(root: u32) -> bool {
    let found = descendants(root);
    for process in &found {
        let Some(pid) = i32::try_from(*process).ok().and_then(Pid::from_raw) else { continue };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The number may have changed hands before the handle was taken, but not since.
        if descendants(root).contains(process) {
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
    !found.is_empty()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_tree_is_followed_and_felled() {
        assert!(can_be_followed());
        let mut child = Command::new("/bin/sh")
            .args(["-c", "/bin/sh -c 'echo ready; exec tail -f /dev/null' & wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(descendants(child.id()).len(), 1);
        assert!(resident_bytes(std::process::id()) > 0);
        assert!(kill_descendants(child.id()));
        // Its shell was waiting for the one that was killed.
        child.wait().unwrap();
        assert!(!kill_descendants(child.id()));
    }
}
