# Tries what a sandbox must refuse, and says what came of it. The tests run it inside; the name of the attempt and its
# arguments are appended. Outside of a sandbox it refuses to run: some of it would do harm there.
import ctypes, errno, json, mmap, os, platform, signal, socket, struct, subprocess, sys, time

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NUMBERS = {
    # name: (x86_64, aarch64); where both are the same, one number
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "mount_setattr": 442,
    "unshare": (272, 97), "setns": (308, 268), "clone": (56, 220), "clone3": 435,
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": 434, "pidfd_getfd": 438,
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142),
    "memfd_create": (319, 279), "shmget": (29, 194), "prlimit64": (302, 261), "setpriority": (141, 140),
}


def named(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def attempt(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return named(error)
    return "ok"


def call(name, *arguments):
    number = NUMBERS[name]
    if isinstance(number, tuple):
        number = number[0 if X86 else 1]
    ctypes.set_errno(0)
    if LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(argument) for argument in arguments]) == -1:
        return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
    return "ok"


def calls(*wanted):
    return {name: call(name, *arguments) for name, *arguments in wanted}


def reading(*paths):
    def read(path):
        if os.path.isdir(path):
            os.listdir(path)
        else:
            with open(path, "rb") as file:
                file.read(1)
    return {path: attempt(read, path) for path in paths}


def writing(*paths):
    def write(path):
        with open(path, "ab") as file:
            file.write(b"x")
    return {path: attempt(write, path) for path in paths}


def inside():
    return writing("here", os.path.join(os.environ["TMPDIR"], "there"), os.path.join(os.environ["HOME"], "home"))


def moving():
    for folder in ("here/a", "there"):
        os.makedirs(folder)
    open("here/file", "w").close()
    outcomes = {
        "rename": attempt(os.rename, "here/file", "there/file"),
        "folder": attempt(os.rename, "here/a", "there/a"),
        "link": attempt(os.link, "there/file", "here/link"),
        "temporary": "none",
    }
    if os.environ["TMPDIR"] == "/tmp":
        os.makedirs("/tmp/a/b")
        outcomes["temporary"] = attempt(os.rename, "/tmp/a/b", "/tmp/b")
    return outcomes


def environment():
    return dict(os.environ)


def descriptors():
    return {str(number): "open" for number in range(3, 1024) if attempt(os.fstat, number) == "ok"}


def connecting(*places):
    def connect(family, kind, address):
        with socket.socket(family, kind) as client:
            client.settimeout(5)
            client.connect(address)
    families = {"v4": socket.AF_INET, "v6": socket.AF_INET6, "unix": socket.AF_UNIX}
    outcomes = {}
    for index, (family, address) in enumerate(places):
        if family == "abstract":
            family, address = "unix", "\0" + address
        if isinstance(address, list):
            address = tuple(address)
        outcomes[str(index)] = attempt(connect, families[family], socket.SOCK_STREAM, address)
    return outcomes


def datagrams(port):
    def send(family, address):
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", (address, port))
    attempt(send, socket.AF_INET, "127.0.0.1")
    attempt(send, socket.AF_INET6, "::1")
    return {}


def sockets():
    kinds = {
        "raw": (socket.AF_INET, socket.SOCK_RAW, 1), "raw v6": (socket.AF_INET6, socket.SOCK_RAW, 58),
        "packet": (17, socket.SOCK_RAW, 0), "netlink": (16, socket.SOCK_RAW, 0),
        "vsock": (40, socket.SOCK_STREAM, 0), "alg": (38, socket.SOCK_SEQPACKET, 0),
        "xdp": (44, socket.SOCK_RAW, 0), "bluetooth": (31, socket.SOCK_RAW, 1), "tipc": (30, socket.SOCK_STREAM, 0),
    }
    return {name: attempt(lambda: socket.socket(*kind).close()) for name, kind in kinds.items()}


