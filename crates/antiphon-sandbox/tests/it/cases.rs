//! The cases, by their number in the list of what a sandbox must keep. An attempt that fails is no proof by its error
//! alone where the machine can count: there a canary of the test's own must not have heard of it.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use antiphon_sandbox::{End, Language, Limits, Program, Reason, Tier, Workspace};
use pretty_assertions::assert_eq;

use crate::ground::{Ground, Outcome, is_root, marker, outcome, probe, processes_with, said, until, until_true};

pub(crate) type Case = (&'static str, fn(&Ground));

pub(crate) const CASES: &[Case] = &[
    ("c01_files_of_the_machine_cannot_be_read", files_of_the_machine),
    ("c02_homes_and_other_workspaces_cannot_be_read", homes),
    ("c03_nothing_outside_can_be_written", writing_outside),
    ("c04_the_workspace_and_temporary_files_can_be_written", writing_inside),
    ("c05_the_environment_is_what_was_declared", environment),
    ("c06_no_descriptor_is_inherited", descriptors),
    ("c07_tcp_does_not_reach_the_machine", tcp),
    ("c08_other_sockets_reach_nothing", other_sockets),
    ("c09_unix_sockets_of_the_machine_are_out_of_reach", unix_sockets),
    ("c10_a_program_can_serve_itself_in_tier_1", loopback),
    ("c11_nothing_can_be_mounted", mounts),
    ("c12_no_namespace_can_be_made", namespaces),
    ("c13_no_namespace_can_be_entered", entering),
    ("c14_processes_of_the_machine_cannot_be_touched", touching),
    ("c15_processes_of_the_machine_cannot_be_killed", killing),
    ("c16_only_own_processes_are_seen", processes),
    ("c17_settings_of_the_kernel_cannot_be_written", sysctl),
    ("c18_the_kernels_memory_and_log_are_closed", kernel_files),
    ("c19_nothing_runs_as_root_of_the_machine", uids),
    ("c20_no_device_can_be_had", devices),
    ("c21_setuid_programs_gain_nothing", setuid),
    ("c22_no_capability_is_left", capabilities),
    ("c23_dangerous_calls_are_refused", dangerous_calls),
    ("c24_terminals_cannot_be_typed_into", terminals),
    ("c25_calls_of_other_kinds_end_the_process", kinds),
    ("c26_processes_have_a_limit", forks),
    ("c27_a_fork_bomb_leaves_others_alone", bomb),
    ("c28_memory_has_a_limit", memory),
    ("c29_the_disk_has_a_limit", disk),
    ("c30_entries_have_a_limit_and_everything_is_deleted", entries),
    ("c31_sparse_files_have_a_limit", sparse),
    ("c32_time_has_a_limit", time),
    ("c33_what_a_program_leaves_running_is_ended", daemon),
    ("c34_cancelling_ends_everything", cancelling),
    ("c35_output_has_a_limit", flood),
    ("c36_hostile_output_is_text", ugly),
    ("a_killed_server_leaves_nothing_running_and_its_folders_to_the_next", killed_server),
    ("live_output_comes_while_the_program_runs", live),
    ("a_given_workspace_stays_and_leads_nowhere", given),
    ("pictures_are_collected_and_nothing_else", pictures),
    ("bash_runs", bash),
    ("files_are_moved_between_folders", moving),
];

const CLOSED: &[&str] = &["ENOENT", "EACCES"];

fn files_of_the_machine(ground: &Ground) {
    let secret = ground.folder.path().join("server.db");
    fs::write(&secret, "secret").unwrap();
    let paths = ["/etc/shadow", "/etc/passwd", "/etc/hostname", "/etc/machine-id", secret.to_str().unwrap()];
    ground.check_all(&format!("reading(*{paths:?})"), 5, CLOSED);
}

fn homes(ground: &Ground) {
    let other = ground.folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "of another").unwrap();
    let paths = ["/root", "/home", "/tmp/..", "/var", other.to_str().unwrap(), "/run", "/sys"];
    let found = ground.probe(&format!("reading(*{paths:?})"));
    let inside_only = |path: &str| match ground.tier {
        // The root is the sandbox's own, and may be listed or not.
        Tier::Bwrap => path == "/tmp/..",
        // And so is an empty `/sys`.
        Tier::Gvisor => ["/tmp/..", "/sys"].contains(&path),
        Tier::Landlock => false,
    };
    for (path, outcome) in found {
        assert!(CLOSED.contains(&outcome.as_str()) || inside_only(&path), "{path}: {outcome}");
    }
}

