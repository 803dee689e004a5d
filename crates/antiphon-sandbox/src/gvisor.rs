//! Programs in a kernel of their own: what `runsc` is told of a run, and where it keeps what it knows of it.
//!
//! It is started without any rights of the server's, as `bwrap` is, and serves the program's calls itself; the files it
//! is shown are opened for it by a second process, which can reach nothing else. Of descriptors it passes on the first
//! three alone, so that the helper's order and its reports share a socket in the place of the standard input.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::folder;
use crate::launch::{self, SHM_BYTES, TMP_BYTES, WORKSPACE};
use crate::uid::Identity;
use crate::workspace::{self, Fresh, Workspaces};

/// Memory that gVisor takes for itself beside what its programs have: 19 MiB for a small one.
pub(crate) const OWN_BYTES: u64 = 64 << 20;

/// The helper, as it is called inside.
const HELPER: &str = ".init";

/// What runs see at their root, but for what is mounted there. It goes with the workspaces.
pub(crate) fn root(workspaces: &Workspaces, helper: &OwnedFd) -> io::Result<PathBuf> {
    let root = workspaces.folder().join("root");
    fs::create_dir(&root)?;
    furnish(&root)?;
    // From the sealed memory, so that it is what was read at the start.
    let mut from = File::open(launch::helper_path(helper.as_raw_fd()))?;
    io::copy(&mut from, &mut File::create_new(root.join(HELPER))?)?;
    fs::set_permissions(root.join(HELPER), fs::Permissions::from_mode(0o555))?;
    Ok(root)
}

/// The same for one run, whose workspace has something for its root. The helper is that of all.
fn own_root(workspaces: &Arc<Workspaces>, root: &Path, beside: &[String]) -> io::Result<Fresh> {
    let own = workspaces.fresh()?;
    furnish(own.path())?;
    for (link, target) in beside.iter().map(|name| launch::link_beside(name)) {
        symlink(target, own.path().join(link.trim_start_matches('/')))?;
    }
    fs::hard_link(root.join(HELPER), own.path().join(HELPER))?;
    Ok(own)
}

/// Links, and places to mount at, which `runsc` would have to make itself.
fn furnish(root: &Path) -> io::Result<()> {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    let (python, python_link) = launch::PYTHON;
    let mut folders = vec![".bin", "etc", "dev", "proc", "sys", "tmp", "usr", WORKSPACE];
    folders.extend(shown_folders());
    folders.extend(launch::shown_of_etc().filter(|path| Path::new(path).is_dir()));
    // Whatever is taken from new files: programs of other users have to pass.
    let open = |folder: &Path| fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
    open(root)?;
    for folder in folders.into_iter().map(below) {
        fs::create_dir(&folder)?;
        open(&folder)?;
    }
    for path in launch::shown_of_etc().filter(|path| !Path::new(path).is_dir()) {
        File::create_new(below(path))?;
    }
    for (name, target) in launch::system_folders().into_iter().filter_map(|(name, link)| Some((name, link?))) {
        symlink(target, below(name))?;
    }
    symlink(python, below(python_link))
}

/// The folder of one run, which is deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct Bundle {
    folder: Fresh,
    /// What it has at its root, if that is not what all have.
    _root: Option<Fresh>,
}

impl Bundle {
    /// Whoever runs the program has to be able to read and write it. `root` is that of all, `beside` are names of
    /// [`launch::beside`].
    pub(crate) fn new(
        workspaces: &Arc<Workspaces>,
        root: &Path,
        workspace: &Path,
        beside: &[String],
        identity: Identity,
    ) -> io::Result<Self> {
        let own = (!beside.is_empty()).then(|| own_root(workspaces, root, beside)).transpose()?;
        let configuration = configuration(own.as_ref().map_or(root, Fresh::path), workspace);
        let bundle = Self { folder: workspaces.fresh()?, _root: own };
        fs::create_dir(bundle.state())?;
        fs::write(bundle.path().join("config.json"), serde_json::to_vec(&configuration)?)?;
        if let Identity::Reserved(uid) = identity {
            folder::hand_over(workspace::open(bundle.path())?, uid)?;
        }
        Ok(bundle)
    }

