"""(f) What a gateway adds to a service that answers at once, at rising rates, beside other gateways.

Run as a program it measures, inside a network namespace of its own: one of the contenders listens
on every address, and none of them shall reach anything.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

from serving import Antiphon, Process, get
from setting import Limit, Report, Setting, progress

LITELLM, PORTKEY = "1.106.2", "1.15.2"
RATES = (10, 20, 30, 40, 60, 80, 120, 160, 320, 640, 960, 1280, 1920, 2560, 3840)
CONNECTIONS = 256
# Slower is no service, whatever the rate.
SLOWEST_P99_MS = 2000

METHOD = """
Requests at a fixed rate, due whether or not earlier ones were answered (open loop), over {connections} connections at
most, to a service of chat completions that answers at once: directly, and through each gateway. A rate is *sustained*
when every request was answered with 200, at 95 % of the rate or more, with a p99 below {slowest} ms; the rates rise
until one is not. {repeats} turns of {seconds} s each, after one that is not counted; figures are medians of the turns.
*Added* is the p50 beyond that of the service asked directly at the same rate, in the same turn. Load, gateway and service share {cores} cores, in a
network namespace with nothing but its loopback.

- *antiphon*: `POST /v1beta/interactions`, stored in SQLite with full durability, or with `store: false`.
- *LiteLLM* {litellm}: its own interactions route, one worker, no database; it asks the service for responses.
- *Portkey* {portkey}: chat completions, since it has no interactions.
"""


@dataclasses.dataclass(frozen=True)
class Contender:
    name: str
    address: tuple[str, int]
    path: str
    headers: dict
    body: dict

    def request(self):
        body = json.dumps(self.body).encode()
        head = [f"POST {self.path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
        head += [f"{name}: {value}" for name, value in self.headers.items()] + [f"content-length: {len(body)}"]
        return "\r\n".join([*head, "", ""]).encode() + body


DIRECT, UNSTORED, STORED, LITE, PORT = "service alone", "antiphon, `store: false`", "antiphon, stored", "LiteLLM", "Portkey"


def measure(setting):
    """Runs this file in a namespace and reads what it found."""
    plan = {
        "binaries": str(setting.binaries), "scratch": str(setting.scratch), "quick": setting.quick,
        "repeats": setting.repeats, "gateway": os.environ["ANTIPHON_BENCH_GATEWAY"],
        "litellm": os.environ.get("ANTIPHON_BENCH_LITELLM"), "portkey": os.environ.get("ANTIPHON_BENCH_PORTKEY"),
    }  # fmt: skip
    command = ["unshare", "--map-root-user", "--net", "--", sys.executable, __file__, json.dumps(plan)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return report(setting, json.loads(run.stdout))


def report(setting, found):
    """`found` has, for every way of asking, each contender's turns: rate to p50, p99 and whether it was sustained."""
    rows = [["way", "contender", "highest sustained rate, 1/s", "p50 at 10/s, ms", "p99 at 10/s, ms"]]
    compared = [["way", "antiphon", "rate, 1/s", "added p50, ms", "LiteLLM's, ms", "LiteLLM ÷ antiphon", "rates"]]
    limits = []
    for way, contenders in found.items():
        highest = {name: statistics.median_low(best(turn) for turn in turns) for name, turns in contenders.items()}
        for name, turns in contenders.items():
            first = [turn[str(RATES[0])] for turn in turns]
            p50, p99 = (statistics.median(point[key] for point in first) for key in ("p50", "p99"))
            rows.append([way, name, str(highest[name]), f"{p50:.2f}", f"{p99:.2f}"])
        for name, least in ((UNSTORED, 20), (STORED, 10)):
            if LITE not in contenders or not highest[LITE]:
                continue
            rate = min(highest[name], highest[LITE])
            ours, theirs = (added(contenders, who, rate) for who in (name, LITE))
            # Below what the clock tells apart the ratio would mean nothing.
            ratio = theirs / max(ours, 0.01)
            rates = highest[name] / highest[LITE]
            compared.append([way, name, str(rate), f"{ours:.3f}", f"{theirs:.2f}", f"{ratio:.1f}", f"{rates:.1f}"])
            limits.append(Limit(f"{way}, {name}: LiteLLM's added p50 ÷ ours at {rate}/s", ratio, least=least))
            if name == UNSTORED:
                limits.append(Limit(f"{way}, {name}: our highest sustained rate ÷ LiteLLM's", rates, least=20))
    method = METHOD.format(
        connections=CONNECTIONS, slowest=SLOWEST_P99_MS, repeats=setting.repeats, seconds=seconds(setting),
        cores=setting.threads, litellm=LITELLM, portkey=PORTKEY,
    )  # fmt: skip
    missing = [name for name in (LITE, PORT) if any(name not in contenders for contenders in found.values())]
    if missing:
        method += f"\n**Not there: {', '.join(missing)}**.\n"
    return Report("What a gateway adds", method, [compared, rows], limits)


def best(turn):
    return max((int(rate) for rate, point in turn.items() if point["sustained"]), default=0)


def added(contenders, name, rate):
    turns = zip(contenders[name], contenders[DIRECT], strict=True)
    reached = [(turn[str(rate)], direct[str(rate)]) for turn, direct in turns if str(rate) in turn]
    return statistics.median(point["p50"] - direct["p50"] for point, direct in reached)


def seconds(setting):
    return 1 if setting.quick else 3