def loopback():
    def converse():
        with socket.create_server(("127.0.0.1", 0)) as server:
            with socket.create_connection(server.getsockname(), timeout=5) as client:
                peer, _ = server.accept()
                client.sendall(b"hello")
                if peer.recv(5) != b"hello":
                    raise OSError(errno.EIO, "another answer")
    left, right = socket.socketpair()
    left.sendall(b"x")
    return {"loopback": attempt(converse), "socketpair": "ok" if right.recv(1) == b"x" else "lost"}


def namespaces():
    new_user = 0x10000000
    outcomes = {}
    for name, flag in {"user": new_user, "mount": 0x20000, "net": 0x40000000, "pid": 0x20000000, "time": 0x80}.items():
        outcomes["unshare " + name] = call("unshare", flag)
    outcomes["clone user"] = call("clone", new_user | signal.SIGCHLD, 0, 0, 0, 0)
    outcomes["clone3"] = call("clone3", 0, 0)
    return outcomes


def others(pid):
    buffer = ctypes.create_string_buffer(64)
    outcomes = calls(
        ("ptrace", 16, pid, 0, 0), ("process_vm_readv", pid, 0, 0, 0, 0, 0), ("process_vm_writev", pid, 0, 0, 0, 0, 0),
        ("pidfd_getfd", 0, 0, 0), ("setpriority", 0, pid, 19),
    )
    outcomes["prlimit64"] = call("prlimit64", pid, 7, 0, ctypes.addressof(buffer))
    outcomes["affinity"] = attempt(os.sched_setaffinity, pid, {0})
    return outcomes


def killing(pid):
    outcomes = {"one": attempt(os.kill, pid, signal.SIGKILL), "parent": attempt(os.kill, os.getppid(), signal.SIGKILL)}
    attempt(os.kill, -1, signal.SIGKILL)
    outcomes["alive"] = "ok"
    return outcomes


def processes():
    try:
        listed = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError as error:
        return {"list": named(error)}
    outcomes = {"list": "few" if len(listed) <= 4 else str(listed), "first": open("/proc/1/comm").read().strip()}
    for process in listed:
        # Another process's root, memory and descriptors; those of the program itself are its own.
        if int(process) == os.getpid():
            continue
        for part in ("root", "cwd"):
            outcomes[process + " " + part] = attempt(os.listdir, "/proc/" + process + "/" + part)
        for part in ("fd/0", "fd/1", "exe"):
            outcomes[process + " " + part] = attempt(os.stat, "/proc/" + process + "/" + part)
        outcomes[process + " mem"] = attempt(open, "/proc/" + process + "/mem", "r+b")
    return outcomes


def sysctl():
    writable = []
    for folder, _, files in os.walk("/proc/sys"):
        for file in files:
            path = os.path.join(folder, file)
            try:
                os.close(os.open(path, os.O_WRONLY))
                writable.append(path)
            except OSError:
                pass
    return {"writable": " ".join(writable), **writing("/proc/sys/kernel/core_pattern", "/proc/self/oom_score_adj")}


def devices():
    outcomes = {
        "char": attempt(os.mknod, "char", 0o20666, os.makedev(1, 3)),
        "block": attempt(os.mknod, "block", 0o60666, os.makedev(253, 0)),
    }
    return {**outcomes, **reading("/dev/kvm", "/dev/vda", "/dev/mem", "/dev/fuse", "/dev/vsock", "/dev/net/tun")}


