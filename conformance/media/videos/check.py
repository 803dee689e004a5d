"""Sends videos to a server whose model takes none, and holds what it was told against what is in them.

    check.py URL KEY [PART-OF-A-NAME]

The server has `ffmpeg`, `ppocr-v6-small`, `efficientnet-lite0` and `whisper-base`. The videos are made here, by
`ffmpeg`, of the pictures and sounds beside this folder. Only checks whose names have the part are made. The last line
is the number of checks that passed and failed.
"""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import traceback
import urllib.error
import urllib.request

MEDIA = pathlib.Path(__file__).parent.parent
NIGHT, LIBRARY, SOUP = (str(MEDIA / "pictures" / f"flat-en-{number}.png") for number in (1, 3, 5))
VOICE = str(MEDIA / "audio" / "kennedy.mp3")
SHEET = "scale=800:600:force_original_aspect_ratio=decrease,pad=800:600:(ow-iw)/2:(oh-ih)/2:white,setsar=1,format=yuv420p"
EYES = ["ffmpeg", "ppocr-v6-small", "efficientnet-lite0"]
EARS = ["whisper-base"]

checks = []
url, key, part = [*sys.argv[1:], ""][:3]


def check(function):
    checks.append(function)
    return function


def make(name, *arguments):
    """The bytes of a video that ffmpeg makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        subprocess.run(
            ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, str(path)], check=True, timeout=300
        )
        return path.read_bytes()


def slides(name, shown, *more, rate="10"):
    """A video that shows pictures, each so many seconds long, with the voice beside them where it is mapped."""
    inputs, parts, count = [], "", len(shown)
    for number, (picture, seconds) in enumerate(shown):
        inputs += ["-loop", "1", "-framerate", rate, "-t", str(seconds), "-i", picture]
        parts += f"[{number}]{SHEET}[part{number}];"
    joined = "".join(f"[part{number}]" for number in range(count))
    graph = f"{parts}{joined}concat=n={count}[all]"
    return make(name, *inputs, "-i", VOICE, "-filter_complex", graph, "-map", "[all]", *more)


def ask(data, mime_type="video/mp4", resolution=None, processing=None):
    """The status, and the interaction or the error's message."""
    part = {"type": "video", "data": base64.b64encode(data).decode(), "mime_type": mime_type}
    if resolution:
        part["resolution"] = resolution
    if processing:
        part["processing"] = processing if isinstance(processing, str) else {"type": "static", **processing}
    body = json.dumps({"model": "scripted", "input": [{"type": "text", "text": "What is it?"}, part]}).encode()
    headers = {"content-type": "application/json", "x-goog-api-key": key}
    request = urllib.request.Request(f"{url}/v1beta/interactions", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=900) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)["error"]["message"]


def read(*arguments, **options):
    """What was said of the reading, and the text that the model was told."""
    status, interaction = ask(*arguments, **options)
    assert status == 200, interaction
    assert interaction["status"] == "completed", interaction
    kinds = [step["type"] for step in interaction["steps"]]
    assert kinds == ["processing_call", "processing_result", "thought", "model_output"], kinds
    text = interaction["steps"][2]["summary"][0]["text"]
    assert "<media index=1 kind=video" in text and text.endswith("</media>"), text
    print(text)
    return interaction["steps"][1]["x_media"], text


def refused(says, *arguments, **options):
    status, message = ask(*arguments, **options)
    assert status == 400, (status, message)
    print(message)
    assert message.startswith(("`input[0].content[1]", "`input[1]")), message
    for word in says:
        assert word in message, message


def has(text, *words):
    for word in words:
        assert word in text, f"{word!r} is missing in: {text}"


@check
def slides_and_a_voice():
    video = slides("a.mp4", [(NIGHT, 3), (LIBRARY, 3), (NIGHT, 2)], "-map", "3:a", "-c:a", "aac", "-shortest")
    media, text = read(video)
    assert media["tools"] == EYES + EARS and not media["truncated"] and "note" not in media, media
    has(text, "Of its frames, 8 were looked at, from 00:00 to 00:07, 1.0 seconds apart. 2 of them look different.")
    has(text, "[00:00 to 00:02, 00:06 to 00:07]", "[00:03 to 00:05]", "Night train to Edinburgh", "library is closed")
    has(text, "The language is `en`", "fellow Americans")
    assert text.count("Night train") == 1, text


@check
def only_what_is_asked_for_is_read():
    video = slides("a.mp4", [(NIGHT, 2), (SOUP, 2)], "-map", "2:a", "-t", "4")
    media, text = read(video, processing={"content_layers": ["frames"]}, resolution="low")
    assert media["tools"] == EYES and not media["truncated"], media
    has(text, "Quick garden soup", "Its sound was not heard.")
    media, text = read(video, processing={"content_layers": ["transcript"]})
    assert media["tools"] == EARS and not media["truncated"], media
    has(text, "Its frames were not looked at.", "Of its sound, 4.", "fellow Americans")
    media, text = read(video, processing={"start_offset": "2s", "end_offset": "3.5s", "fps": 2.0})
    has(text, "Of its frames, 3 were looked at, from 00:02 to 00:03, 0.5 seconds apart. They look alike.", "soup")
    has(text, "Of its sound, 1.")
    assert "Night train" not in text, text


