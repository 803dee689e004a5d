"""Media that mean harm and get as far as the networks: they are read within their limits, or given up by name.

What is refused before is in `crates/antiphon/tests/it/hostile_media.rs`, which needs no networks.

Each may take 10 seconds, of computing and not by the clock, of the server and what it starts together: by the clock it
takes longer on a busy machine. What bounds memory is the server's own and holds for each process by itself: 512 MiB for
one that reads a document or decodes a picture, 1.5 GiB for one that looks with the networks. The most that one process
had is printed at the end.
"""

import json
import pathlib
import time
import zlib

from server import Wrong

PICTURES = pathlib.Path(__file__).parent / "pictures"
LONGEST = 10
"""In seconds of computing."""


def gif_of_many_frames():
    """A black dot, and behind it a hundred thousand frames, none of which is whole."""
    head = b"GIF89a\x04\0\x04\0\x80\0\0" + bytes(6)
    # Codes of three bits: to begin anew, two dots, eight times; the end.
    codes = [4, 0, 0] * 8 + [5]
    packed = sum(code << 3 * at for at, code in enumerate(codes)).to_bytes(10, "little")
    whole = b"\x2c\0\0\0\0\x04\0\x04\0\0\x02" + bytes([len(packed)]) + packed + b"\0"
    return head + whole + b"\x2c\0\0\0\0\x04\0\x04\0\0\x02\x01\x44\0" * 100_000


def png_that_says_more():
    """A small picture with 64 MB of words beside its pixels, packed."""
    picture = (PICTURES / "small-en-1.png").read_bytes()
    body = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(64 << 20))
    words = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return picture[:33] + words + picture[33:]


def pdf(content, *more):
    """One page of this content; what follows is its `/X`, and what that needs."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>"
    stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, stream, *more]
    file, places = bytearray(b"%PDF-1.7\n"), []
    for at, body in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (at, body)
    table = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    for place in places:
        file += b"%010d 00000 n \n" % place
    return bytes(file + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, table))


def pdf_of_a_picture(side):
    """A page that is a picture of so many white pixels a side, packed a thousandfold."""
    packer = zlib.compressobj(1)
    row = b"\xff" * side
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8"
    picture = (head + b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream") % (side, side, len(pixels), pixels)
    return pdf(b"600 0 0 800 0 0 cm /X Do", picture)


def pdf_that_draws_without_end():
    """Forms that draw one another, ten times each, ten deep."""
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources << /XObject << /X %d 0 R >> >> /Length %d >>\nstream\n%s\nendstream"
    forms = [form % (at + 1, 60, (b"/X Do " * 10)) for at in range(5, 15)]
    last = b"<< /Type /XObject /Subtype /Form /BBox [0 0 600 800] /Length 21 >>\nstream\n0 0 600 800 re f     \nendstream"
    return pdf(b"/X Do", *forms, last)


def cases():
    """What it is, its kind and type, its bytes, what is told of it, and what else may come of it."""
    photograph = (PICTURES / "flat-en-2.jpg").read_bytes()
    page = "This page is a picture", "There is no text in it", "Read from a picture of the page"
    given_up = "`input[0].content[1].data`: the document "
    yield "a GIF of a hundred thousand frames", "image", "image/gif", gif_of_many_frames(), ["4 pixels wide and 4 high"], None
    yield "a JPEG that is other things too", "image", "image/jpeg", photograph + b"PK\3\4%PDF-1.7<script>", ["INVOICE"], None
    yield "a JPEG that is called a PNG", "image", "image/png", photograph, ["INVOICE"], None
    yield "a PNG with 64 MB of words in it", "image", "image/png", png_that_says_more(), ["Night train"], None
    yield "a PDF of a picture of 30000 x 30000", "document", "application/pdf", pdf_of_a_picture(30_000), page, given_up
    yield "a PDF that draws ten billion times", "document", "application/pdf", pdf_that_draws_without_end(), page, given_up


def check(server):
    """Yields what was checked, and whether it is so."""
    for name, kind, mime_type, data, told_of, error in cases():
        begun, before = time.monotonic(), server.computed()
        try:
            told = server.told(kind, mime_type, data)
            said = told.text
            is_so = any(word in said for word in told_of)
        except Wrong as wrong:
            said = str(wrong)
            is_so = error is not None and json.dumps(error)[1:-1] in said
        seconds, computed = time.monotonic() - begun, server.computed() - before
        yield f"{name}: {seconds:.1f} s, {computed:.1f} s computed: {said[:300]!r}", is_so and computed < LONGEST
