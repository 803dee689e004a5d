//! The command that starts a run: `bwrap` with its view for tier 1, the helper itself for tier 2. What gVisor is told
//! is beside it.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, RawFd};
use std::path::Path;

use rustix::fs::Dir;

use crate::folder;
use crate::network::CERTIFICATES;

/// Memory that the program can fill as files, beside the workspace.
pub(crate) const TMP_BYTES: u64 = 64 << 20;
pub(crate) const SHM_BYTES: u64 = 16 << 20;

/// Where the program finds its workspace where it has a view of its own.
pub(crate) const WORKSPACE: &str = "/workspace";

/// In a workspace, what its programs find at their root, beside it.
pub(crate) const ROOT: &str = ".root";

/// Of what is there, the first by name.
const BESIDE: usize = 256;

/// Names at the root that the view has itself, or that programs expect the system's files under. So are those that
/// begin with `lib` or `.`.
const SYSTEM: [&str; 10] = ["bin", "dev", "etc", "proc", "run", "sbin", "sys", "tmp", "usr", "workspace"];

/// The machine's `python3` under the name that most programs are written for and many systems do not have.
pub(crate) const PYTHON: (&str, &str) = ("/usr/bin/python3", "/.bin/python");

/// What is shown of `/etc`, where it exists: nothing that tells of the machine's people or services.
const ETC: [&str; 2] = ["/etc/ld.so.cache", "/etc/alternatives"];

/// The helper by its descriptor, which survives any change of the file it came from.
pub(crate) fn helper_path(helper: RawFd) -> OsString {
    format!("/proc/self/fd/{helper}").into()
}

/// What the helper is told on its command line: everything else comes through the control pipe.
pub(crate) fn helper_arguments(control: RawFd, status: RawFd, door: Option<RawFd>) -> impl Iterator<Item = OsString> {
    [Some(control), Some(status), door].into_iter().flatten().map(|number| number.to_string().into())
}

/// Folders of the root that are links into `/usr` on most systems, and folders on some.
pub(crate) fn system_folders() -> Vec<(&'static str, Option<std::path::PathBuf>)> {
    ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]
        .into_iter()
        .filter_map(|folder| {
            let about = std::fs::symlink_metadata(folder).ok()?;
            if about.is_symlink() {
                Some((folder, Some(std::fs::read_link(folder).ok()?)))
            } else {
                about.is_dir().then_some((folder, None))
            }
        })
        .collect()
}

pub(crate) fn shown_of_etc() -> impl Iterator<Item = &'static str> {
    ETC.into_iter().filter(|path| Path::new(path).exists())
}

/// The names of what a workspace has for the root of its programs' view. A program may have written them, and none may
/// be at work there. Each is a link there, back into the workspace: what it leads to is resolved inside alone.
pub(crate) fn beside(workspace: impl AsFd) -> Vec<String> {
    // One that is closed, or no folder, is the matter of whoever made it so.
    let name = CString::new(ROOT).unwrap_or_default();
    let opened = folder::open_below(workspace, &name).and_then(|folder| Ok(Dir::new(folder)?));
    let Ok(entries) = opened else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()));
    let is_free = |name: &String| {
        let is_system = SYSTEM.contains(&name.as_str()) || name.starts_with("lib") || name.starts_with('.');
        !is_system && !name.contains(char::is_control)
    };
    let mut names: Vec<_> = names.filter(is_free).collect();
    names.sort_unstable();
    names.truncate(BESIDE);
    names
}

/// The link at the root for such a name, and what it leads to.
pub(crate) fn link_beside(name: &str) -> (String, String) {
    (format!("/{name}"), format!("{WORKSPACE}/{ROOT}/{name}"))
}

/// The arguments of `bwrap`, up to the command. Everything ends read-only but the workspace, `/tmp` and `/dev/shm`.
/// `beside` are names of [`beside`]; `certificates` is read from its descriptor.
pub(crate) fn bwrap_arguments(workspace: &Path, beside: &[String], certificates: Option<RawFd>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    add(&["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"]);
    // Inside nobody makes a user namespace, and with it rights over one.
    add(&["--disable-userns", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]);
    add(&["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]);
    add(&["--ro-bind", "/usr", "/usr"]);
    for (folder, link) in system_folders() {
        match link.as_deref().map(Path::to_str) {
            Some(Some(target)) => add(&["--symlink", target, folder]),
            Some(None) => {}
            None => add(&["--ro-bind", folder, folder]),
        }
    }
    add(&["--symlink", PYTHON.0, PYTHON.1]);
    for (link, target) in beside.iter().map(|name| link_beside(name)) {
        add(&["--symlink", &target, &link]);
    }
    // The settings of the kernel are writable through a new `proc`, for whoever the kernel takes for root.
    add(&["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]);
    add(&["--size", &SHM_BYTES.to_string(), "--perms", "1777", "--tmpfs", "/dev/shm"]);
    add(&["--size", &TMP_BYTES.to_string(), "--perms", "1777", "--tmpfs", "/tmp", "--dir", "/etc"]);
    for path in shown_of_etc() {
        add(&["--ro-bind", path, path]);
    }
    if let Some(certificates) = certificates {
        add(&["--ro-bind-data", &certificates.to_string(), CERTIFICATES]);
    }
    arguments.extend(["--bind".into(), workspace.into(), WORKSPACE.into()]);
    // `bwrap` makes both of memory without a bound.
    arguments.extend(["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORKSPACE, "--"].map(OsString::from));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_closed_last() {
        let arguments = bwrap_arguments(Path::new("/a/b"), &["data".to_owned()], Some(9));
        let place = |word: &str| arguments.iter().rposition(|argument| argument == word).unwrap();
        assert!(place("--remount-ro") > place("--bind"));
        assert!(place("--remount-ro") > place("--tmpfs"));
        assert!(place("--remount-ro") > place("--ro-bind"));
        assert!(place("--remount-ro") > place("--ro-bind-data"));
        let system = arguments.windows(3).filter(|words| words[0] == "--ro-bind" && words[1] == "/proc/sys");
        assert_eq!(system.count(), 1);
        for word in ["--unshare-net", "--unshare-pid", "--disable-userns", "--die-with-parent", "--new-session"] {
            assert!(arguments.iter().any(|argument| argument == word), "{word}");
        }
        assert!(!arguments.iter().any(|argument| argument == "--share-net" || argument == "--cap-add"));
    }
}
