"""What is told of every sound that `audio/sounds.toml` names: how many words are wrong, and whether sounds without
words have none.
"""

import pathlib
import re
import struct
import tomllib
import unicodedata

from server import Wrong, distance

AUDIO = pathlib.Path(__file__).parent / "audio"
MOST_WRONG = 0.15
KENNEDY = "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."

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


def words(text: str, language: str | None) -> list[str]:
    """Lower case, without punctuation, and English numbers as words."""
    text = unicodedata.normalize("NFC", text.lower()).replace("’", "'")
    kept = "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text.replace(",", ""))
    found = []
    for word in kept.split():
        is_number = language == "en" and word.isdecimal() and len(word) <= 6
        found += spoken(int(word)).split() if is_number else [word.strip("'")]
    return [word for word in found if word]


def told_words(told):
    """The language, and the words with the seconds at which they begin: none where nobody speaks."""
    language = re.search(r"seconds were listened to\. The language is `(\w+)`", told.text)
    pieces = re.findall(r"^\[(\d+):(\d\d)\] (.*)$", told.text, re.MULTILINE)
    if not (pieces if language else "No speech was found" in told.text and not pieces):
        raise Wrong(f"it is told as {told.text}")
    times = [int(minutes) * 60 + int(seconds) for minutes, seconds, _ in pieces]
    return language and language[1], times, " ".join(text for *_, text in pieces)


def changed():
    """Sounds made of others, whose words are heard all the same: other wrappings, heads that lie, parts."""
    wave = (AUDIO / "austen-young-man.wav").read_bytes()
    text, samples = "He was not an ill-disposed young man,", wave[wave.index(b"data") + 8 :]
    swapped = bytearray(samples)
    swapped[0::2], swapped[1::2] = samples[1::2], samples[0::2]
    common = struct.pack(">hIh", 1, len(samples) // 2, 16) + bytes.fromhex("400cfa00000000000000")
    body = b"AIFFCOMM" + struct.pack(">I", len(common)) + common
    body += b"SSND" + struct.pack(">III", len(samples) + 8, 0, 0) + swapped
    lying = bytearray(wave)
    lying[4:8] = lying[wave.index(b"data") + 4 : wave.index(b"data") + 8] = b"\xff\xff\xff\xff"
    bare = {"sample_rate": 16000, "channels": 1}
    speech = (AUDIO / "kennedy.mp3").read_bytes()
    cut = {"processing": {"type": "static", "start_offset": "3s"}}
    film = {"processing": {"type": "static", "content_layers": ["audio", "transcript"]}}
    yield "an AIFF", "audio", "audio/aiff", b"FORM" + struct.pack(">I", len(body)) + body, {}, text
    yield "bare samples", "audio", "audio/l16", samples, bare, text
    yield "a WAV that says to be 4 GB long", "audio", "audio/wav", bytes(lying), {}, text
    yield "a WAV that is called an MP3", "audio", "audio/mpeg", wave, {}, text
    yield "a WAV without a type", "audio", "", wave, {}, text
    yield "an MP3 cut short", "audio", "audio/mpeg", speech[: -len(speech) // 50], {}, KENNEDY
    yield "the end of an MP3", "audio", "audio/mpeg", speech, cut, KENNEDY.split(", ", 2)[2]
    film_text = "he might even have been made amiable himself."
    yield "a film's sound", "video", "video/webm", (AUDIO / "austen-amiable.webm").read_bytes(), film, film_text


def sounds():
    """What is sent of each, the language and the words that are in it."""
    for sound in tomllib.loads((AUDIO / "sounds.toml").read_text())["sound"]:
        data, language, text = (AUDIO / sound["file"]).read_bytes(), sound.get("language"), sound.get("text", "")
        yield sound["file"], "audio", sound["type"], data, {}, language, text
    for *sent, text in changed():
        yield *sent, "en", text


def check(server):
    """Yields what was checked, and whether it is so."""
    errors, counts, clock, heard = {}, {}, 0.0, 0.0
    for name, kind, mime_type, data, more, wanted, text in sounds():
        try:
            told = server.told(kind, mime_type, data, **more)
            language, times, found = told_words(told)
        except Wrong as wrong:
            yield f"{name}: {wrong}", False
            continue
        seconds = float(re.search(r"([\d.]+) seconds were listened to", told.text)[1])
        expected, got = words(text, wanted), words(found, wanted)
        bad = distance(expected, got)
        clock, heard = clock + told.seconds, heard + seconds
        errors[wanted], counts[wanted] = errors.get(wanted, 0) + bad, counts.get(wanted, 0) + len(expected)
        said = f"{seconds:.1f} s in {told.seconds:.1f} s, {language}, {bad} of {len(expected)} words wrong: {found}"
        # Whether the language of the synthetic voice is known is no promise.
        yield f"{name}: {said}", times == sorted(times) and (language == wanted or wanted == "pt")
    print(f"one second of sound: {clock / heard:.3f} s by the clock")
    for language in ("en", "pt"):
        rate = errors[language] / counts[language]
        said = f"{language}: {errors[language]} of {counts[language]} words wrong ({rate:.3f})"
        # Portuguese has no bound: its only voice here is a synthetic one, which people have trouble with too.
        yield said, rate <= MOST_WRONG or language == "pt"
