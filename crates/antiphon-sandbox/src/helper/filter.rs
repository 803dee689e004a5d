//! The filter over system calls: what a program never needs, and what leads out of the walls.
//!
//! A list of what is refused, and a bound above it: calls that are newer than this list do not exist inside, so no
//! kernel brings one that nobody looked at. Calls of another machine's kind (32 bit, x32) end the process.

use std::io;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long, sock_filter};

use crate::host::Tier;
use crate::kernel;
use crate::order::Order;

/// `mseal`; numbers are the same on all machines there.
const NEWEST: u32 = 462;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// `clone` and `unshare` flags that make a namespace.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Where the parts of a call stand in what the filter sees.
const NUMBER: u32 = 0;
const KIND: u32 = 4;
const fn argument(index: u32) -> u32 {
    // Both kinds of machine are little-endian: the lower half comes first.
    16 + 8 * index
}

pub(super) fn install(order: &Order) -> io::Result<()> {
    kernel::install_filter(&program(order.tier, order.shares_uid))
}

/// Refused always.
const REFUSED: &[c_long] = &[
    // Mounts, and the ways to a file that pass by its path.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    STATMOUNT,
    LISTMOUNT,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_ioprio_set,
    // Parts of the kernel where most holes were found.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_personality,
    // The machine itself.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Memory that no process is seen to hold, and objects that outlive their maker.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS__sysctl];
#[cfg(target_arch = "aarch64")]
const REFUSED_HERE: &[c_long] = &[];

/// Refused in tier 2, where the program shares the machine's view: Landlock does not see watches.
const REFUSED_IN_VIEW: &[c_long] = &[
    libc::SYS_inotify_add_watch,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_inotify_init,
    libc::SYS_inotify_init1,
];

/// Refused where the program also has its user's uid: Landlock lets a file's owner change what is about a file.
/// Through a descriptor it stays possible, since that had to be opened first.
const REFUSED_TO_OWNER: &[c_long] = &[
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];

/// Each names a process first.
const SIGNALS: &[c_long] =
    &[libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo];

const FCHMODAT2: c_long = 452;
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;

fn program(tier: Tier, shares_uid: bool) -> Vec<sock_filter> {
    let mut filter = Filter(Vec::new());
    filter.load(KIND);
    filter.unless_equal(ARCHITECTURE, &[result(libc::SECCOMP_RET_KILL_PROCESS)]);
    filter.load(NUMBER);
    // x32 marks its calls with this bit.
    filter.if_above(0x3fff_ffff, result(libc::SECCOMP_RET_KILL_PROCESS));
    filter.if_above(NEWEST, refuse(libc::ENOSYS));
    // Its flags are in memory, where no filter sees them; libraries then use `clone`.
    filter.call(libc::SYS_clone3, &[refuse(libc::ENOSYS)]);
    for call in REFUSED.iter().chain(REFUSED_HERE) {
        filter.call(*call, &[refuse(libc::EPERM)]);
    }
    filter.call(libc::SYS_clone, &refuse_bits(0, NAMESPACES));
    filter.call(libc::SYS_ioctl, &refuse_values(1, &[libc::TIOCSTI as u32, libc::TIOCLINUX as u32]));
    // What reads another process's memory asks whether it is dumpable, and so does the warden.
    filter.call(libc::SYS_prctl, &refuse_values(0, &[libc::PR_SET_DUMPABLE as u32, libc::PR_SET_MM as u32]));
    // 0 is the process itself; a server of the same user could be named by its number.
    for call in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
    ] {
        filter.call(call, &allow_values(0, &[0]));
    }
    filter.call(libc::SYS_setpriority, &[allow_values(0, &[0]), allow_values(1, &[0])].concat_checks());
    filter.call(libc::SYS_socketpair, &allow_values(0, &[libc::AF_UNIX as u32]));
    match tier {
        Tier::Bwrap | Tier::Gvisor => {
            let families = [libc::AF_UNIX as u32, libc::AF_INET as u32, libc::AF_INET6 as u32];
            let kinds = [libc::SOCK_STREAM as u32, libc::SOCK_DGRAM as u32, libc::SOCK_SEQPACKET as u32];
            filter.call(libc::SYS_socket, &[allow_values(0, &families), allow_masked(1, 0xf, &kinds)].concat_checks());
        }
        Tier::Landlock => {
            filter.call(libc::SYS_socket, &[refuse(libc::EPERM)]);
            for call in REFUSED_IN_VIEW {
                filter.call(*call, &[refuse(libc::EPERM)]);
            }
        }
    }
    if tier == Tier::Gvisor {
        // The helper, which nothing else there keeps from the signals of its own user.
        for call in SIGNALS {
            filter.call(*call, &refuse_values(0, &[1]));
        }
    }
    if shares_uid {
        for call in REFUSED_TO_OWNER {
            filter.call(*call, &[refuse(libc::EPERM)]);
        }
        // Without a path it changes what its descriptor is open on.
        filter.call(libc::SYS_utimensat, &allow_null(1));
    }
    filter.0.push(result(libc::SECCOMP_RET_ALLOW));
    filter.0
}

