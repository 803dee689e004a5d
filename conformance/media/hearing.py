"""Listens to the sounds of `audio` with the installed model, and counts wrong words.

    hearing.py ANTIPHON WHISPER-FOLDER

Prints a line per sound and the totals; fails when English words are wrong more often than 15 in 100, when a sound
without words has words, when a language is wrong, or when a sound is not heard at all. Portuguese is printed and has no
bound: its only voice here is a synthetic one, which people have trouble with too.
"""

import json
import os
import resource
import subprocess
import sys
import time
import tomllib
import unicodedata
from pathlib import Path

AUDIO = Path(__file__).parent / "audio"
MOST_WRONG = 0.15

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def spoken(number: int) -> str:
    """A number below a million in English words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (" " + ONES[number % 10] if number % 10 else "")
    if number < 1000:
        rest = " " + spoken(number % 100) if number % 100 else ""
        return ONES[number // 100] + " hundred" + rest
    rest = " " + spoken(number % 1000) if number % 1000 else ""
    return spoken(number // 1000) + " thousand" + rest


def words(text: str, language: str) -> list[str]:
    """Lower case, without punctuation, and English numbers as words."""
    text = unicodedata.normalize("NFC", text.lower()).replace("’", "'")
    kept = "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text.replace(",", ""))
    found = []
    for word in kept.split():
        is_number = language == "en" and word.isdecimal() and len(word) <= 6
        found += spoken(int(word)).split() if is_number else [word.strip("'")]
    return [word for word in found if word]


def wrong(expected: list[str], got: list[str]) -> int:
    """Words replaced, left out or put in, at least."""
    row = list(range(len(got) + 1))
    for index, word in enumerate(expected, 1):
        before, row[0] = row[0], index
        for at, other in enumerate(got, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]


def hear(antiphon: str, folder: str, sound: dict) -> tuple[dict, float, float]:
    """The transcript, and the seconds that it took: by the clock, and computed."""
    order = {
        "claim": {"mime_type": sound["type"], "sample_rate": sound.get("rate"), "channels": None},
        "extent": {"start": None, "end": None, "longest": {"secs": 1800, "nanos": 0}},
        "listen": {"folder": folder, "options": {"language": None}},
    }
    content = json.dumps(order).encode() + b"\n" + (AUDIO / sound["file"]).read_bytes()
    used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([antiphon, "hear"], input=content, stdout=subprocess.PIPE, check=True)
    taken, now = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    last = json.loads(done.stdout.splitlines()[-1])
    if "transcript" not in last:
        sys.exit(f"{sound['file']}: {last}")
    return last["transcript"], taken, computed


def main() -> None:
    antiphon, folder = sys.argv[1:]
    sounds = tomllib.loads((AUDIO / "sounds.toml").read_text())["sound"]
    errors, counts, faults = {}, {}, []
    clock = spent = heard = 0.0
    for sound in sounds:
        transcript, taken, computed = hear(antiphon, folder, sound)
        text = " ".join(segment["text"] for segment in transcript["segments"])
        language = sound.get("language", "none")
        expected, got = words(sound.get("text", ""), language), words(text, language)
        bad = wrong(expected, got)
        errors[language] = errors.get(language, 0) + bad
        counts[language] = counts.get(language, 0) + len(expected)
        clock, spent, heard = clock + taken, spent + computed, heard + transcript["seconds"]
        print(
            f"{sound['file']:28} {transcript['seconds']:6.1f} s heard in {taken:5.1f} s ({computed:5.1f} s computed), "
            f"{transcript['language']} {transcript['probability']:.2f}, {bad}/{len(expected)} wrong: {text}"
        )
        if language == "none" and got:
            faults.append(f"{sound['file']} has no words, but these were heard: {text}")
        if language != "none" and transcript["language"] != language and language == "en":
            faults.append(f"{sound['file']} was taken for {transcript['language']}")
        ends = [segment["end"] for segment in transcript["segments"]]
        if ends != sorted(ends) or any(end > transcript["seconds"] + 0.1 for end in ends):
            faults.append(f"{sound['file']}: its segments are out of order or beyond its end")
    for language in sorted(counts):
        if counts[language]:
            rate = errors[language] / counts[language]
            print(f"{language}: {errors[language]} of {counts[language]} words wrong ({rate:.3f})")
            if language == "en" and rate > MOST_WRONG:
                faults.append(f"more than {MOST_WRONG} of the English words are wrong")
    cores = len(os.sched_getaffinity(0))
    print(f"one second of sound: {clock / heard:.3f} s by the clock on {cores} cores, {spent / heard:.3f} s computed")
    if faults:
        sys.exit("\n".join(faults))


main()