def main(plan):
    raise_loopback()
    setting = Setting(
        binaries=Path(plan["binaries"]), reference=None, scratch=Path(plan["scratch"]), quick=plan["quick"],
        repeats=plan["repeats"], models=(),
    )  # fmt: skip
    with contextlib.ExitStack() as open_servers:
        service = open_servers.enter_context(Service(setting, lambda _: [plan["gateway"], "service"]))
        contenders = dict(servers(setting, plan, service.address, open_servers))
        print(json.dumps({way: climb(setting, plan, contenders, way == "streamed") for way in ("plain", "streamed")}))


def servers(setting, plan, service, open_servers):
    """Starts every gateway; pairs of a name and how to ask it."""
    url = f"http://{service[0]}:{service[1]}/v1"
    chat = {"model": "mock", "messages": [{"role": "user", "content": "Say ok."}]}
    interaction = {"model": "mock", "input": "Say ok."}
    yield DIRECT, Contender(DIRECT, service, "/v1/chat/completions", {}, chat)

    config = f'[[models]]\nname = "mock"\nbackend = "openai"\nurl = "{url}"\nconcurrency = {CONNECTIONS}\n'
    ours = open_servers.enter_context(Antiphon(setting, config))
    for name, store in ((UNSTORED, False), (STORED, True)):
        yield name, Contender(name, ours.address, ours.path, ours.headers, interaction | {"store": store})

    if plan["litellm"]:
        lite = open_servers.enter_context(LiteLlm(setting, plan["litellm"], url))
        headers = {"authorization": "Bearer none"}
        yield LITE, Contender(LITE, lite.address, "/v1beta/interactions", headers, interaction)
    if plan["portkey"]:
        port = open_servers.enter_context(Portkey(setting, plan["portkey"]))
        headers = {"authorization": "Bearer none", "x-portkey-provider": "openai", "x-portkey-custom-host": url}
        yield PORT, Contender(PORT, port.address, "/v1/chat/completions", headers, chat)


def climb(setting, plan, contenders, streamed):
    """For each contender its turns: rate to what was measured, up to the first that was not sustained."""
    found = {name: [] for name in contenders}
    for contender in contenders.values():
        # First requests load what later ones find.
        load(setting, plan, contender, RATES[0], streamed)
    for turn in range(setting.repeats):
        reached = {name: {} for name in contenders}
        for rate in RATES[:3] if setting.quick else RATES:
            for name, contender in contenders.items():
                if any(not point["sustained"] for point in reached[name].values()):
                    continue
                way = "streamed" if streamed else "plain"
                progress(f"(f) {way}, turn {turn + 1} of {setting.repeats}, {rate}/s, {name}")
                reached[name][rate] = load(setting, plan, contender, rate, streamed)
        for name, points in reached.items():
            found[name].append(points)
    return found


def load(setting, plan, contender, rate, streamed):
    asked = dataclasses.replace(contender, body=contender.body | ({"stream": True} if streamed else {}))
    file = setting.scratch / "request"
    file.write_bytes(asked.request())
    address = f"{contender.address[0]}:{contender.address[1]}"
    command = [plan["gateway"], "load", address, rate, seconds(setting), CONNECTIONS, file]
    run = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    point = json.loads(run.stdout)
    point["sustained"] = (
        point["failed"] == 0 and point["per_second"] >= 0.95 * rate and point["p99"] < SLOWEST_P99_MS
    )
    return point


class Service(Process):
    """What the gateways ask. It holds nothing that it could lose."""

    ends = (-signal.SIGTERM,)


class Elsewhere(Process):
    """A gateway that does not say where it listens: it is told, and asked until it answers."""

    alive = "/"

    def __init__(self, setting, command, **options):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = free.getsockname()
        super().__init__(setting, command, **options)

    def __enter__(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True, **self.options)
        deadline = time.monotonic() + 180
        while get(self.address, self.alive) != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise self.broken("did not become ready")
            time.sleep(0.1)
        return self

    def __exit__(self, kind, error, trace):
        self.end()

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class LiteLlm(Elsewhere):
    alive = "/health/liveliness"

    def __init__(self, setting, folder, url):
        def command(scratch):
            model = {"model": "openai/mock", "api_base": url, "api_key": "none"}
            config = {"model_list": [{"model_name": "mock", "litellm_params": model}]}
            # JSON is YAML.
            (scratch / "config.yaml").write_text(json.dumps(config))
            return [Path(folder) / "bin" / "litellm", "--config", scratch / "config.yaml", "--host", "127.0.0.1",
                    "--port", self.address[1], "--telemetry", "False"]  # fmt: skip

        # Without the first the start asks the network for prices; nothing else is in this network, so it needs no key.
        permitted = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
        super().__init__(setting, command, env=os.environ | permitted)


class Portkey(Elsewhere):
    def __init__(self, setting, folder):
        script = Path(folder) / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
        super().__init__(setting, lambda _: ["node", script, "--headless", f"--port={self.address[1]}"])


def raise_loopback():
    """A new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        siocgifflags, siocsifflags, up = 0x8913, 0x8914, 1
        flags = fcntl.ioctl(handle, siocgifflags, struct.pack("16sh14x", b"lo", 0))
        [current] = struct.unpack("16xh14x", flags)
        fcntl.ioctl(handle, siocsifflags, struct.pack("16sh14x", b"lo", current | up))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