fn writing_outside(ground: &Ground) {
    let before = fs::read(crate::ground::helper()).unwrap();
    let helper = crate::ground::helper().to_str().unwrap();
    let paths = ["/x", "/usr/x", "/usr/bin/x", "/etc/x", "/dev/x", "/proc/self/exe", "/usr/bin/python3", helper];
    for (path, outcome) in ground.probe(&format!("writing(*{paths:?})")) {
        // gVisor's devices are in memory of its own.
        let is_own = ground.tier == Tier::Gvisor && path == "/dev/x" && outcome == "ok";
        assert!(
            is_own || ["EROFS", "EACCES", "ENOENT", "EPERM", "ETXTBSY"].contains(&outcome.as_str()),
            "{path}: {outcome}"
        );
    }
    assert_eq!(fs::read(crate::ground::helper()).unwrap(), before);
}

fn writing_inside(ground: &Ground) {
    ground.check_all("inside()", 3, &["ok"]);
}

fn environment(ground: &Ground) {
    let program = probe("environment()").variable("DECLARED", "a value").unwrap();
    let found = said(&ground.run(program, Limits::default()));
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["DECLARED", "HOME", "LANG", "PATH", "TMPDIR"]);
    assert_eq!(found["DECLARED"], "a value");
    if ground.has_view() {
        assert_eq!((found["HOME"].as_str(), found["TMPDIR"].as_str()), ("/workspace", "/tmp"));
    } else {
        assert_eq!(found["HOME"], found["TMPDIR"]);
    }
}

fn descriptors(ground: &Ground) {
    // One of the server's own that nobody marked to be closed.
    let leak = fs::File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    assert_eq!(ground.probe("descriptors()"), [].into());
}

/// How many connections wait for a listener.
fn accepted(listener: &TcpListener) -> usize {
    listener.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| listener.accept().ok()).count()
}

fn tcp(ground: &Ground) {
    let canaries: Vec<_> = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))]
        .into_iter()
        .filter_map(|address| TcpListener::bind(address).ok())
        .collect();
    assert!(!canaries.is_empty());
    let mut places = Vec::new();
    for canary in &canaries {
        let address = canary.local_addr().unwrap();
        TcpStream::connect(address).unwrap();
        places.push(match address {
            SocketAddr::V4(address) => format!("('v4', ['127.0.0.1', {}])", address.port()),
            SocketAddr::V6(address) => format!("('v6', ['::1', {}])", address.port()),
        });
    }
    let outcomes = ["ECONNREFUSED", "EPERM", "EACCES", "EADDRNOTAVAIL", "ENETUNREACH"];
    ground.check_all(&format!("connecting({})", places.join(", ")), canaries.len(), &outcomes);
    for canary in &canaries {
        assert_eq!(accepted(canary), 1, "the control alone");
    }
}

fn other_sockets(ground: &Ground) {
    let canary = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = canary.local_addr().unwrap();
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(b"control", address).unwrap();
    ground.probe(&format!("datagrams({})", address.port()));
    canary.set_nonblocking(true).unwrap();
    let mut buffer = [0; 16];
    let heard: Vec<_> =
        std::iter::from_fn(|| canary.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())).collect();
    assert_eq!(heard, [b"control".to_vec()]);
    ground.check_all("sockets()", 9, &["EPERM"]);
}

fn unix_sockets(ground: &Ground) {
    let path = ground.folder.path().join("server.sock");
    let named = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let name = marker();
    let abstract_address = UnixAddress::from_abstract_name(&name).unwrap();
    let unnamed = UnixListener::bind_addr(&abstract_address).unwrap();
    UnixStream::connect(&path).unwrap();
    UnixStream::connect_addr(&abstract_address).unwrap();
    let attempt = format!("connecting(('unix', {path:?}), ('abstract', {name:?}))");
    ground.check_all(&attempt, 2, &["ECONNREFUSED", "ENOENT", "EPERM"]);
    for canary in [named, unnamed] {
        canary.set_nonblocking(true).unwrap();
        assert_eq!(std::iter::from_fn(|| canary.accept().ok()).count(), 1, "the control alone");
    }
}

