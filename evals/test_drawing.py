"""What drawings made by hand come to, and the prompts that were frozen."""

import base64
import struct
import unittest
import zlib

import drawing
import frozen
import guide06
import looking

CASES = frozen.read("drawing.json")
CASE = {"id": "two", "prompt": "Draw two red discs in the upper half.", "shape": "disc", "colour": "red", "place": "upper", "count": 2}
GROUND = '<svg><rect width="100" height="100" fill="skyblue"/>'
TWO = '<circle cx="20" cy="20" r="9" fill="red"/><g fill="#c00"><ellipse cx="60" cy="30" rx="9" ry="8"/></g>'


def png(width, height, colour, channels=4, kinds=(0,)):
    """A PNG: the upper half of this colour, the rest white; its rows filtered in these ways in turn."""
    rows, above = [], bytearray(width * channels)
    for y in range(height):
        pixel = bytes(colour if y < height // 2 else (255, 255, 255)) + b"\xff" * (channels - 3)
        row = bytearray(pixel * width)
        kind = kinds[y % len(kinds)]
        rows.append(bytes([kind]) + filtered(kind, row, above, channels))
        above = row
    chunk = lambda name, content: struct.pack(">I", len(content)) + name + content + b"\0\0\0\0"  # noqa: E731
    head = struct.pack(">IIBBBBB", width, height, 8, 6 if channels == 4 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")


def filtered(kind, row, above, channels):
    out = bytearray()
    for at, byte in enumerate(row):
        left, corner = (row[at - channels], above[at - channels]) if at >= channels else (0, 0)
        near = left + above[at] - corner
        nearest = min((left, above[at], corner), key=lambda value: abs(near - value))
        out.append((byte - (0, left, above[at], (left + above[at]) // 2, nearest)[kind]) & 255)
    return bytes(out)


def answered(data, status="completed"):
    steps = [
        {"type": "thought", "signature": "sealed", "summary": [{"type": "text", "text": "A vector drawing."}]},
        {"type": "model_output", "content": [{"type": "image", "mime_type": "image/png", "data": base64.b64encode(data).decode()}]},
    ]
    return {"status": status, "steps": steps if status == "completed" else [], "error": {"code": "no_image", "message": "It was blank"}}


class Prompts(unittest.TestCase):
    def test_the_frozen_prompts_are_those_of_the_template(self):
        self.assertEqual(CASES, drawing.template())
        self.assertEqual(len({case["id"] for case in CASES}), 20)
        self.assertEqual({case["shape"] for case in CASES}, set(drawing.SHAPES))
        self.assertEqual({case["colour"] for case in CASES}, set(drawing.COLOURS))
        self.assertEqual({case["place"] for case in CASES}, set(drawing.PLACES.values()))
        self.assertNotEqual(drawing.template(seed=1), CASES)


class Looks(unittest.TestCase):
    def test_shapes_are_counted_by_kind_colour_and_place(self):
        for inside, why in (
            (TWO, None),
            (TWO + '<circle cx="50" cy="80" r="9" fill="red"/>', None),
            (TWO + '<circle cx="50" cy="10" r="9" fill="blue"/>', None),
            (TWO + '<circle cx="50" cy="10" r="9" fill="crimson"/>', "3 discs, 3 of them red, 3 of these upper; asked for 2"),
            ('<ellipse cx="20" cy="20" rx="9" ry="4" fill="red"/>', "0 discs, 0 of them red, 0 of these upper; asked for 2"),
            ('<circle cx="20" cy="80" r="9" fill="red"/>', "1 discs, 1 of them red, 0 of these upper; asked for 2"),
            ('<circle cx="20" cy="20" r="9" fill="white"/>', "1 discs, 0 of them red, 0 of these upper; asked for 2"),
        ):
            with self.subTest(inside):
                self.assertEqual(looking.missing_in_svg(GROUND + inside + "</svg>", CASE), why)
        self.assertIn("cannot be read", looking.missing_in_svg("<svg>", CASE))

    def test_the_ground_is_no_square(self):
        self.assertEqual(looking.shapes('<svg><rect width="100" height="100" fill="red"/></svg>'), [])

    def test_squares_and_triangles_are_told_by_their_sides(self):
        found = looking.shapes(
            '<svg viewBox="0 0 200 100"><rect x="10" y="10" width="20" height="22" fill="gold"/>'
            '<rect width="200" height="100" fill="red"/><polygon points="0,50 20,50 10,20" fill="blue"/>'
            '<path d="M0,50 L20,50 L10,20 Z" fill="lime"/><polygon points="0,0 9,0 9,9 0,9"/></svg>'
        )
        kinds = [(kind, fill) for kind, fill, _ in found]
        self.assertEqual(kinds, [("square", "gold"), ("triangle", "blue"), ("triangle", "lime")])
        self.assertEqual(found[0][2], (0.1, 0.21))

    def test_each_colour_is_one_and_grey_is_none(self):
        for colour, name in (("#ff0000", "red"), ("gold", "yellow"), ("green", "green"), ("navy", "blue"), ("#808", "purple")):
            self.assertEqual([hue for hue in looking.HUES if looking.is_of(hue, *looking.parts(colour))], [name])
        for colour in ("gray", "white", "black"):
            self.assertFalse(any(looking.is_of(hue, *looking.parts(colour)) for hue in looking.HUES))

    def test_pixels_are_read_however_they_were_filtered(self):
        for kinds in ((0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4)):
            for channels in (3, 4):
                picture = looking.Picture.read(png(6, 8, (200, 10, 10), channels, kinds))
                self.assertEqual([picture.at(x, y) for x, y in ((0, 0), (5, 3), (5, 4))], [(200, 10, 10)] * 2 + [(255,) * 3])
        for broken in (b"GIF89a", png(4, 4, (1, 2, 3))[:-30], png(4, 4, (1, 2, 3))[:20]):
            self.assertRaises(ValueError, looking.Picture.read, broken)

    def test_a_colour_has_to_be_where_it_was_asked_for(self):
        picture = looking.Picture.read(png(8, 8, (200, 10, 10)))
        self.assertIsNone(looking.missing_in_pixels(picture, CASE))
        for wrong in ({"place": "lower"}, {"colour": "blue"}):
            self.assertIn("is on 0.0 %", looking.missing_in_pixels(picture, CASE | wrong))


class Outcomes(unittest.TestCase):
    def judge(self, interaction, svg):
        return {"prompt": CASE["prompt"], "drawn": False, "svg": None, "pixels": False, "picture": None} | drawing.judged(
            CASE, interaction, lambda signature: svg if signature == "sealed" else None
        )

    def test_each_outcome_says_what_is_wrong(self):
        red, blue = png(512, 512, (200, 10, 10)), png(512, 512, (10, 10, 200))
        right = self.judge(answered(red), f"{GROUND}{TWO}</svg>")
        unseen = self.judge(answered(red), None)
        wrong = self.judge(answered(red), f"{GROUND}</svg>")
        elsewhere = self.judge(answered(blue), f"{GROUND}{TWO}</svg>")
        failed = self.judge(answered(b"", status="failed"), None)
        small = self.judge(answered(png(8, 8, (200, 10, 10))), None)
        for outcome, columns, why in (
            (right, (True, True, True), None),
            (unseen, (True, None, True), None),
            (wrong, (True, False, True), "0 discs, 0 of them red, 0 of these upper; asked for 2"),
            (elsewhere, (True, True, False), "red is on 0.0 % of the place `upper`, expected 1"),
            (failed, (False, None, False), "It was blank"),
            (small, (False, None, False), "8 × 8 pixels"),
        ):
            with self.subTest(why):
                found = tuple(outcome[column] for column in ("drawn", "svg", "pixels"))
                self.assertEqual((found, outcome["why"]), (columns, why))
        self.assertEqual([outcome["broken"] for outcome in (failed, small)], [None, "8 × 8 pixels"])
        figures = drawing.counted([right, unseen, wrong, elsewhere, failed])
        self.assertEqual(list(figures.values()), [(4, 5), (2, 3), (3, 5), (2, 5)])
        sheet = drawing.contact_sheet([right, failed])
        self.assertEqual((sheet.count("<figure>"), sheet.count("data:image/png")), (2, 1))
        self.assertIn("It was blank", sheet)

    def test_the_guides_picture_is_judged_by_its_size_colours_and_shapes(self):
        two, svg = png(1024, 1024, (200, 10, 10)), f"{GROUND}{TWO}</svg>"
        self.assertEqual((looking.count(svg), looking.colours(looking.Picture.read(two))), (3, 2))
        found = guide06.of_picture(two, svg)
        self.assertEqual((found["picture"], found["size"], found["why"]), (True, True, "2 colours; 3 shapes"))
        small = guide06.of_picture(png(8, 8, (1, 2, 3)), None)
        self.assertEqual((small["size"], small["shapes"], small["why"]), (False, None, "8 × 8 pixels; 2 colours"))
        self.assertFalse(guide06.of_picture(None, None)["picture"])


if __name__ == "__main__":
    unittest.main()
