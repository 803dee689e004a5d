//! The file tools: what they do is done inside the sandbox, below the workspace, and within its limits.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use antiphon_sandbox::{End, FileOperation, FileReply, Language, Limits, Program, Reason, Tier, Workspace};
use pretty_assertions::assert_eq;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};

use crate::cases::{Case, workspace};
use crate::ground::{Ground, Outcome, block_on, is_root, outcome, until, until_true};

pub(crate) const CASES: &[Case] = &[
    ("files_and_programs_see_one_another", together),
    ("files_beside_the_workspace_are_in_it", beside),
    ("files_are_worked_on_by_a_process_inside", caught),
    ("c37_c39_paths_and_links_lead_nowhere_else", paths),
    ("c38_a_folder_that_becomes_a_link_leads_nowhere", race),
    ("closed_folders_are_told_and_deleted", closed),
    ("c41_queues_and_sockets_hold_nobody_up", queues),
    ("c30_folders_of_any_depth_are_looked_into_or_told_and_deleted", deep),
    ("c31_huge_files_are_read_in_part_and_searched_within_the_time", huge),
    ("c29_files_are_written_within_the_quota", quota),
    ("letting_go_of_an_operation_ends_it", letting_go),
    ("one_at_a_time_is_in_a_workspace", one_at_a_time),
];

/// A ground with one workspace for all that is done.
struct Files<'a> {
    ground: &'a Ground,
    folder: PathBuf,
    limits: Limits,
}

impl<'a> Files<'a> {
    fn new(ground: &'a Ground) -> Self {
        Self { ground, folder: workspace(ground), limits: Limits::default() }
    }

    fn start(&self, operation: FileOperation) -> impl Future<Output = std::io::Result<FileReply>> {
        self.ground.sandbox.file(operation, self.folder.clone(), self.limits.clone())
    }

    /// What the model is told, and whether it went wrong.
    fn reply(&self, operation: FileOperation) -> (String, bool) {
        let reply = block_on(self.start(operation)).unwrap();
        (reply.text, reply.is_error)
    }

    #[track_caller]
    fn done(&self, operation: FileOperation) -> String {
        let (text, is_error) = self.reply(operation);
        assert!(!is_error, "{text}");
        text
    }

    #[track_caller]
    fn refused(&self, operation: FileOperation) -> String {
        let (text, is_error) = self.reply(operation);
        assert!(is_error, "{text}");
        text
    }

    fn run(&self, source: &str) -> Outcome {
        let program = Program::new(Language::Python, source).unwrap();
        let program = program.workspace(Workspace::Given(self.folder.clone()));
        self.ground.run(program, self.limits.clone())
    }

    #[track_caller]
    fn ran(&self, source: &str) -> String {
        let found = self.run(source);
        assert_eq!((&found.exit.reason, found.exit.end), (&Reason::Exited, End::Code(0)), "{found:?}");
        found.stdout
    }

    /// The workspace as a program sees it.
    fn seen(&self) -> String {
        match self.ground.tier {
            Tier::Bwrap | Tier::Gvisor => "/workspace".to_owned(),
            Tier::Landlock => self.folder.to_str().unwrap().to_owned(),
        }
    }
}

fn read(path: &str) -> FileOperation {
    FileOperation::Read { path: path.to_owned(), offset: None, limit: None }
}

fn write(path: &str, content: &str) -> FileOperation {
    FileOperation::Write { path: path.to_owned(), content: content.to_owned() }
}

fn edit(path: &str, old: &str, new: &str) -> FileOperation {
    FileOperation::Edit { path: path.to_owned(), old: old.to_owned(), new: new.to_owned(), replace_all: false }
}

fn delete(path: &str) -> FileOperation {
    FileOperation::Delete { path: path.to_owned() }
}

fn list(path: &str, depth: u32) -> FileOperation {
    FileOperation::List { path: path.to_owned(), depth: Some(depth) }
}

fn find(pattern: &str) -> FileOperation {
    FileOperation::Find { pattern: pattern.to_owned(), path: None }
}

fn grep(pattern: &str, path: &str) -> FileOperation {
    FileOperation::Grep { pattern: pattern.to_owned(), path: Some(path.to_owned()), glob: None }
}

