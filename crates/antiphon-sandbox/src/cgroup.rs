//! A control group for the memory of one run, where the server may make one.
//!
//! Processes need none: each run has its own uid under a server that is root, and its own user namespace in tier 1.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const PREFIX: &str = "antiphon-sandbox-";

/// How often a group is tried to be removed, once in two milliseconds.
const LEAVING: u32 = 500;

/// Where groups are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Groups {
    One(PathBuf),
    Two(PathBuf),
}

/// One run's group; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    groups: Groups,
}

impl Groups {
    /// Makes a group to see that it can, so that what is found works.
    pub(crate) fn detect() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let root = Path::new("/sys/fs/cgroup");
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let found = Self::below(root, &own)?;
        found.sweep();
        let works = found.make().and_then(|group| group.limit(64 << 20)).is_ok();
        works.then_some(found)
    }

    /// Version 1 below the server's own group, whose limits then hold for the run too. In version 2 a group that
    /// holds processes cannot pass its memory on, so there it is below the root.
    fn below(root: &Path, own: &str) -> Option<Self> {
        if root.join("memory/cgroup.procs").exists() {
            let path = own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers.split(',').any(|name| name == "memory").then_some(path)
            });
            let inside = root.join("memory").join(path.unwrap_or_default().trim_start_matches('/'));
            // Inside a group's namespace the path may lead outside of it.
            return Some(Self::One(if inside.is_dir() { inside } else { root.join("memory") }));
        }
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).ok()?;
        controllers.split_whitespace().any(|name| name == "memory").then_some(())?;
        let parent = root.join("antiphon-sandbox");
        fs::create_dir_all(&parent).ok()?;
        for folder in [root, &parent] {
            fs::write(folder.join("cgroup.subtree_control"), "+memory").ok()?;
        }
        Some(Self::Two(parent))
    }

    /// A group without a limit yet.
    pub(crate) fn make(&self) -> io::Result<Group> {
        // Of the process, which may have several sandboxes.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let folder = self.parent().join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => break folder,
                // Of an earlier process with this number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        Ok(Group { folder, groups: self.clone() })
    }

    fn parent(&self) -> &Path {
        let (Self::One(parent) | Self::Two(parent)) = self;
        parent
    }

    /// Removes what servers that are gone have left.
    fn sweep(&self) {
        for entry in fs::read_dir(self.parent()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let server = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
            if server.is_some_and(|server| !Path::new("/proc").join(server).exists()) {
                // It fails while something is left in it.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

impl Group {
    /// What a process writes `0` to in order to enter.
    pub(crate) fn entrance(&self) -> io::Result<OwnedFd> {
        Ok(File::options().write(true).open(self.folder.join("cgroup.procs"))?.into())
    }

    /// Bounds the memory of everything in it; once, since version 1 takes a greater number afterwards in another order.
    pub(crate) fn limit(&self, memory: u64) -> io::Result<()> {
        let limit = memory.to_string();
        match self.groups {
            Groups::One(_) => {
                self.write("memory.limit_in_bytes", &limit)?;
                // Where swap is counted; it follows the other limit.
                let _ = self.write("memory.memsw.limit_in_bytes", &limit);
            }
            Groups::Two(_) => {
                self.write("memory.max", &limit)?;
                self.write("memory.oom.group", "1")?;
                let _ = self.write("memory.swap.max", "0");
            }
        }
        Ok(())
    }

    /// Whether the kernel has killed something in it for want of memory.
    pub(crate) fn ran_out(&self) -> bool {
        let file = match self.groups {
            Groups::One(_) => "memory.oom_control",
            Groups::Two(_) => "memory.events",
        };
        fs::read_to_string(self.folder.join(file)).is_ok_and(|text| has_killed(&text))
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.folder.join(file), value)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Processes leave it a moment after they have ended.
        let mut result = fs::remove_dir(&self.folder);
        for _ in 0..LEAVING {
            if result.is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(2));
            result = fs::remove_dir(&self.folder);
        }
        if let Err(error) = result {
            tracing::warn!(folder = %self.folder.display(), %error, "a sandbox's control group cannot be removed");
        }
    }
}

fn has_killed(text: &str) -> bool {
    text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn killing_is_told_from_pressure() {
        let check = |text: &str, expected| assert_eq!(has_killed(text), expected, "{text}");
        check("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", false);
        check("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", true);
        check("low 0\nhigh 0\nmax 31\noom 1\noom_kill 0\noom_group_kill 0\n", false);
        check("low 0\nhigh 0\nmax 31\noom 1\noom_kill 1\noom_group_kill 1\n", true);
    }

    #[test]
    fn groups_are_found_where_the_server_is() {
        let root = tempfile::tempdir().unwrap();
        let own = "5:cpu:/other\n4:memory:/a/b\n0::/\n";
        assert_eq!(Groups::below(root.path(), own), None);

        fs::write(root.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        let two = Groups::below(root.path(), own);
        assert_eq!(two, Some(Groups::Two(root.path().join("antiphon-sandbox"))));
        for folder in ["", "antiphon-sandbox"] {
            let control = root.path().join(folder).join("cgroup.subtree_control");
            assert_eq!(fs::read_to_string(control).unwrap(), "+memory");
        }

        fs::create_dir_all(root.path().join("memory/a/b")).unwrap();
        fs::write(root.path().join("memory/cgroup.procs"), "").unwrap();
        assert_eq!(Groups::below(root.path(), own), Some(Groups::One(root.path().join("memory/a/b"))));
        assert_eq!(Groups::below(root.path(), "4:memory:/gone\n"), Some(Groups::One(root.path().join("memory"))));
    }
}