fn loopback(ground: &Ground) {
    let expected = if ground.has_view() { "ok" } else { "EPERM" };
    ground.check("loopback()", &[("loopback", &[expected]), ("socketpair", &["ok"])]);
}

fn mounts(ground: &Ground) {
    let attempt = "calls(('mount', 0, 0, 0, 0, 0), ('umount2', 0, 0), ('pivot_root', 0, 0), ('chroot', 0), \
                   ('open_tree', 0, 0, 0), ('move_mount', 0, 0, 0, 0, 0), ('fsopen', 0, 0), ('mount_setattr', 0, 0, 0, 0, 0))";
    ground.check_all(attempt, 8, &["EPERM"]);
}

fn namespaces(ground: &Ground) {
    let eperm: &[&str] = &["EPERM"];
    ground.check(
        "namespaces()",
        &[
            ("unshare user", eperm),
            ("unshare mount", eperm),
            ("unshare net", eperm),
            ("unshare pid", eperm),
            ("unshare time", eperm),
            ("clone user", eperm),
            ("clone3", &["ENOSYS"]),
        ],
    );
}

fn entering(ground: &Ground) {
    let attempt = "calls(('setns', 0, 0), ('open_by_handle_at', 0, 0, 0), ('name_to_handle_at', 0, 0, 0, 0, 0))";
    ground.check_all(attempt, 3, &["EPERM"]);
}

/// A process of the server's user that a program must not be able to touch. It ends when its input closes.
fn canary_process() -> std::process::Child {
    Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn touching(ground: &Ground) {
    let mut canary = canary_process();
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    ground.check_all(&format!("others({})", canary.id()), 7, &["EPERM", "ESRCH"]);
    assert_eq!(canary.try_wait().unwrap(), None);
    assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Nofile), limits);
    drop(canary.stdin.take());
    assert!(canary.wait().unwrap().success());
}

fn killing(ground: &Ground) {
    let mut canary = canary_process();
    let denied: &[&str] = &["EPERM", "ESRCH"];
    ground.check(&format!("killing({})", canary.id()), &[("one", denied), ("parent", denied), ("alive", &["ok"])]);
    assert_eq!(canary.try_wait().unwrap(), None);
    drop(canary.stdin.take());
    assert!(canary.wait().unwrap().success());
}

fn processes(ground: &Ground) {
    let found = ground.probe("processes()");
    if ground.tier == Tier::Landlock {
        assert_eq!(found, [("list".to_owned(), "EACCES".to_owned())].into());
        return;
    }
    assert_eq!(found["list"], "few");
    if ground.tier == Tier::Gvisor {
        // All that there are belong to this run, and the helper's memory is closed.
        assert_eq!((found["first"].as_str(), found["1 mem"].as_str()), (".init", "EACCES"));
        return;
    }
    assert_eq!(found["first"], "bwrap");
    for (name, outcome) in found.iter().filter(|(name, _)| name.contains(' ')) {
        assert!(["EACCES", "EPERM", "ENOENT"].contains(&outcome.as_str()), "{name}: {outcome}");
    }
}

