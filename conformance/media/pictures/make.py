"""Draws the pictures of this folder and writes what is on them into truth.json. Needs Pillow and the named fonts.

The texts are ours. The pictures are kept, so that a check does not depend on fonts: run this only to change them.
"""

import json
import pathlib
import random

from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = pathlib.Path(__file__).parent
DEJAVU, MODERN = "/usr/share/fonts/truetype/dejavu/", "/usr/share/texmf/fonts/opentype/public/lm/"
FONTS = [
    DEJAVU + "DejaVuSans.ttf",
    DEJAVU + "DejaVuSerif.ttf",
    MODERN + "lmroman10-regular.otf",
    DEJAVU + "DejaVuSansMono.ttf",
    DEJAVU + "DejaVuSans-Bold.ttf",
]

SHORT = {
    "en": [
        ["Platform 7", "Night train to Edinburgh", "departs at 22:45"],
        ["INVOICE No. 2041", "Blue ceramic mug  x 3", "Total due: $47.85", "Thank you for your order"],
        ["The library is closed", "on public holidays.", "Please use the box", "by the side entrance."],
        ["WARNING", "Wet floor after rain", "Hold the handrail", "Report faults: 555-0142"],
        ["Quick garden soup", "2 onions, 1 leek", "500 g of potatoes", "Simmer for 25 minutes"],
    ],
    "pt": [
        ["Estação São Bento", "Comboio para Coimbra às 18h30", "Atenção ao degrau"],
        ["FATURA N.º 318", "Três pães de queijo", "Total: 12,50 euros", "Não é reembolsável após a emissão"],
        ["A biblioteca está fechada", "durante as férias de verão.", "Devolução na portaria,", "à direita da entrada."],
        ["ATENÇÃO", "Chão molhado após a chuva", "Não ultrapasse a linha", "Informações: 808 200 520"],
        ["Sopa rápida da avó", "2 cebolas e 1 alho-francês", "500 g de feijão", "Cozer durante 25 minutos"],
    ],
}

LONG = {
    "en": """The harbour wakes before the town does. At four in the morning the first boats return, and the men who
stayed ashore carry crates of ice across the wet stones. Nobody speaks much. A radio in the customs house reports the
height of the tide, the wind from the north-west, and the price of yesterday's catch. By six the market is loud: buyers
from three counties lean over the tables, point, nod, and move on. The fish that remains is smoked in the low brick
sheds behind the church, where alder wood burns slowly for two days. Visitors like to photograph the gulls, but the
gulls are only waiting. When the last lorry has left, the square is washed with sea water and the doors are closed
again. Anyone who arrives at nine finds an empty place that smells of salt, and would never guess what happened there.""",
    "pt": """O porto acorda antes da cidade. Às quatro da manhã regressam os primeiros barcos, e os homens que ficaram em
terra carregam caixas de gelo sobre as pedras molhadas. Ninguém fala muito. Um rádio na alfândega anuncia a altura da
maré, o vento de noroeste e o preço do peixe de ontem. Às seis o mercado já é barulhento: compradores de três concelhos
debruçam-se sobre as mesas, apontam, acenam e seguem em frente. O peixe que sobra é fumado nos barracões baixos atrás da
igreja, onde a lenha de carvalho arde devagar durante dois dias. Os visitantes gostam de fotografar as gaivotas, mas
elas só estão à espera. Quando o último camião parte, a praça é lavada com água do mar e as portas fecham-se outra vez.
Quem chega às nove encontra um lugar vazio que cheira a sal, e nunca imaginaria o que aconteceu ali.""",
}

PAGE = [
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
]
THINGS = {"coffee": "espresso", "chelsea": "Egyptian cat"}


def font(number, size):
    return ImageFont.truetype(FONTS[number % len(FONTS)], size)


def wrapped(words, font, width):
    lines, line = [], ""
    for word in words:
        longer = f"{line} {word}".strip()
        if font.getlength(longer) > width and line:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line]


