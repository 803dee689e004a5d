"""(h) What a second of sound costs, from its bytes to its words."""

import base64
import http.client
import json
import os
import re
import statistics
import time
import tomllib
from pathlib import Path

from creates import scripted
from setting import Limit, Report, progress

AUDIO = Path(__file__).resolve().parent.parent / "conformance" / "media" / "audio"
MODEL = "whisper-base"
CORES = 2
TICKS = os.sysconf("SC_CLK_TCK")
METHOD = """
The sounds of `conformance/media/audio`, each sent inline to a server with a scripted model, which has it checked and
then listened to by processes of its own. *clock* is the time from the request to its answer, *processor* what the
server and these processes have computed meanwhile (`/proc/PID/stat`), both by the seconds of the sound; 2 cores could
have computed for twice the clock. {repeats} turns, each with a new server, which has heard nothing before; medians. *all with speech*
is by the seconds of all of them together, so that long ones count for more. Where nobody speaks no words are looked for.
"""


def measure(setting):
    setting.pull(MODEL)
    sounds = tomllib.loads((AUDIO / "sounds.toml").read_text())["sound"]
    if setting.quick:
        sounds = [sounds[0], sounds[-1]]
    found = {}
    for turn in range(setting.repeats):
        progress(f"(h) turn {turn + 1} of {setting.repeats}")
        with scripted(setting) as server:
            for sound in sounds:
                found.setdefault(sound["file"], []).append(heard(server, sound))
    spoken = [sound["file"] for sound in sounds if "text" in sound]
    rows = [["sound", "s", "clock, s per s", "processor, s per s"]]
    for file, turns in found.items():
        seconds = turns[0][0]
        clock, processor = (statistics.median(turn[at] for turn in turns) / seconds for at in (1, 2))
        what = file if file in spoken else f"{file} (no speech)"
        rows.append([what, f"{seconds:.1f}", f"{clock:.3f}", f"{processor:.3f}"])
    totals = [[sum(turn[at] for turn in turns) for at in range(3)] for turns in zip(*map(found.get, spoken), strict=True)]
    clock, processor = (statistics.median(total[at] / total[0] for total in totals) for at in (1, 2))
    rows.append(["**all with speech**", f"{totals[0][0]:.1f}", f"{clock:.3f}", f"{processor:.3f}"])
    limits = [
        Limit("a second of sound: seconds by the clock", clock, most=0.4),
        Limit("a second of sound: seconds of 2 cores", processor / CORES, most=0.4),
    ]
    return Report("A second of sound", METHOD.format(repeats=setting.repeats), [rows], limits)


def heard(server, sound):
    """The seconds of a sound, those until it was answered, and those that were computed for it."""
    data = base64.b64encode((AUDIO / sound["file"]).read_bytes()).decode()
    part = {"type": "audio", "mime_type": sound["type"], "data": data}
    body = json.dumps({"model": "scripted", "input": [{"type": "user_input", "content": [part]}]})
    connection = http.client.HTTPConnection(*server.address, timeout=600)
    connection.connect()
    computed, sent = processor_seconds(server.pid), time.perf_counter()
    connection.request("POST", server.path, body, server.headers)
    response = connection.getresponse()
    answer = json.load(response)
    took = time.perf_counter() - sent
    connection.close()
    if response.status != 200 or answer["status"] != "completed":
        raise RuntimeError(f"{sound['file']}: {response.status}: {json.dumps(answer)[:500]}")
    told = next(step for step in answer["steps"] if step["type"] == "thought")["summary"][0]["text"]
    listened = re.search(r"([\d.]+) seconds were listened to", told)
    # What was said is judged by `conformance/media`; here words where nobody speaks would be another work.
    if not listened or "[00:" in told and "text" not in sound:
        raise RuntimeError(f"{sound['file']} is told as {told}")
    return float(listened[1]), took, processor_seconds(server.pid) - computed


def processor_seconds(pid):
    """Of a process and of those that it has started and that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS
