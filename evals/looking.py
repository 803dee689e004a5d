"""What is in a drawing and in the pixels of its picture, told by rules of our own and nothing of the server's."""

import colorsys
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections import Counter

NAMED = dict(
    black="#000000", white="#ffffff", gray="#808080", silver="#c0c0c0", red="#ff0000", darkred="#8b0000",
    crimson="#dc143c", tomato="#ff6347", coral="#ff7f50", orange="#ffa500", darkorange="#ff8c00", gold="#ffd700",
    yellow="#ffff00", khaki="#f0e68c", green="#008000", darkgreen="#006400", limegreen="#32cd32", lime="#00ff00",
    olive="#808000", teal="#008080", cyan="#00ffff", skyblue="#87ceeb", lightblue="#add8e6", blue="#0000ff",
    darkblue="#00008b", navy="#000080", midnightblue="#191970", royalblue="#4169e1", steelblue="#4682b4",
    indigo="#4b0082", purple="#800080", violet="#ee82ee", magenta="#ff00ff", pink="#ffc0cb", hotpink="#ff69b4",
    salmon="#fa8072", brown="#a52a2a", sienna="#a0522d", tan="#d2b48c", beige="#f5f5dc",
)  # fmt: skip
HUES = {"red": (345, 12), "yellow": (45, 70), "green": (75, 165), "blue": (185, 255), "purple": (256, 330)}
"""Degrees, from and to."""
LEAST_SATURATION, LEAST_VALUE = 0.35, 0.25
SQUARE = 0.2
"""How much longer one side of a square may be than the other, as a part of it."""
LEAST_PART = 0.01
"""Of the place that its colour must cover."""


def is_of(colour, red, green, blue):
    """Whether people call this colour so; parts from 0 to 255."""
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if saturation < LEAST_SATURATION or value < LEAST_VALUE:
        return False
    least, most = HUES[colour]
    degrees = hue * 360
    return least <= degrees <= most if least <= most else degrees >= least or degrees <= most


def is_in(place, x, y):
    """Whether a point is at a place; 0 to 1 from the left and the top."""
    return {
        "upper": y < 0.5,
        "lower": y > 0.5,
        "middle": 0.25 <= x <= 0.75 and 0.25 <= y <= 0.75,
        "right": x > 0.5,
    }[place]


def parts(colour):
    """Red, green and blue of a colour as SVG says it, or nothing."""
    text = NAMED.get(colour.strip().lower(), colour.strip().lower())
    if match := re.fullmatch(r"#([0-9a-f])([0-9a-f])([0-9a-f])", text):
        return tuple(int(digit * 2, 16) for digit in match.groups())
    if match := re.fullmatch(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", text):
        return tuple(int(digits, 16) for digits in match.groups())
    return None


def shapes(svg):
    """Each shape as its kind, its fill and its middle, 0 to 1 from the left and the top."""
    root = ElementTree.fromstring(svg)
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", root.get("viewBox") or "0 0 100 100")]
    width, height = numbers[2:4]
    found = []

    def look(element, fill):
        name = element.tag.rpartition("}")[2]
        fill = element.get("fill") or fill
        value = lambda key: float((element.get(key) or "0").removesuffix("px"))  # noqa: E731
        kind, middle = None, None
        if name == "circle":
            kind, middle = "disc", (value("cx"), value("cy"))
        elif name == "ellipse":
            kind = "disc" if alike(value("rx"), value("ry")) else None
            middle = value("cx"), value("cy")
        elif name == "rect":
            is_ground = value("width") >= width and value("height") >= height
            kind = "square" if alike(value("width"), value("height")) and not is_ground else None
            middle = value("x") + value("width") / 2, value("y") + value("height") / 2
        elif name in ("polygon", "path"):
            corners = points(element.get("points") or element.get("d") or "")
            if corners:
                kind = "triangle" if len(set(corners)) == 3 and not re.search("[QCAqca]", element.get("d") or "") else None
                middle = tuple(sum(axis) / len(axis) for axis in zip(*dict.fromkeys(corners)))
        if kind:
            found.append((kind, fill, (middle[0] / width, middle[1] / height)))
        for child in element:
            look(child, fill)

    look(root, "black")
    return found


SHAPES = {"circle", "ellipse", "rect", "polygon", "polyline", "path", "line"}


def count(svg):
    """How many shapes a drawing has."""
    return sum(element.tag.rpartition("}")[2] in SHAPES for element in ElementTree.fromstring(svg).iter())


LEAST_OF_COLOUR = 0.005
"""Of all pixels, below which a colour is not counted."""


def colours(picture):
    """How many colours a picture has, each on enough of it."""
    counts = Counter(picture.at(x, y) for y in range(picture.height) for x in range(picture.width))
    return sum(many >= LEAST_OF_COLOUR * picture.width * picture.height for many in counts.values())


def alike(one, other):
    return min(one, other) > 0 and max(one, other) <= (1 + SQUARE) * min(one, other)


def points(text):
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]
    return list(zip(numbers[::2], numbers[1::2]))