def page(lines, font, margin, spacing, ink=20, paper=250):
    step = int(font.size * spacing)
    width = int(max(font.getlength(line) for line in lines)) + 2 * margin
    picture = Image.new("L", (width, step * len(lines) + 2 * margin), paper)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((margin, margin + number * step), line, fill=ink, font=font)
    return picture


def flat(number, lines):
    ink, paper = [(20, 250), (240, 30), (60, 225), (0, 255), (250, 90)][number]
    return page(lines, font(number, 30 + 4 * number), 40, 1.5, ink, paper)


def rotated(number, lines):
    degrees = [4, -7, 90, 180, 270][number]
    return page(lines, font(number, 34), 50, 1.5).rotate(degrees, Image.BICUBIC, expand=True, fillcolor=250)


def small(number, lines):
    return page(lines, font(number, [10, 11, 11, 10, 12][number]), 12, 1.45)


def dense(number, language):
    words, face = LONG[language].split(), font(number, 16 + number)
    words = words[number * 7:]
    if number in (2, 4):
        lines = wrapped(words, face, 20 * face.size)
        half = (len(lines) + 1) // 2
        columns = [page(part, face, 20, 1.3) for part in (lines[:half], lines[half:])]
        both = Image.new("L", (sum(c.width for c in columns) + 20, max(c.height for c in columns)), 250)
        both.paste(columns[0], (0, 0))
        both.paste(columns[1], (columns[0].width + 20, 0))
        return both, lines
    lines = wrapped(words, face, 40 * face.size)
    return page(lines, face, 24, 1.3), lines


def solved(rows):
    """The solution of linear equations, by elimination."""
    size = len(rows)
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for row in range(size):
            if row != at:
                factor = rows[row][at]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[at])]
    return [row[-1] for row in rows]


def photo(number, lines):
    """Paper on a table, seen askew, in poor light, with grain."""
    chance = random.Random(number)
    paper = page(lines, font(number, 40), 50, 1.6, 35, 235)
    width, height = paper.width + 120, paper.height + 120
    slant = lambda: chance.uniform(0.0, 0.06)
    seen = [
        (60 + slant() * width, 60 + slant() * height),
        (width - 60, 60 + slant() * height),
        (width - 60 - slant() * width, height - 60),
        (60, height - 60 - slant() * height),
    ]
    flat_corners = [(0, 0), (paper.width, 0), (paper.width, paper.height), (0, paper.height)]
    rows = []
    for (x, y), (u, v) in zip(seen, flat_corners):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    picture = paper.transform((width, height), Image.PERSPECTIVE, solved(rows), Image.BICUBIC, fillcolor=70)
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    light = Image.linear_gradient("L").resize(picture.size).point(lambda value: 150 + value // 3)
    picture = Image.composite(picture, Image.new("L", picture.size, 40), light)
    grain = Image.effect_noise(picture.size, 22)
    return Image.blend(picture, grain, 0.12)


def main():
    truth = {}
    for language in ("en", "pt"):
        for group, draw in {"flat": flat, "rotated": rotated, "small": small, "dense": None, "photo": photo}.items():
            for number in range(5):
                lines = SHORT[language][number]
                if draw is None:
                    picture, lines = dense(number, language)
                else:
                    picture = draw(number, lines)
                is_photo = group == "photo" or (group == "flat" and number % 2)
                name = f"{group}-{language}-{number + 1}.{'jpg' if is_photo else 'png'}"
                if is_photo:
                    picture.save(HERE / name, quality=60, optimize=True)
                else:
                    picture.quantize(16).save(HERE / name, optimize=True)
                truth[name] = {"group": group, "language": language, "lines": lines}
    for thing, name in THINGS.items():
        truth[f"thing-{thing}.jpg"] = {"thing": name}
    truth["real-page.jpg"] = {"group": "real", "language": "en", "lines": PAGE}
    (HERE / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n")


main()