fn sysctl(ground: &Ground) {
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if ground.tier == Tier::Gvisor {
        // What can be written there are settings of the program's own kernel.
        ground.probe("sysctl()");
        assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
        return;
    }
    let closed: &[&str] = &["EACCES", "EROFS"];
    let expected =
        [("writable", &[""][..]), ("/proc/sys/kernel/core_pattern", closed), ("/proc/self/oom_score_adj", closed)];
    ground.check("sysctl()", &expected);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

fn kernel_files(ground: &Ground) {
    let closed: &[&str] = &["ENOENT", "EACCES", "EPERM", "EROFS"];
    ground.check_all(
        "{**reading('/proc/kcore', '/proc/kmsg', '/dev/kmsg', '/sys/kernel'), **writing('/proc/sysrq-trigger')}",
        5,
        closed,
    );
}

fn uids(ground: &Ground) {
    let marker = marker();
    let mut running = ground.sandbox.run(ground.waiting(&marker), Limits::default()).unwrap();
    until(&mut running, "ready");
    let found = ground.alive(&marker);
    assert!(!found.is_empty());
    let own = rustix::process::getuid().as_raw();
    // From the program up to this process: the helper, and `bwrap`.
    let mut process = found[0];
    let mut seen = 0;
    while process != std::process::id() {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let uids: Vec<u32> = line("Uid:").split_whitespace().map(|uid| uid.parse().unwrap()).collect();
        let is_right = |uid: &u32| if is_root() { *uid >= 60_000 } else { *uid == own };
        assert!(uids.iter().all(is_right), "process {process} of {}: {uids:?}", line("Name:"));
        let map = fs::read_to_string(format!("/proc/{process}/uid_map")).unwrap();
        if ground.has_view() && line("NSpid:").split_whitespace().count() > 1 {
            // Inside, one number; outside, the same uid as above.
            let numbers: Vec<u32> = map.split_whitespace().map(|number| number.parse().unwrap()).collect();
            assert_eq!(numbers[1..], [uids[0], 1], "{map}");
        }
        process = line("PPid:").parse().unwrap();
        seen += 1;
    }
    assert!(seen >= 2, "the program and its helper");
    running.cancel();
    assert_eq!(outcome(running).exit.reason, Reason::Cancelled);
}

fn devices(ground: &Ground) {
    // The last: gVisor's kernel has a tunnel of its own, and nobody may set it up.
    let outcomes: &[&str] = &["ENOENT", "EACCES", "EPERM", "EBADFD"];
    ground.check_all("devices()", 8, if ground.tier == Tier::Gvisor { outcomes } else { &outcomes[..3] });
}

fn setuid(ground: &Ground) {
    let found = ground.probe("privileges()");
    assert_eq!(found["no new privileges"], "1");
    assert!(["EPERM", "EINVAL"].contains(&found["setuid"].as_str()), "{found:?}");
    let gained: Vec<_> =
        found.iter().filter(|(name, outcome)| name.starts_with("as root by") && *outcome != "false").collect();
    assert!(gained.is_empty(), "{gained:?}");
}

fn capabilities(ground: &Ground) {
    let found = ground.probe("privileges()");
    assert_eq!(found["capabilities"], "0");
    assert_eq!(found["seccomp"], "2");
    // An ordinary user without a namespace cannot drop what it could only gain by a setuid program.
    if !ground.shares_uid() {
        assert_eq!(found["bounding"], "0");
    }
}

fn dangerous_calls(ground: &Ground) {
    let names = [
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "keyctl",
        "add_key",
        "request_key",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "delete_module",
        "memfd_create",
        "shmget",
    ];
    let calls = names.map(|name| format!("('{name}', 0, 0, 0, 0, 0)")).join(", ");
    ground.check_all(&format!("calls({calls})"), names.len(), &["EPERM"]);
}

fn terminals(ground: &Ground) {
    ground.check_all("terminals()", 2, &["EPERM"]);
}

fn kinds(ground: &Ground) {
    if ground.tier == Tier::Gvisor {
        // Its kernel has calls of one kind only: what is asked for in another way is one of them, and under the filter.
        ground.check("kinds()", &[("32 bit", &["survived"]), ("x32", &["SIGSYS"]), ("filtered", &["EPERM"])]);
        return;
    }
    ground.check("kinds()", &[("32 bit", &["SIGSYS"]), ("x32", &["SIGSYS"]), ("filtered", &["SIGSYS"])]);
}

fn forks(ground: &Ground) {
    let marker = marker();
    let program = probe("forks()").variable("MARKER", &marker).unwrap();
    let found = said(&ground.run(program, Limits { processes: 16, ..Limits::default() }));
    assert_eq!(found["outcome"], "EAGAIN");
    let born: u32 = found["born"].parse().unwrap();
    if ground.shares_uid() {
        // Counted with everything else of this user, which may come and go meanwhile.
        assert!(born < 500, "{born}");
    } else {
        assert_eq!(born, 15, "beside the program itself");
    }
}

fn bomb(ground: &Ground) {
    let limits = Limits { processes: 24, ..Limits::default() };
    let mut bomb = ground.sandbox.run(probe("bomb()"), limits).unwrap();
    until(&mut bomb, "ready");
    let found = ground.run(probe("work()"), Limits::default());
    if !ground.shares_uid() {
        assert_eq!(said(&found)["work"], "worked");
    } else if found.exit.end == End::Code(0) {
        let found = said(&found);
        assert!(["worked", "EAGAIN"].contains(&found["work"].as_str()), "{found:?}");
    } else {
        // Not even the program could be started, and the exit says so.
        assert!(
            matches!(&found.exit.reason, Reason::Failed(reason) if reason.contains("Resource temporarily")),
            "{found:?}"
        );
    }
    bomb.cancel();
    assert_eq!(outcome(bomb).exit.reason, Reason::Cancelled);
}

fn memory(ground: &Ground) {
    let limits = Limits { memory: 128 << 20, ..Limits::default() };
    for attempt in ["hold(256, 0)", "hold(32, 10)"] {
        let found = ground.run(probe(attempt), limits.clone());
        assert_eq!(found.exit.reason, Reason::OutOfMemory, "{attempt}: {found:?}");
    }
    // Within the limit nothing happens.
    ground.check("{'held': 'ok' if len(bytearray(64 << 20)) else ''}", &[("held", &["ok"])]);
}

fn disk(ground: &Ground) {
    let limits = Limits { workspace_bytes: 4 << 20, ..Limits::default() };
    for way in ["files", "unlinked"] {
        let found = ground.run(probe(&format!("fill('{way}')")), limits.clone());
        assert_eq!(found.exit.reason, Reason::DiskFull, "{way}: {found:?}");
    }
    for folder in ["/tmp", "/dev/shm"] {
        let expected = if ground.has_view() { "ENOSPC" } else { "EACCES" };
        ground.check(&format!("full('{folder}')"), &[("fill", &[expected])]);
    }
    if ground.tier == Tier::Gvisor {
        // It has no bound of its own there, and is memory.
        let limits = Limits { memory: 128 << 20, ..Limits::default() };
        assert_eq!(ground.run(probe("full('/dev')"), limits).exit.reason, Reason::OutOfMemory);
    }
}

fn entries(ground: &Ground) {
    let limits = Limits { workspace_entries: 500, ..Limits::default() };
    let ways: &[&str] = if is_root() { &["entries", "deep"] } else { &["entries", "deep", "hidden"] };
    for way in ways {
        let found = ground.run(probe(&format!("fill('{way}')")), limits.clone());
        assert_eq!(found.exit.reason, Reason::DiskFull, "{way}: {found:?}");
    }
    check_deleted(ground, "for level in range(4096):\n    os.mkdir('d'); os.chdir('d')");
    check_deleted(ground, "os.mkdir('d'); open('d/f', 'w').close(); os.symlink('/usr', 'd/l'); os.mkfifo('d/q')");
    check_deleted(
        ground,
        "for name in ('d', 'd/e'):\n    os.mkdir(name); open(name + '/f', 'w').close()\nfor name in ('d/e', 'd', '.'):\n    \
         os.fchmod(os.open(name, os.O_RDONLY), 0)",
    );
}

/// Whatever a program made: nothing of it is left when the sandbox has gone.
#[track_caller]
fn check_deleted(ground: &Ground, source: &str) {
    let other = Ground::new(ground.tier);
    let program = Program::new(Language::Python, format!("import os\n{source}\n")).unwrap();
    let found = other.run(program, Limits::default());
    assert!(matches!(found.exit.reason, Reason::Exited | Reason::DiskFull), "{found:?}");
    drop(found);
    let Ground { sandbox, folder, .. } = other;
    drop(sandbox);
    // The warden's share of the sandbox goes with its thread.
    let workspaces = folder.path().join("workspaces");
    until_true(|| fs::read_dir(&workspaces).unwrap().count() == 1);
}

fn sparse(ground: &Ground) {
    ground.check("sparse()", &[("truncate", &["EFBIG"])]);
}

fn time(ground: &Ground) {
    let limits = Limits { wall: Duration::from_millis(700), ..Limits::default() };
    let program = Program::new(Language::Python, "while True: pass").unwrap();
    let found = ground.run(program, limits.clone());
    assert_eq!(found.exit.reason, Reason::TimedOut, "{found:?}");
    // A whole kernel that does not end in time is ended together with what would have told.
    assert!(
        found.exit.end == End::Signal(9) || ground.tier == Tier::Gvisor && found.exit.end == End::Unknown,
        "{found:?}"
    );
    assert!(found.exit.wall >= limits.wall);
}

fn daemon(ground: &Ground) {
    let marker = marker();
    let found = ground.run(ground.alone(probe(&format!("daemon({marker:?})"))), Limits::default());
    assert_eq!(said(&found)["daemon"], "ok");
    assert_eq!(ground.alive(&marker), [0_u32; 0]);
}

fn cancelling(ground: &Ground) {
    let marker = marker();
    let start = || {
        let mut running = ground.sandbox.run(ground.waiting(&marker), Limits::default()).unwrap();
        until(&mut running, "ready");
        assert!(!ground.alive(&marker).is_empty());
        running
    };
    let running = start();
    running.cancel();
    let found = outcome(running);
    assert_eq!(found.exit.reason, Reason::Cancelled);
    assert_eq!(ground.alive(&marker), [0_u32; 0]);
    drop(start());
    until_true(|| ground.alive(&marker).is_empty());
}

fn killed_server(ground: &Ground) {
    let marker = marker();
    let folder = ground.folder.path().join("others");
    let mut server = crate::ground::server(ground.tier, &folder, &marker);
    // What a kernel of its own runs cannot be told by its command line, but by its folder.
    let marker = if ground.tier == Tier::Gvisor { folder.to_str().unwrap().to_owned() } else { marker };
    let mut ready = [0; 6];
    server.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    assert!(!processes_with(&marker).is_empty());
    server.kill().unwrap();
    server.wait().unwrap();
    until_true(|| processes_with(&marker).is_empty());

    let left = || fs::read_dir(&folder).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(left(), 1);
    drop(crate::ground::sandbox(ground.tier, &folder));
    until_true(|| left() == 0);
}

/// Kilobytes that this process held at most so far.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn flood(ground: &Ground) {
    let limits = Limits { output_bytes: 64 << 10, ..Limits::default() };
    let before = peak();
    let found = ground.run(probe("flood()"), limits.clone());
    assert_eq!(found.exit.reason, Reason::OutputLimit);
    assert_eq!(found.stdout, "x".repeat(64 << 10));
    assert!(found.exit.discarded >= 63 * (64 << 10), "{}", found.exit.discarded);
    assert!(peak() < before + (32 << 10), "{} kilobytes after {before}", peak());

    // Some more than the limit is cut, said, and does not end the program.
    let program = Program::new(Language::Python, "print('y' * 100000)").unwrap();
    let found = ground.run(program, limits);
    assert_eq!((&found.exit.reason, found.exit.end), (&Reason::Exited, End::Code(0)));
    assert_eq!((found.stdout.len(), found.exit.discarded), (65_536, 100_001 - 65_536));
}