@check
def kinds_of_files():
    for name, mime_type, codecs in [
        ("a.avi", "video/avi", ["-c:v", "mpeg4", "-c:a", "libmp3lame"]),
        ("a.mov", "video/quicktime", ["-c:v", "prores", "-c:a", "pcm_s16be"]),
        ("a.mkv", "video/x-matroska", ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p", "-c:a", "ac3"]),
        ("a.webm", "video/webm", ["-c:v", "libvpx", "-b:v", "1M", "-c:a", "libopus"]),
        ("a.flv", "video/x-flv", ["-c:v", "flv", "-q:v", "2", "-c:a", "libmp3lame", "-ar", "44100"]),
        ("a.mpg", "video/mpeg", ["-c:v", "mpeg2video", "-q:v", "2", "-r", "25", "-c:a", "mp2"]),
        ("a.ts", "video/mp2t", ["-c:v", "libx264", "-c:a", "ac3"]),
        ("a.wmv", "video/wmv", ["-c:v", "wmv2", "-q:v", "2", "-c:a", "wmav2"]),
        ("a.3gp", "video/3gpp", ["-c:v", "h263", "-s", "704x576", "-q:v", "2", "-c:a", "aac"]),
    ]:
        video = slides(name, [(LIBRARY, 2), (NIGHT, 2)], "-map", "2:a", *codecs, "-t", "4")
        media, text = read(video, mime_type)
        assert not media["truncated"] and set(EYES + EARS) == set(media["tools"]), (name, media)
        has(text, "library", "Night train", "2 of them look different", "Of its sound, ")


@check
def a_slide_is_seen_as_long_as_it_is_shown():
    # A frame every four seconds, and none between them.
    video = slides("a.mp4", [(NIGHT, 4), (LIBRARY, 4), (SOUP, 4)], rate="1/4")
    _, text = read(video, processing={"content_layers": ["frames"]})
    has(text, "[00:00 to 00:03]", "[00:04 to 00:07]", "[00:08 to 00:11]")


@check
def a_long_video_is_looked_at_evenly():
    video = slides("a.mp4", [(NIGHT, 100), (LIBRARY, 220)], "-preset", "ultrafast", rate="5")
    _, text = read(video, processing={"content_layers": ["frames"]})
    has(text, "Of its frames, 32 were looked at, from 00:00 to 05:10, 10.0 seconds apart.", "spread evenly")
    has(text, "[00:00 to 01:30]", "[01:40 to 05:10]")


@check
def without_sound_or_without_frames():
    silent = slides("a.mp4", [(LIBRARY, 2)])
    media, text = read(silent)
    assert media["tools"] == EYES and not media["truncated"], media
    has(text, "library is closed", "There is no sound in it that can be decoded.")
    refused(["content[1].data", "sound"], silent, processing={"content_layers": ["audio"]})
    sound = make("a.mp4", "-i", VOICE, "-c:a", "aac", "-t", "4")
    media, text = read(sound)
    assert media["tools"] == EARS, media
    has(text, "There are no frames in it that can be decoded.", "Of its sound, ")
    refused(["content[1].data", "no frames"], sound, processing={"content_layers": ["frames"]})


@check
def broken_videos():
    video = slides("a.mp4", [(NIGHT, 6), (LIBRARY, 6)])
    refused(["neither frames nor sound"], video[: len(video) // 2])
    quick = slides("a.mp4", [(NIGHT, 6), (SOUP, 6)], "-movflags", "+faststart", "-x264-params", "keyint=10")
    _, text = read(quick[: len(quick) * 2 // 3], processing={"content_layers": ["frames"]})
    has(text, "Night train")
    noise = bytes(number * number * 2654435761 >> 13 & 255 for number in range(100_000))
    refused(["expected a video of one of these types"], noise)
    refused(["neither frames nor sound"], b"\0\0\0\x18ftypisom" + noise)
    refused(["neither frames nor sound"], b"\x1a\x45\xdf\xa3" + noise)
    refused(["neither frames nor sound"], b"RIFF\0\0\0\0AVI LIST" + noise, "video/avi")
    refused(["mime_type", "image/png"], pathlib.Path(NIGHT).read_bytes())


@check
def lists_of_other_files_are_no_videos():
    for text in [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    ]:
        refused([], text.encode())


@check
def bombs():
    hours = make("a.mp4", "-loop", "1", "-framerate", "1/600", "-t", "36000", "-i", NIGHT, "-vf", SHEET)
    refused(["longer than the 600 seconds", "end_offset"], hours)
    _, text = read(hours, processing={"content_layers": ["frames"], "end_offset": "5s"})
    has(text, "Night train")
    picture = make("a.avi", "-loop", "1", "-t", "1", "-i", NIGHT, "-vf", SHEET, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    assert b"\xff\xc0\x00\x11\x08\x02\x58\x03\x20" in picture
    huge = picture.replace(b"\xff\xc0\x00\x11\x08\x02\x58\x03\x20", b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff")
    refused(["no frames"], huge, "video/avi", processing={"content_layers": ["frames"]})


@check
def options_that_cannot_be_honoured():
    video = slides("a.mp4", [(NIGHT, 2)])
    refused(["processing", "static"], video, processing="agentic")
    refused(["processing.start_offset", "2.000 seconds"], video, processing={"start_offset": "3s"})
    refused(["processing.fps", "content_layers"], video, processing={"fps": 1.0, "content_layers": ["audio"]})


passed = failed = 0
for function in (check for check in checks if part in check.__name__):
    print(f"-- {function.__name__}")
    try:
        function()
    except Exception:
        traceback.print_exc(file=sys.stdout)
        failed += 1
    else:
        passed += 1
print(f"# {passed} passed, {failed} failed")
sys.exit(failed != 0)