struct Filter(Vec<sock_filter>);

impl Filter {
    fn load(&mut self, offset: u32) {
        self.0.push(load(offset));
    }

    fn unless_equal(&mut self, value: u32, then: &[sock_filter]) {
        self.0.push(jump(BPF_JEQ, value, then.len() as u8, 0));
        self.0.extend_from_slice(then);
    }

    fn if_above(&mut self, value: u32, then: sock_filter) {
        self.0.extend([jump(BPF_JGT, value, 0, 1), then]);
    }

    /// What becomes of a call: either the checks decide, or it is allowed behind them.
    fn call(&mut self, number: c_long, checks: &[sock_filter]) {
        let mut then = checks.to_vec();
        if then.len() > 1 {
            then.push(result(libc::SECCOMP_RET_ALLOW));
        }
        self.0.push(jump(BPF_JEQ, number as u32, 0, then.len() as u8));
        self.0.extend(then);
    }
}

/// Several checks after one another: each refuses, or leaves it to the next.
trait Concat {
    fn concat_checks(self) -> Vec<sock_filter>;
}

impl<const N: usize> Concat for [Vec<sock_filter>; N] {
    fn concat_checks(self) -> Vec<sock_filter> {
        self.concat()
    }
}

fn refuse_bits(index: u32, bits: u32) -> Vec<sock_filter> {
    vec![load(argument(index)), mask(bits), jump(BPF_JEQ, 0, 1, 0), refuse(libc::EPERM)]
}

fn refuse_values(index: u32, values: &[u32]) -> Vec<sock_filter> {
    let mut checks = vec![load(argument(index))];
    for value in values {
        checks.extend([jump(BPF_JEQ, *value, 0, 1), refuse(libc::EPERM)]);
    }
    checks
}

fn allow_values(index: u32, values: &[u32]) -> Vec<sock_filter> {
    allow_masked(index, u32::MAX, values)
}

fn allow_masked(index: u32, bits: u32, values: &[u32]) -> Vec<sock_filter> {
    let mut checks = vec![load(argument(index)), mask(bits)];
    for (at, value) in values.iter().enumerate() {
        // Over the values that are left, and the refusal.
        checks.push(jump(BPF_JEQ, *value, (values.len() - at) as u8, 0));
    }
    checks.push(refuse(libc::EPERM));
    checks
}

/// A pointer's both halves are 0.
fn allow_null(index: u32) -> Vec<sock_filter> {
    vec![
        load(argument(index)),
        jump(BPF_JEQ, 0, 0, 2),
        load(argument(index) + 4),
        jump(BPF_JEQ, 0, 1, 0),
        refuse(libc::EPERM),
    ]
}

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

fn mask(bits: u32) -> sock_filter {
    statement(BPF_ALU | BPF_AND | BPF_K, bits)
}

fn refuse(errno: i32) -> sock_filter {
    result(libc::SECCOMP_RET_ERRNO | errno as u32)
}

fn result(value: u32) -> sock_filter {
    statement(BPF_RET | BPF_K, value)
}

fn statement(code: u32, value: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k: value }
}