fn ugly(ground: &Ground) {
    let found = ground.run(probe("ugly()"), Limits::default());
    assert_eq!((&found.exit.reason, found.exit.end), (&Reason::Exited, End::Code(0)));
    let line = "nul:\0 bad:\u{fffd}\u{fffd} cut:\u{fffd} ansi:\u{1b}[31mred\u{1b}[0m\n";
    assert_eq!(found.stdout.split_at(line.len()).0, line);
    assert!(found.stdout[line.len()..].bytes().all(|byte| byte == b'y'));
    assert_eq!(found.stderr, "\u{fffd}");
    let json = serde_json::to_string(&found.stdout).unwrap();
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), found.stdout);
}

/// A folder that a server hands to one run after another.
pub(crate) fn workspace(ground: &Ground) -> std::path::PathBuf {
    let path = ground.folder.path().join("environment");
    fs::create_dir(&path).unwrap();
    path
}

fn live(ground: &Ground) {
    let folder = workspace(ground);
    let source = format!("print('before')\n{}", ground.listening(&folder));
    let program = Program::new(Language::Python, source).unwrap().workspace(Workspace::Given(folder.clone()));
    let mut running = ground.sandbox.run(program, Limits::default()).unwrap();
    until(&mut running, "before");
    // It cannot have ended: it waits for this.
    ground.answer(&folder, "after");
    let found = outcome(running);
    assert_eq!((found.stdout.trim(), found.exit.end), ("after", End::Code(0)));
}