fn together(ground: &Ground) {
    let files = Files::new(ground);
    assert_eq!(files.done(write("src/main.py", "import sys\nprint('one')\n")), "`src/main.py` is written: 24 bytes");
    assert_eq!(files.ran("exec(open('src/main.py').read())"), "one\n");
    let inside = format!("{}/src/main.py", files.seen());
    assert_eq!(files.done(edit(&inside, "'one'", "'two'")), "`src/main.py` is changed: `old` was there once");
    assert_eq!(files.ran("exec(open('src/main.py').read()); open('made.txt', 'w').write('by a program')"), "two\n");
    assert_eq!(files.done(read("made.txt")), "by a program");
    // A program moves, closes and links as it likes.
    files.ran("import os\nos.makedirs('a/b')\nos.rename('made.txt', 'a/b/moved.txt')\nos.fchmod(os.open('a/b/moved.txt', os.O_RDONLY), 0o400)");
    assert_eq!(files.done(find("moved.*")), "a/b/moved.txt\n");
    assert_eq!(files.done(grep("^by", "a")), "a/b/moved.txt:1: by a program\n");
    assert_eq!(files.done(list("a", 9)), "a/b/\na/b/moved.txt (12 bytes)\n");
    assert_eq!(files.done(write("a/b/moved.txt", "by the tool")), "`a/b/moved.txt` is replaced: 11 bytes");
    assert_eq!(files.done(delete("a")), "`a` is deleted, with everything in it");
    assert_eq!(files.ran("import os; print(os.path.exists('a'))"), "False\n");
    let about = fs::metadata(files.folder.join("src/main.py")).unwrap();
    let own = rustix::process::getuid().as_raw();
    assert!(if is_root() { about.uid() >= 60_000 } else { about.uid() == own }, "{}", about.uid());
}

/// The processes that this one has started, directly or not: each with its depth below this one.
fn descendants() -> BTreeMap<u32, u32> {
    let parent_of = |process: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    // A kernel of its own waits for a program; files are worked on without it.
    let is_kernel = |process: u32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"--rootless" || word == b"--rootless=true")
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let parents: BTreeMap<u32, u32> = all
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| !is_kernel(*process))
        .filter_map(|process| Some((process, parent_of(process)?)))
        .collect();
    let depth = |mut process: u32| {
        for depth in 0..16 {
            if process == std::process::id() {
                return Some(depth);
            }
            process = *parents.get(&process)?;
        }
        None
    };
    parents.keys().filter_map(|process| Some((*process, depth(*process).filter(|depth| *depth > 0)?))).collect()
}

/// The process that carries an operation out: below the helper, which is below two of `bwrap` in tier 1.
fn carrying_out(tier: Tier) -> Option<u32> {
    let depth = if tier == Tier::Landlock { 2 } else { 4 };
    descendants().into_iter().find(|(_, found)| *found == depth).map(|(process, _)| process)
}

/// An operation whose reply nobody takes, so that it stays where it is: in the middle of writing it.
fn held<'a>(files: &'a Files<'_>) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<FileReply>> + 'a>> {
    fs::write(files.folder.join("long"), "\u{1}".repeat(256 << 10)).unwrap();
    let mut operation: std::pin::Pin<Box<dyn Future<Output = _> + 'a>> = Box::pin(files.start(read("long")));
    block_on(std::future::poll_fn(|context| {
        assert!(operation.as_mut().poll(context).is_pending());
        Poll::Ready(())
    }));
    until_true(|| carrying_out(files.ground.tier).is_some());
    operation
}

fn caught(ground: &Ground) {
    let files = Files::new(ground);
    let operation = held(&files);
    let process = carrying_out(ground.tier).unwrap();
    let numbers = |process: &str, name: &str| -> Vec<u64> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(|number| u64::from_str_radix(number, 16).unwrap()).collect()
    };
    let process = process.to_string();
    let of_workspace = fs::metadata(&files.folder).unwrap().uid();
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    assert!(status.contains(&format!("Uid:\t{of_workspace}\t{of_workspace}\t{of_workspace}\t{of_workspace}\n")));
    assert!(!is_root() || of_workspace >= 60_000);
    assert_eq!(numbers(&process, "NoNewPrivs:"), [1]);
    assert_eq!(numbers(&process, "Seccomp:"), [2]);
    assert_eq!(numbers(&process, "CapEff:"), [0]);
    let nested = numbers(&process, "NSpid:").len() - numbers("self", "NSpid:").len();
    assert_eq!(nested > 0, ground.has_view());
    let mounts = |process: &str| fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap();
    assert_eq!(mounts(&process) != mounts("self"), ground.has_view());
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let open_files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(open_files.split_whitespace().next(), Some("256"));
    // And it is the one that answers.
    assert_eq!(block_on(operation).unwrap(), FileReply { text: "\u{1}".repeat(256 << 10), is_error: false });
    until_true(|| carrying_out(ground.tier).is_none());
}

