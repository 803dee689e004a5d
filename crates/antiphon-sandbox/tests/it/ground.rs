//! What every case stands on: a sandbox of the wanted tier, and ways to run the probe in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use antiphon_sandbox::{
    End, Exit, Finished, Frame, Host, Language, Limits, Options, Program, Reason, Running, Sandbox, Stream, Tier,
    Workspace,
};
use rustix::fs::{CWD, FileType, Mode};
use serde_json::Value;

pub(crate) const PROBE: &str = include_str!("probe.py");
const USER: u32 = 1000;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leg {
    Any,
    Root,
    User,
}

impl Leg {
    /// Whether this process is the one to run it.
    pub(crate) fn is_here(self) -> bool {
        self == Self::Any || (self == Self::Root) == is_root()
    }

    pub(crate) fn can_run(self) -> bool {
        self.is_here() || is_root()
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

static HELPER: OnceLock<PathBuf> = OnceLock::new();

pub(crate) fn use_helper(path: &str) {
    HELPER.set(path.into()).unwrap();
}

pub(crate) fn helper() -> &'static Path {
    // Where the runner says that it is now, else where Cargo built it.
    let moved = || std::env::var_os("NEXTEST_BIN_EXE_antiphon-sandbox-init").map(PathBuf::from);
    HELPER.get_or_init(|| moved().unwrap_or_else(|| env!("CARGO_BIN_EXE_antiphon-sandbox-init").into()))
}

/// Runs one trial of this executable as an ordinary user, who may not be able to pass to where it and the helper are.
pub(crate) fn as_user(name: &str) {
    use std::os::fd::AsRawFd as _;
    let helper = fs::File::open(helper()).unwrap();
    rustix::io::fcntl_setfd(&helper, rustix::io::FdFlags::empty()).unwrap();
    let status = Command::new("/proc/self/exe")
        .args([name, "--exact", "--helper", &format!("/proc/self/fd/{}", helper.as_raw_fd())])
        .uid(USER)
        .gid(USER)
        .current_dir("/")
        .status()
        .unwrap();
    assert!(status.success(), "as uid {USER}: {status}");
}

/// A folder that everybody can pass to.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub(crate) fn options(folder: &Path) -> Options {
    Options { helper: helper().to_owned(), folder: folder.join("workspaces"), minimum: Tier::Landlock, uids: None }
}

/// Of this tier, or none.
pub(crate) fn sandbox(tier: Tier, workspaces: &Path) -> Sandbox {
    let mut host = Host::detect();
    if tier == Tier::Landlock {
        host.bwrap = Err("left out by the test".to_owned());
    }
    let options = Options { folder: workspaces.to_owned(), minimum: tier, ..options(workspaces) };
    let sandbox = Sandbox::choose(&options, &host).unwrap();
    assert_eq!(sandbox.tier(), tier);
    sandbox
}