fn given(ground: &Ground) {
    let folder = workspace(ground);
    let program =
        |source: &str| Program::new(Language::Python, source).unwrap().workspace(Workspace::Given(folder.clone()));
    let run = |program: Program| -> Outcome { ground.run(program, Limits::default()) };
    let first = run(program(
        "import os\nopen('kept', 'w').write('kept')\nos.symlink('/etc', 'link')\nos.symlink('/etc/passwd', 'file')",
    ));
    assert_eq!((&first.exit.reason, first.exit.end), (&Reason::Exited, End::Code(0)), "{first:?}");
    drop(first);
    // A link that an earlier run left is replaced, and none is followed on the way.
    let second = run(program("print(open('kept').read(), open('file').read())").file("file", b"new".to_vec()).unwrap());
    assert_eq!(second.stdout, "kept new\n", "{second:?}");
    let third = run(program("").file("link/passwd", b"x".to_vec()).unwrap());
    assert!(matches!(&third.exit.reason, Reason::Failed(reason) if reason.contains("`link/passwd`")), "{third:?}");
    // What was left there by name is run by nobody but the next program, inside.
    let fourth = run(program(
        "open('sitecustomize.py', 'w').write('open(\"/etc/passwd\")')\nopen('.program.py', 'a').write('#')",
    ));
    assert_eq!(fourth.exit.end, End::Code(0));
    assert_eq!(run(program("print('ran')")).stdout, "ran\n");
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".program")), "{left:?}");
    if is_root() {
        assert!(fs::metadata(&folder).unwrap().uid() >= 60_000);
    }
}

