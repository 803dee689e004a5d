//! The calls to the kernel for which Rust has no safe words. The crate's only `unsafe` is here.
#![expect(unsafe_code, reason = "what happens between fork and exec, and calls that no safe crate offers")]

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use rustix::process::{Gid, Pid, Signal, Uid};

use crate::uid::Identity;

/// What a process of ours does between its fork and its exec.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) identity: Identity,
    /// Descriptors that stay open across the exec.
    pub(crate) inherits: Vec<RawFd>,
    /// `cgroup.procs` files to enter.
    pub(crate) cgroups: Vec<RawFd>,
    /// Killed when the thread that spawns it ends.
    pub(crate) dies_with_parent: bool,
}

/// Gives a command its birth. From a server that is root nothing is executed before the rights are gone.
pub(crate) fn at_birth(command: &mut Command, birth: Birth) {
    let parent = rustix::process::getpid();
    let hook = move || {
        for file in &birth.cgroups {
            // SAFETY: the spawner holds the descriptor open until the exec, and a written number is two bytes long.
            let written = unsafe { libc::write(*file, c"0\n".as_ptr().cast(), 2) };
            if written != 2 {
                return Err(io::Error::last_os_error());
            }
        }
        if let Identity::Reserved(uid) = birth.identity {
            give_up_root(uid)?;
        }
        rustix::thread::set_no_new_privs(true)?;
        // No terminal to write to, and none whose interrupt would reach it.
        rustix::process::setsid()?;
        if birth.dies_with_parent {
            // After the uid was dropped: dropping it clears the wish.
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        // What nobody marked would otherwise be held by `bwrap`, if not by the program.
        close_on_exec()?;
        for descriptor in &birth.inherits {
            // SAFETY: as above; this changes a flag of a descriptor that is open.
            if unsafe { libc::fcntl(*descriptor, libc::F_SETFD, 0) } == -1 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the hook makes plain system calls, allocates nothing and takes no lock.
    unsafe { command.pre_exec(hook) };
}

/// Only the calling thread: after a fork it is the only one.
fn give_up_root(uid: u32) -> io::Result<()> {
    drop_bounding_set();
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    if rustix::process::geteuid() != user || rustix::process::getuid() != user || user.is_root() {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    Ok(())
}

/// What no exec gives back.
fn drop_bounding_set() {
    for capability in 0..64 {
        // SAFETY: takes a number and changes this process alone.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } == -1 {
            // The first one that this kernel does not know.
            break;
        }
    }
}

/// A user namespace of this process's own, in which it is this user and group and nobody else is anybody. What it may
/// do there as the namespace's owner ends with the next exec.
pub(crate) fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: takes a number and changes this process alone, which has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } == -1 {
        return Err(io::Error::last_os_error());
    }
    for map in ["/proc/self/uid_map", "/proc/self/gid_map"] {
        std::fs::write(map, format!("{id} 0 1"))?;
    }
    drop_bounding_set();
    Ok(())
}

/// Lets a command do something in its own process before it is executed.
///
/// For the helper alone, which has one thread: what is done may allocate.
pub(crate) fn before_exec(command: &mut Command, hook: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: a process with one thread holds no lock that its fork could wait for.
    unsafe { command.pre_exec(hook) };
}

/// Does something in a process of its own, which ends with that: with its code, or 101 if it panics.
///
/// For the helper alone, which has one thread. The process has no descriptor above 2 of the helper's.
pub(crate) fn fork(work: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: a process with one thread holds no lock that its fork could wait for.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: whoever owns one of them is above on the stack, and is not returned to.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0) };
            let code = if closed == 0 { catch_unwind(AssertUnwindSafe(work)).unwrap_or(101) } else { 102 };
            // SAFETY: ends this process alone, with nothing of what the helper had wanted to do at its end.
            unsafe { libc::_exit(code.into()) }
        }
        child => Pid::from_raw(child).ok_or_else(|| io::ErrorKind::InvalidData.into()),
    }
}

/// The version of Landlock's interface; 0 when there is none, or when it is switched off.
pub(crate) fn landlock_abi() -> u32 {
    const CREATE_RULESET_VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the call reads nothing and gives a number.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, CREATE_RULESET_VERSION)
    };
    u32::try_from(version).unwrap_or(0)
}

/// Puts this process and its children under a filter, for good.
pub(crate) fn install_filter(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program during the call, and only reads it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A session of this process's own. gVisor answers without its number, which the safe words for it do not bear.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: takes nothing and changes this process alone.
    if unsafe { libc::setsid() } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Every process that this one may signal, but itself.
pub(crate) fn kill_all_others() {
    // SAFETY: takes numbers. Whom it reaches is bounded by the namespace or by Landlock: see `helper::ending`.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// No descriptor above 2 outlives the next exec.
pub(crate) fn close_on_exec() -> io::Result<()> {
    // SAFETY: changes flags of this process's descriptors alone.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes a descriptor that was inherited under a number.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks for flags of a descriptor, which may be closed.
    if number <= 2 || unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, and the helper takes each number it was given once, before it opens anything.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