fn paths(ground: &Ground) {
    let files = Files::new(ground);
    let outside = ground.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "bytes of the host").unwrap();
    files.done(write("kept", "kept"));
    files.ran(&format!(
        "import os\nos.symlink('/etc/passwd', 'passwd')\nos.symlink({outside:?}, 'folder')\n\
         os.symlink({:?}, 'file')\nos.symlink('/', 'root')\nos.symlink('.', 'self')\nos.symlink('self', 'again')",
        outside.join("secret")
    ));
    let absolute = outside.join("secret").to_str().unwrap().to_owned();
    let beside = format!("{}/../outside/secret", files.seen());
    let beyond = format!("{}2", files.seen());
    let paths = [
        "..",
        "../outside/secret",
        "a/../../outside/secret",
        "/",
        "/etc/passwd",
        "/etc/shadow",
        "/usr/bin/python3",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "/dev/zero",
        "/tmp",
        "passwd",
        "file",
        "folder/secret",
        "folder/new",
        "root/etc/passwd",
        "self/kept",
        "again/again/kept",
        "kept\0",
        "kept\n",
        &absolute,
        &beside,
        &beyond,
    ];
    for path in paths {
        for operation in [read(path), write(path, "x"), edit(path, "b", "x"), list(path, 2), grep(".", path)] {
            let words = format!("{operation:?}");
            let text = files.refused(operation);
            let is_told = text.contains("is not in the workspace") || text.contains("link") || text.contains("control");
            assert!(is_told, "{words}: {text}");
        }
    }
    // Links themselves are listed, are not gone through, and can be deleted.
    let listed = files.done(list(".", 9));
    let links = [
        "again -> self".to_owned(),
        format!("file -> {absolute}"),
        format!("folder -> {}", outside.display()),
        "passwd -> /etc/passwd".to_owned(),
        "root -> /".to_owned(),
        "self -> .".to_owned(),
    ];
    let expected: Vec<_> = listed.lines().filter(|line| line.contains("->")).collect();
    assert_eq!(expected, links);
    assert_eq!(files.done(grep("bytes of|root:", ".")), "[no line matches]\n");
    assert_eq!(files.done(find("**/secret")), "[nothing matches]\n");
    assert_eq!(files.done(delete("folder")), "`folder` is deleted");
    assert_eq!(files.refused(delete("root/tmp")), "`root/tmp` is behind a link, and links are not followed");
    for path in [".", "", "a/..", &files.seen()] {
        assert_eq!(files.refused(delete(path)), "the workspace itself cannot be deleted");
    }
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "bytes of the host");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(files.done(read("kept")), "kept");
}

fn closed(ground: &Ground) {
    let files = Files::new(ground);
    let closing = files.run("import os\nos.makedirs('closed/in')\nos.fchmod(os.open('closed', os.O_RDONLY), 0)");
    // An ordinary user's program is ended for it, where it is looked at before it has ended by itself.
    assert!(matches!(closing.exit.reason, Reason::Exited | Reason::DiskFull), "{closing:?}");
    let words = "is closed: its mode, or that of a folder above it, forbids it";
    assert_eq!(files.refused(read("closed/file")), format!("`closed/file` {words}"));
    assert_eq!(files.refused(list("closed", 1)), format!("`closed` {words}"));
    assert_eq!(files.done(find("in")), "[nothing matches]\n[1 folders were not looked into: closed, or too deep]\n");
    // What is hidden in it is not known, so it counts as too much.
    assert!(files.refused(write("new", "x")).starts_with("there is no room for `new`: "));
    let (text, is_error) = files.reply(delete("closed"));
    if ground.shares_uid() {
        // Nobody there changes a mode by a path.
        assert_eq!(
            (text.as_str(), is_error),
            ("`closed` cannot be deleted whole: Operation not permitted (os error 1)", true)
        );
    } else {
        assert_eq!((text.as_str(), is_error), ("`closed` is deleted, with everything in it", false));
    }
}

fn race(ground: &Ground) {
    let files = Files::new(ground);
    let outside = ground.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "bytes of the host").unwrap();
    let (here, there) = (files.folder.join("x"), files.folder.join("y"));
    fs::create_dir(&here).unwrap();
    fs::write(here.join("file"), "bytes of the workspace").unwrap();
    // Before the race, since a folder is handed over as it is.
    files.done(list(".", 1));
    symlink(&outside, &there).unwrap();
    let is_over = AtomicBool::new(false);
    let mut replies = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &here, CWD, &there, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..4 {
            let operations =
                [read("x/file"), grep("bytes", "."), grep("bytes", "x"), list("x", 2), write("x/new", "new")];
            replies.extend(operations.map(|operation| block_on(files.start(operation))));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for reply in replies {
        let text = reply.unwrap().text;
        assert!(!text.contains("of the host"), "{text}");
    }
    let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "bytes of the host");
}