def privileges():
    read = lambda option, argument=0: LIBC.prctl(option, argument, 0, 0, 0)
    outcomes = {"no new privileges": read(39), "seccomp": read(21)}
    outcomes["setuid"] = attempt(os.setuid, 0)
    outcomes["bounding"] = sum(read(23, capability) == 1 for capability in range(41))
    header = struct.pack("II", 0x20080522, 0)
    sets = ctypes.create_string_buffer(24)
    LIBC.capget(header, sets)
    outcomes["capabilities"] = sum(struct.unpack("6I", sets.raw))
    su = [path for path in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount") if os.path.exists(path)]
    program = "import os; print(os.geteuid())"
    del program
    for path in su:
        # A setuid program starts, and has no more rights than this one.
        result = subprocess.run([path, "-c", "id -u"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        outcomes["as root by " + path] = result.stdout.strip() == "0"
    return outcomes


def terminals():
    import fcntl
    return {
        "TIOCSTI": attempt(fcntl.ioctl, 1, 0x5412, b"x"),
        "TIOCLINUX": attempt(fcntl.ioctl, 1, 0x541C, b"\x02"),
    }


def ended_by(function):
    child = os.fork()
    if child == 0:
        function()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "survived"


def kinds():
    if not X86:
        return {"32 bit": "SIGSYS", "x32": "SIGSYS", "filtered": "SIGSYS"}

    def old_call(number):
        # mov eax, number; int 0x80; ret
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8" + struct.pack("<I", number) + b"\xcd\x80\xc3")
        return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()

    ends = {"32 bit": ended_by(lambda: old_call(20)), "x32": ended_by(lambda: LIBC.syscall(ctypes.c_long(0x40000000 | 39)))}
    # The number of a call that the filter refuses, whichever kind it is taken for.
    child = os.fork()
    if child == 0:
        answer = old_call(NUMBERS["unshare"][0])
        os._exit(-answer if answer < 0 else 0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        ends["filtered"] = signal.Signals(os.WTERMSIG(status)).name
    else:
        ends["filtered"] = errno.errorcode.get(os.WEXITSTATUS(status), "ok")
    return ends


def forks():
    born = []
    outcome = "no limit"
    while len(born) < 500:
        try:
            child = os.fork()
        except OSError as error:
            outcome = named(error)
            break
        if child == 0:
            signal.pause()
        born.append(child)
    return {"born": len(born), "outcome": outcome}


def bomb():
    print("ready", flush=True)
    while True:
        try:
            os.fork()
        except OSError:
            pass


def work():
    try:
        result = subprocess.run(["/usr/bin/env", "echo", "worked"], capture_output=True, text=True)
    except OSError as error:
        return {"work": named(error)}
    return {"work": result.stdout.strip()}


def hold(mebibytes, children):
    for _ in range(children):
        if os.fork() == 0:
            break
    block = bytearray(mebibytes << 20)
    for place in range(0, len(block), 4096):
        block[place] = 1
    signal.pause()


def fill(way):
    count = 0
    kept = []
    while True:
        count += 1
        if way == "files":
            open(str(count), "wb").write(b"x" * (256 << 10))
        elif way == "unlinked":
            file = open("file", "wb")
            os.unlink("file")
            file.write(b"x" * (256 << 10))
            file.flush()
            kept.append(file)
        elif way == "entries":
            os.close(os.open(str(count), os.O_CREAT | os.O_WRONLY))
        elif way == "deep":
            os.mkdir("d")
            os.chdir("d")
        elif way == "hidden":
            os.mkdir("h")
            os.fchmod(os.open("h", os.O_RDONLY), 0)
            signal.pause()
        # At most 256 MiB a second, so that the overshoot is bounded by the watch and not by the disk.
        time.sleep(0.001)


def full(folder):
    def write():
        for count in range(64):
            with open(os.path.join(folder, str(count)), "wb") as file:
                file.write(b"x" * (8 << 20))
    return {"fill": attempt(write)}


def sparse():
    def truncate():
        with open("sparse", "wb") as file:
            file.truncate(1 << 40)
    return {"truncate": attempt(truncate)}


def daemon(marker):
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import os, signal; open('alive', 'w'); signal.pause()", marker])
        os._exit(0)
    while not os.path.exists("alive"):
        time.sleep(0.01)
    return {"daemon": "ok"}


def wait(marker):
    subprocess.Popen([sys.executable, "-c", "import signal; print('ready', flush=True); signal.pause()", marker])
    signal.pause()


def flood():
    block = b"x" * (1 << 20)
    for _ in range(1024):
        os.write(1, block)


def ugly():
    os.write(1, b"nul:\0 bad:\xff\xfe cut:\xe2\x82 ansi:\x1b[31mred\x1b[0m\n")
    os.write(2, b"\xf0\x9f\x99")
    os.write(1, b"y" * (10 << 20))


if call("clone3", 0, 0) != "ENOSYS" or attempt(open, "/etc/passwd") == "ok":
    print("this runs inside of a sandbox only")
    sys.exit(3)