fn pictures(ground: &Ground) {
    let outside = ground.folder.path().join("outside.png");
    fs::write(&outside, b"\x89PNG\r\n\x1a\nsecret").unwrap();
    let source = format!(
        r#"
import os
png = b"\x89PNG\r\n\x1a\n"
open("first.dat", "wb").write(png + b"1")
os.makedirs("sub/.hidden")
os.symlink({outside:?}, "link.png")
os.symlink("/", "root")
open("sub/.hidden/no.png", "wb").write(png)
open("notes.png", "w").write("text")
os.mkfifo("queue.png")
open("sub/second.svg", "w").write("<svg/>")
open("large.gif", "wb").write(b"GIF89a" + bytes(5000))
import time
time.sleep(0.05)
open("changed.jpg", "ab").write(b"more")
open("last.webp", "wb").write(b"RIFF....WEBP")
"#
    );
    let program = Program::new(Language::Python, source).unwrap();
    let program = program.file("placed.png", b"\x89PNG\r\n\x1a\n".to_vec()).unwrap();
    let program = program.file("changed.jpg", b"\xff\xd8\xff".to_vec()).unwrap();
    let found = ground.run(program, Limits::default());
    assert_eq!(found.exit.end, End::Code(0), "{found:?}");
    let taken = |count, bytes| {
        let pictures = found.finished.pictures(count, bytes);
        let mut names: Vec<_> =
            pictures.taken.iter().map(|picture| picture.path.to_str().unwrap().to_owned()).collect();
        names.sort();
        (names, pictures.left)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        taken(10, 1 << 20),
        (names(&["changed.jpg", "first.dat", "large.gif", "last.webp", "sub/second.svg"]), 0)
    );
    assert_eq!(taken(10, 1000), (names(&["changed.jpg", "first.dat", "last.webp", "sub/second.svg"]), 1));
    assert_eq!(taken(1, 1000).1, 4);
    let first = &found
        .finished
        .pictures(10, 1 << 20)
        .taken
        .into_iter()
        .find(|picture| picture.path.ends_with("changed.jpg"))
        .unwrap();
    assert_eq!((first.bytes.as_slice(), first.kind.mime_type()), (&b"\xff\xd8\xffmore"[..], "image/jpeg"));
}

fn bash(ground: &Ground) {
    let source = "echo \"out $(printf '%s' \"$X\" | tr a-z A-Z)\"; echo err >&2; cat placed; exit 7";
    let program = Program::new(Language::Bash, source).unwrap().variable("X", "abc").unwrap();
    let found = ground.run(program.file("placed", b"there\n".to_vec()).unwrap(), Limits::default());
    assert_eq!((found.stdout.as_str(), found.stderr.as_str()), ("out ABC\nthere\n", "err\n"), "{found:?}");
    assert_eq!((&found.exit.reason, found.exit.end), (&Reason::Exited, End::Code(7)));
    let killed = Program::new(Language::Bash, "kill -TERM $$").unwrap();
    let found = ground.run(killed, Limits::default());
    assert_eq!((&found.exit.reason, found.exit.end), (&Reason::Exited, End::Signal(15)), "{found:?}");
}

fn moving(ground: &Ground) {
    let temporary = if ground.has_view() { "ok" } else { "none" };
    ground
        .check("moving()", &[("rename", &["ok"]), ("folder", &["ok"]), ("link", &["ok"]), ("temporary", &[temporary])]);
}