def missing_in_svg(svg, case):
    """What is wrong with a drawing; nothing if it has exactly the shapes that were asked for at their place."""
    try:
        all_shapes = shapes(svg)
    except (ElementTree.ParseError, ValueError, IndexError) as error:
        return f"the drawing cannot be read: {error}"
    of_kind = [shape for shape in all_shapes if shape[0] == case["shape"]]
    coloured = [shape for shape in of_kind if (rgb := parts(shape[1])) and is_of(case["colour"], *rgb)]
    placed = [shape for shape in coloured if is_in(case["place"], *shape[2])]
    if len(placed) == case["count"]:
        return None
    return (
        f"{len(of_kind)} {case['shape']}s, {len(coloured)} of them {case['colour']}, {len(placed)} of these "
        f"{case['place']}; asked for {case['count']}"
    )


def missing_in_pixels(picture, case):
    """What is wrong with a picture; nothing if the colour that was asked for can be seen at its place."""
    inside = seen = 0
    for y in range(0, picture.height, 2):
        for x in range(0, picture.width, 2):
            if is_in(case["place"], x / picture.width, y / picture.height):
                inside += 1
                seen += is_of(case["colour"], *picture.at(x, y))
    if seen >= LEAST_PART * inside:
        return None
    return f"{case['colour']} is on {100 * seen / inside:.1f} % of the place `{case['place']}`, expected {100 * LEAST_PART:.0f}"


class Picture:
    """The pixels of a PNG as this server writes them: eight bits, RGB or RGBA, not interlaced."""

    def __init__(self, width, height, channels, rows):
        self.width, self.height, self.channels, self.rows = width, height, channels, rows

    def at(self, x, y):
        return tuple(self.rows[y][x * self.channels : x * self.channels + 3])

    @classmethod
    def read(cls, data):
        if data[:8] != b"\x89PNG\r\n\x1a\n":
            raise ValueError("it is no PNG")
        at, head, packed = 8, None, b""
        while at + 8 <= len(data):
            length, kind = struct.unpack(">I4s", data[at : at + 8])
            content = data[at + 8 : at + 8 + length]
            head = content if kind == b"IHDR" else head
            packed += content if kind == b"IDAT" else b""
            at += length + 12
        if head is None or len(head) != 13:
            raise ValueError("it has no head")
        width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", head)
        if depth != 8 or colours not in (2, 6) or interlaced:
            raise ValueError("it is written in another way than this server writes")
        channels = 4 if colours == 6 else 3
        line = width * channels
        try:
            raw = zlib.decompress(packed)
        except zlib.error as error:
            raise ValueError(f"it is cut: {error}") from error
        if len(raw) != height * (line + 1):
            raise ValueError("it is cut")
        rows, above = [], bytearray(line)
        for y in range(height):
            start = y * (line + 1)
            above = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + line]), above, channels)
            rows.append(above)
        return cls(width, height, channels, rows)


def unfiltered(kind, row, above, channels):
    """A row of bytes as it was before it was filtered (PNG, section 9)."""
    if kind == 0:
        return row
    if kind == 2:
        return bytearray((byte + up) & 255 for byte, up in zip(row, above))
    for at in range(len(row)):
        left = row[at - channels] if at >= channels else 0
        up, corner = above[at], above[at - channels] if at >= channels else 0
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) // 2
        elif kind == 4:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda value: abs(near - value))
        else:
            raise ValueError(f"a filter {kind}")
        row[at] = (row[at] + guess) & 255
    return row