/// This executable as a server that runs one program and says when the program is there.
pub(crate) fn server(tier: Tier, workspaces: &Path, marker: &str) -> Child {
    let tier = match tier {
        Tier::Bwrap => "1",
        Tier::Landlock => "2",
        Tier::Gvisor => "gvisor",
    };
    Command::new("/proc/self/exe")
        .args(["--serve", tier, workspaces.to_str().unwrap(), marker, "--helper", helper().to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What that executable does. It is killed in the middle of it.
pub(crate) fn serve(tier: &str, workspaces: &str, marker: &str) {
    let tier = match tier {
        "1" => Tier::Bwrap,
        "2" => Tier::Landlock,
        _ => Tier::Gvisor,
    };
    let sandbox = sandbox(tier, Path::new(workspaces));
    let mut running = sandbox.run(probe(&format!("wait({marker:?})")), Limits::default()).unwrap();
    until(&mut running, "ready");
    println!("ready");
    block_on(running.next());
}

/// Why a tier cannot be had on this machine at all, if so: told by other means than a sandbox of ours.
pub(crate) fn impossible(tier: Tier) -> Option<&'static str> {
    static NAMESPACES: OnceLock<bool> = OnceLock::new();
    let makes_namespaces = || {
        let mut command = Command::new("bwrap");
        command.args([
            "--unshare-user",
            "--unshare-net",
            "--unshare-pid",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "/bin/true",
        ]);
        if is_root() {
            command.uid(USER).gid(USER);
        }
        command.stderr(Stdio::null()).current_dir("/").status().is_ok_and(|status| status.success())
    };
    match tier {
        Tier::Bwrap | Tier::Gvisor if !NAMESPACES.get_or_init(makes_namespaces) => {
            Some("bwrap makes no namespaces here")
        }
        Tier::Gvisor if Host::detect().runsc.is_err() => Some("`runsc` is not installed"),
        Tier::Bwrap | Tier::Gvisor => None,
        Tier::Landlock => (Host::detect().landlock < 6).then_some("this kernel's Landlock is older"),
    }
}

pub(crate) struct Ground {
    pub(crate) tier: Tier,
    pub(crate) sandbox: Sandbox,
    // Behind the sandbox, which deletes what is in it.
    pub(crate) folder: tempfile::TempDir,
}

/// Everything that came of one run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
    pub(crate) finished: Finished,
}

impl Ground {
    pub(crate) fn new(tier: Tier) -> Self {
        let folder = folder();
        let sandbox = sandbox(tier, &folder.path().join("workspaces"));
        Self { tier, sandbox, folder }
    }

    /// Whether a program sees a root of its own.
    pub(crate) fn has_view(&self) -> bool {
        match self.tier {
            Tier::Bwrap | Tier::Gvisor => true,
            Tier::Landlock => false,
        }
    }

    /// A program that waits, and whose processes have this word where they can be told by one.
    pub(crate) fn waiting(&self, marker: &str) -> Program {
        self.alone(probe(&format!("wait({marker:?})")))
    }

    /// In gVisor the processes of a program cannot be told from those of the sandbox that is set up in advance, but by
    /// their number: so the program gets a workspace that is there, for which the other one is not taken.
    pub(crate) fn alone(&self, program: Program) -> Program {
        if self.tier != Tier::Gvisor {
            return program;
        }
        until_true(|| !self.kernels().is_empty());
        let folder = self.folder.path().join("alone");
        fs::create_dir_all(&folder).unwrap();
        program.workspace(Workspace::Given(folder))
    }

    /// The machine's processes of the program that has this word.
    pub(crate) fn alive(&self, marker: &str) -> Vec<u32> {
        match self.tier {
            Tier::Bwrap | Tier::Landlock => processes_with(marker),
            Tier::Gvisor => self.kernels().into_iter().skip(1).collect(),
        }
    }

    /// One process for each sandbox of this ground with a kernel of its own.
    fn kernels(&self) -> Vec<u32> {
        let own = processes_with(self.folder.path().to_str().unwrap()).into_iter();
        let is_kernel = |process: &u32| {
            fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| line.starts_with(b"runsc-sandbox"))
        };
        own.filter(is_kernel).collect()
    }

    /// Python that waits for what [`Ground::answer`] says, and prints it: at a queue, or in gVisor, which shares none with
    /// the machine, for a file.
    pub(crate) fn listening(&self, folder: &Path) -> &'static str {
        if self.tier == Tier::Gvisor {
            return "import os, time\nwhile not os.path.exists('answer'): time.sleep(0.01)\nprint(open('answer').read())";
        }
        rustix::fs::mknodat(CWD, folder.join("queue"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        "print(open('queue').read())"
    }

    pub(crate) fn answer(&self, folder: &Path, words: &str) {
        if self.tier == Tier::Gvisor {
            fs::write(folder.join("unfinished"), words).unwrap();
            fs::rename(folder.join("unfinished"), folder.join("answer")).unwrap();
        } else {
            fs::File::options().write(true).open(folder.join("queue")).unwrap().write_all(words.as_bytes()).unwrap();
        }
    }

    /// Tier 2 under an ordinary user: the program has the uid of everything else of that user.
    pub(crate) fn shares_uid(&self) -> bool {
        self.tier == Tier::Landlock && !is_root()
    }

    pub(crate) fn run(&self, program: Program, limits: Limits) -> Outcome {
        outcome(self.sandbox.run(program, limits).unwrap())
    }

    /// What the probe says of an attempt.
    pub(crate) fn probe(&self, attempt: &str) -> BTreeMap<String, String> {
        self.probe_within(attempt, Limits::default())
    }

    pub(crate) fn probe_within(&self, attempt: &str, limits: Limits) -> BTreeMap<String, String> {
        said(&self.run(probe(attempt), limits))
    }

    /// Every outcome is among those that are expected for it, and nothing else came.
    #[track_caller]
    pub(crate) fn check(&self, attempt: &str, expected: &[(&str, &[&str])]) {
        let found = self.probe(attempt);
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        let mut wanted: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{attempt}");
        for (name, outcomes) in expected {
            assert!(outcomes.contains(&found[*name].as_str()), "{attempt}: `{name}` gave {}", found[*name]);
        }
    }

    /// Every outcome is one of these.
    #[track_caller]
    pub(crate) fn check_all(&self, attempt: &str, count: usize, outcomes: &[&str]) {
        let found = self.probe(attempt);
        assert_eq!(found.len(), count, "{attempt}: {found:?}");
        for (name, outcome) in &found {
            assert!(outcomes.contains(&outcome.as_str()), "{attempt}: `{name}` gave {outcome}");
        }
    }
}

/// The probe, making one attempt that returns its outcomes.
pub(crate) fn probe(attempt: &str) -> Program {
    Program::new(Language::Python, format!("{PROBE}\nprint(json.dumps({attempt}))\n")).unwrap()
}

#[track_caller]
pub(crate) fn said(outcome: &Outcome) -> BTreeMap<String, String> {
    assert_eq!((&outcome.exit.reason, outcome.exit.end), (&Reason::Exited, End::Code(0)), "{outcome:?}");
    let value: BTreeMap<String, Value> = serde_json::from_str(&outcome.stdout).unwrap();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value.into_iter().map(|(name, value)| (name, text(value))).collect()
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn outcome(mut running: Running) -> Outcome {
    block_on(async {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        while let Some(frame) = running.next().await {
            match frame {
                Frame::Output { stream: Stream::Stdout, text } => stdout.push_str(&text),
                Frame::Output { stream: Stream::Stderr, text } => stderr.push_str(&text),
                Frame::Exit(_) => {}
            }
        }
        let finished = running.finish().await;
        Outcome { stdout, stderr, exit: finished.exit().clone(), finished }
    })
}

/// Reads until the program has written a word.
pub(crate) fn until(running: &mut Running, word: &str) {
    block_on(async {
        let mut seen = String::new();
        while !seen.contains(word) {
            match running.next().await {
                Some(Frame::Output { text, .. }) => seen.push_str(&text),
                other => panic!("{other:?} before `{word}`, after {seen:?}"),
            }
        }
    });
}

/// Waits for what another thread is about to do; the runner ends a test that hangs.
pub(crate) fn until_true(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

/// Processes on this machine whose command line holds a word.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let has_word = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(word))
    };
    let own = std::process::id();
    let found = entries.filter(has_word).filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    found.filter(|process| *process != own).collect()
}

/// A word that no other test has.
pub(crate) fn marker() -> String {
    format!("marker-{}-{:?}", std::process::id(), std::time::Instant::now()).replace([' ', '{', '}', ':', ','], "-")
}