fn queues(ground: &Ground) {
    let files = Files::new(ground);
    // By the test, since gVisor keeps those of its programs to itself.
    rustix::fs::mknodat(CWD, files.folder.join("queue"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    files.ran("open('file', 'w').write('text')");
    let _socket = UnixListener::bind(files.folder.join("socket")).unwrap();
    let expected = "file (4 bytes)\nqueue (queue)\nsocket (socket)\n";
    assert_eq!(files.done(list(".", 1)), expected);
    for (path, kind) in [("queue", "queue"), ("socket", "socket")] {
        let not_a_file = format!("`{path}` is a {kind}, not a file");
        assert_eq!(files.refused(read(path)), not_a_file);
        assert_eq!(files.refused(write(path, "x")), not_a_file);
        assert_eq!(files.refused(edit(path, "x", "y")), not_a_file);
    }
    assert_eq!(files.done(grep("^te", ".")), "file:1: text\n");
    assert_eq!(files.done(delete("queue")), "`queue` is deleted");
}

/// Folders in one another, made by the host in the name of whoever has the workspace.
fn make_deep(folder: &Path, levels: usize) {
    let owner = fs::metadata(folder).unwrap().uid();
    let (user, group) = (rustix::fs::Uid::from_raw(owner), rustix::fs::Gid::from_raw(owner));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut place = rustix::fs::open(folder, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&place, "d", Mode::RWXU).unwrap();
        if is_root() {
            rustix::fs::chownat(&place, "d", Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
        place = rustix::fs::openat(&place, "d", flags, Mode::empty()).unwrap();
    }
}

fn deep(ground: &Ground) {
    let files = Files::new(ground);
    files.done(write("found", "text"));
    make_deep(&files.folder, 4096);
    let beyond = "[1 folders were not looked into: closed, or too deep]\n";
    assert_eq!(files.done(find("found")), format!("found\n{beyond}"));
    assert_eq!(files.done(grep("^text$", ".")), format!("found:1: text\n{beyond}"));
    let listed = files.done(list(".", u32::MAX));
    let count = listed.lines().count() - 1;
    assert!(listed.ends_with(&format!("[there are more than these {count}: narrow it down]\n")));
    assert!(listed.len() < 257 << 10, "{}", listed.len());
    // Too deep to be counted, hence too much.
    assert!(files.refused(write("new", "x")).starts_with("there is no room for `new`: "));
    assert_eq!(files.refused(read(&"d/".repeat(2048))), "`path` has 4096 bytes, and 4095 at most are taken");
    assert_eq!(files.done(delete("d")), "`d` is deleted, with everything in it");
    assert_eq!(files.done(write("new", "x")), "`new` is written: 1 bytes");
}

fn huge(ground: &Ground) {
    let mut files = Files::new(ground);
    let path = files.folder.join("huge");
    fs::write(&path, "text ".repeat(4096)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    files.limits = Limits { memory: 64 << 20, wall: Duration::from_secs(20), ..Limits::default() };
    let found = files.done(read("huge"));
    assert!(found.starts_with("text text"));
    assert!(found.ends_with("\n[line 1 of the file of 1099511627776 bytes is longer, and cut here]\n"));
    assert!(
        files.refused(edit("huge", "text", "word")).ends_with("has more than 8388608 bytes: change it with a program")
    );
    // To the end of it there is an hour to go, in as much memory as ever.
    files.limits.wall = Duration::from_secs(2);
    let ended = files.refused(grep("nothing like it", "huge"));
    assert!(ended.starts_with("the operation was ended after "), "{ended}");
    until_true(|| carrying_out(ground.tier).is_none());
}

fn quota(ground: &Ground) {
    let mut files = Files::new(ground);
    files.limits = Limits { workspace_bytes: 1 << 20, workspace_entries: 20, file_bytes: 600_000, ..Limits::default() };
    let large = "x".repeat(500_000);
    files.done(write("first", &large));
    assert!(files.refused(write("second", &"x".repeat(600_000))).starts_with("there is no room for `second`: "));
    assert_eq!(
        files.refused(write("second", &"x".repeat(600_001))),
        "`second` would have 600001 bytes, and a file has 600000 at most"
    );
    // Nothing of it is left, and what is there is as it was.
    let names: Vec<_> = fs::read_dir(&files.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["first"]);
    // A program that fills it is ended; what it left can be looked at and deleted, and then there is room again.
    let filled =
        files.run("import signal\nfor number in range(40):\n    open(f'f{number}', 'w').write('text')\nsignal.pause()");
    assert_eq!(filled.exit.reason, Reason::DiskFull);
    assert!(files.refused(write("second", "x")).starts_with("there is no room for `second`: "));
    assert!(files.refused(edit("f0", "text", "word")).starts_with("there is no room for `f0`: "));
    assert_eq!(files.done(read("f0")), "text");
    // How many there are depends on when it was ended.
    let left = fs::read_dir(&files.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in left.filter(|name| name != "first").collect::<Vec<_>>() {
        files.done(delete(&name));
    }
    assert_eq!(files.done(write("second", "x")), "`second` is written: 1 bytes");
}

fn beside(ground: &Ground) {
    let files = Files::new(ground);
    let root = files.folder.join(".root");
    fs::create_dir_all(root.join("data/deep")).unwrap();
    fs::write(root.join("data/deep/birds.csv"), "heron").unwrap();
    fs::write(root.join("note.txt"), "of the root").unwrap();
    // What a hostile program would leave there: the system's names, ways out, and names that are none.
    symlink("/", root.join("everything")).unwrap();
    symlink(ground.folder.path(), root.join("machine")).unwrap();
    for name in ["usr", "etc", "lib64", "tmp", "workspace", ".bin", ".init", "--bind", "a\nb"] {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("planted"), "planted").unwrap();
    }
    let (before, after) = (read("/data/deep/birds.csv"), "/data/../data/deep/new.txt");
    if ground.tier == Tier::Landlock {
        let seen = files.seen();
        let words = format!("`/data/deep/birds.csv` is not in the workspace `{seen}`; paths are relative to it");
        assert_eq!(files.refused(before), words);
        assert_eq!(
            files.ran("import os\nprint(os.path.lexists('/data'), open('.root/note.txt').read())"),
            "False of the root\n"
        );
        return;
    }
    assert_eq!(files.done(before), "heron");
    assert_eq!(files.done(write(after, "kept")), "`.root/data/deep/new.txt` is written: 4 bytes");
    assert_eq!(
        files.ran(
            "print(open('/data/deep/birds.csv').read(), open('/data/deep/new.txt').read(), open('/note.txt').read())\n\
             open('/data/made.txt', 'w').write('by a program')"
        ),
        "heron kept of the root\n"
    );
    assert_eq!(files.done(read(".root/data/made.txt")), "by a program");
    assert_eq!(files.done(read("/data/made.txt")), "by a program");
    assert!(files.done(list("/data", 1)).contains(".root/data/made.txt (12 bytes)"));
    // Nothing else has changed at the root, and no link leads anywhere but inside.
    let planted = "import os\nfor name in ['usr', 'etc', 'lib64', 'tmp', 'workspace', '.bin', '.init']:\n    \
                   print(os.path.exists(f'/{name}/planted'), end=' ')\n\
                   print(os.path.exists('/machine/environment'), os.path.samefile('/everything', '/'))";
    assert_eq!(files.ran(planted), "False False False False False False False False True\n");
    assert_eq!(
        files.ran("import subprocess\nprint(subprocess.run(['python', '-c', 'print(1)']).returncode)"),
        "1\n0\n"
    );
    for path in ["/usr/planted", "/etc/planted", "/everything/data", "/machine/environment", "/note"] {
        files.refused(read(path));
    }
    files.refused(write("/data/../new.txt", "x"));
}

fn letting_go(ground: &Ground) {
    let files = Files::new(ground);
    drop(held(&files));
    until_true(|| carrying_out(ground.tier).is_none());
    // And nobody holds the workspace any more.
    until_true(|| block_on(files.start(read("none"))).is_ok());
}

fn one_at_a_time(ground: &Ground) {
    let files = Files::new(ground);
    let source = format!("print('before')\n{}", ground.listening(&files.folder));
    let program = Program::new(Language::Python, source).unwrap();
    let program = program.workspace(Workspace::Given(files.folder.clone()));
    let mut running = ground.sandbox.run(program, Limits::default()).unwrap();
    until(&mut running, "before");
    let error = block_on(files.start(write("new", "x"))).unwrap_err();
    assert_eq!(error.to_string(), "the workspace is in use by another run");
    ground.answer(&files.folder, "after");
    assert_eq!(outcome(running).stdout.trim(), "after");
    files.done(write("new", "x"));
}