    /// What follows the executable on the command line.
    pub(crate) fn arguments(&self) -> io::Result<Vec<OsString>> {
        let about = fs::metadata(self.path())?;
        // Known to the whole machine, and this folder is there only once.
        let name = format!("antiphon-{}-{}", about.dev(), about.ino());
        let mut arguments: Vec<OsString> = vec!["--root".into(), self.state().into()];
        arguments.extend(["--rootless", "--ignore-cgroups", "--network=none", "--platform=ptrace"].map(OsString::from));
        arguments.extend(["run".into(), "--bundle".into(), self.path().into(), name.into()]);
        Ok(arguments)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn state(&self) -> PathBuf {
        self.path().join("state")
    }
}

/// Folders of the machine's root beside `/usr`, where they are no links into it.
fn shown_folders() -> impl Iterator<Item = &'static str> {
    launch::system_folders().into_iter().filter(|(_, link)| link.is_none()).map(|(folder, _)| folder)
}

/// As the runtime specification of the Open Container Initiative has it.
fn configuration(root: &Path, workspace: &Path) -> Value {
    let shown = |place: &str, source: &Path, options: &[&str]| json!({"destination": place, "type": "bind", "source": source, "options": options});
    let memory = |place: &str, options: &[String]| json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options});
    let sized = |bytes: u64| ["nosuid".to_owned(), "mode=1777".to_owned(), format!("size={bytes}")];
    let closed = ["ro".to_owned(), "nosuid".to_owned()];
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "nodev", "noexec"]}),
        // No device could be written to if it were closed. gVisor gives it no bound of its own: what a program puts there is
        // memory, and counts as that.
        memory("/dev", &["nosuid".to_owned(), "noexec".to_owned()]),
        memory("/sys", &closed),
        memory("/dev/shm", &sized(SHM_BYTES)),
        memory("/tmp", &sized(TMP_BYTES)),
        shown("/usr", Path::new("/usr"), &["ro", "nosuid"]),
        shown(WORKSPACE, workspace, &["rw", "nosuid"]),
    ];
    mounts.extend(
        shown_folders().chain(launch::shown_of_etc()).map(|path| shown(path, Path::new(path), &["ro", "nosuid"])),
    );
    let namespaces = ["pid", "ipc", "uts", "mount", "network"].map(|kind| json!({"type": kind}));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "args": [format!("/{HELPER}")],
            "cwd": "/",
            "env": ["PATH=/usr/bin:/bin"],
            // The only user there is outside; the helper makes another of it before it starts a program.
            "user": {"uid": 0, "gid": 0},
            "capabilities": {},
            "noNewPrivileges": true,
        },
        "root": {"path": root, "readonly": true},
        "hostname": "sandbox",
        "mounts": mounts,
        "linux": {"namespaces": namespaces},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_workspace_and_memory_can_be_written() {
        let configuration = configuration(Path::new("/r"), Path::new("/a/b"));
        assert_eq!(configuration["root"]["readonly"], true);
        assert_eq!(configuration["process"]["capabilities"], json!({}));
        let writable: Vec<_> = configuration["mounts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|mount| !mount["options"].as_array().unwrap().contains(&json!("ro")))
            .map(|mount| mount["destination"].as_str().unwrap())
            .collect();
        assert_eq!(writable, ["/proc", "/dev", "/dev/shm", "/tmp", "/workspace"]);
        let shown = |mount: &&Value| mount["type"] == "bind" && mount["source"] != mount["destination"];
        let moved: Vec<_> = configuration["mounts"].as_array().unwrap().iter().filter(shown).collect();
        assert_eq!(moved.len(), 1, "{moved:?}");
        assert_eq!(moved[0]["source"], "/a/b");
    }
}