fn jump(test: u32, value: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt: then, jf: otherwise, k: value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do: the filter's own machine, as far as it is used here.
    fn judge(filter: &[sock_filter], kind: u32, number: u32, arguments: [u64; 2]) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => number,
            KIND => kind,
            offset => {
                let argument = arguments[(offset as usize - 16) / 8];
                (argument >> (8 * (offset % 8))) as u32
            }
        };
        let (mut at, mut register) = (0, 0);
        loop {
            let step = filter[at];
            at += 1;
            match u32::from(step.code) & 7 {
                libc::BPF_LD => register = word(step.k),
                libc::BPF_ALU => register &= step.k,
                libc::BPF_RET => return step.k,
                libc::BPF_JMP => {
                    let holds =
                        if u32::from(step.code) & 0xf0 == BPF_JGT { register > step.k } else { register == step.k };
                    at += usize::from(if holds { step.jt } else { step.jf });
                }
                other => panic!("an instruction of class {other}"),
            }
        }
    }

    #[test]
    fn calls_have_their_outcomes() {
        let allow = libc::SECCOMP_RET_ALLOW;
        let kill = libc::SECCOMP_RET_KILL_PROCESS;
        let denied = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        let unknown = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        let tier_1 = program(Tier::Bwrap, false);
        let tier_2 = program(Tier::Landlock, false);
        let as_user = program(Tier::Landlock, true);
        let check = |number: c_long, arguments: [u64; 2], expected: [u32; 3]| {
            let found =
                [&tier_1, &tier_2, &as_user].map(|filter| judge(filter, ARCHITECTURE, number as u32, arguments));
            assert_eq!(found, expected, "call {number} with {arguments:x?}");
        };
        check(libc::SYS_read, [0, 0], [allow; 3]);
        check(libc::SYS_execve, [0, 0], [allow; 3]);
        check(libc::SYS_clone3, [0, 0], [unknown; 3]);
        check(NEWEST.into(), [0, 0], [allow; 3]);
        check(c_long::from(NEWEST) + 1, [0, 0], [unknown; 3]);
        for call in REFUSED.iter().chain(REFUSED_HERE) {
            check(*call, [0, 0], [denied; 3]);
        }
        let thread = libc::CLONE_VM as u64 | libc::CLONE_THREAD as u64;
        check(libc::SYS_clone, [thread, 0], [allow; 3]);
        check(libc::SYS_clone, [libc::SIGCHLD as u64, 0], [allow; 3]);
        check(libc::SYS_clone, [thread | libc::CLONE_NEWUSER as u64, 0], [denied; 3]);
        check(libc::SYS_clone, [libc::CLONE_NEWNET as u64, 0], [denied; 3]);
        check(libc::SYS_ioctl, [0, libc::TIOCSTI], [denied; 3]);
        check(libc::SYS_ioctl, [0, libc::TIOCSTI | 1 << 32], [denied; 3]);
        check(libc::SYS_ioctl, [0, libc::TIOCLINUX], [denied; 3]);
        check(libc::SYS_ioctl, [0, libc::TCGETS], [allow; 3]);
        check(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as u64, 0], [denied; 3]);
        check(libc::SYS_prctl, [libc::PR_SET_NAME as u64, 0], [allow; 3]);
        check(libc::SYS_prlimit64, [0, 7], [allow; 3]);
        check(libc::SYS_prlimit64, [4321, 7], [denied; 3]);
        check(libc::SYS_setpriority, [0, 0], [allow; 3]);
        check(libc::SYS_setpriority, [0, 4321], [denied; 3]);
        check(libc::SYS_setpriority, [2, 0], [denied; 3]);
        let [unix, inet, inet6] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(|family| family as u64);
        let [stream, datagram, raw] = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW].map(|kind| kind as u64);
        for family in [unix, inet, inet6] {
            check(libc::SYS_socket, [family, stream | libc::SOCK_CLOEXEC as u64], [allow, denied, denied]);
            check(libc::SYS_socket, [family, datagram], [allow, denied, denied]);
            check(libc::SYS_socket, [family, raw], [denied; 3]);
        }
        for family in [libc::AF_VSOCK, libc::AF_ALG, libc::AF_NETLINK, libc::AF_PACKET, 0, 3, 45] {
            check(libc::SYS_socket, [family as u64, stream], [denied; 3]);
        }
        check(libc::SYS_socketpair, [unix, stream], [allow; 3]);
        check(libc::SYS_socketpair, [inet, stream], [denied; 3]);
        check(libc::SYS_inotify_init1, [0, 0], [allow, denied, denied]);
        check(libc::SYS_fchmodat, [0, 1], [allow, allow, denied]);
        check(libc::SYS_fchmod, [0, 1], [allow; 3]);
        check(libc::SYS_utimensat, [3, 0], [allow; 3]);
        check(libc::SYS_utimensat, [3, 1], [allow, allow, denied]);
        check(libc::SYS_utimensat, [3, 1 << 32], [allow, allow, denied]);

        // 32 bit, whatever its number means there, and x32.
        assert_eq!(judge(&tier_1, 0x4000_0003, libc::SYS_read as u32, [0, 0]), kill);
        assert_eq!(judge(&tier_1, ARCHITECTURE, 0x4000_0000, [0, 0]), kill);
        assert_eq!(judge(&tier_1, ARCHITECTURE, u32::MAX, [0, 0]), kill);
    }
}
