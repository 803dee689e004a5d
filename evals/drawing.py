"""Drawings: the prompts of `drawing.json`, and whether what was asked for is in the drawing and in its pixels."""

import base64
import html
import itertools
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import frozen
import judging
import looking

IMAGE_ALIAS = "gemini-3.1-flash-image"
"""The name of whatever draws on a server of our own."""
SIZE = "512"
SEED, COUNT = 20261126, 20
SHAPES = ("disc", "square", "triangle")
COLOURS = ("red", "green", "blue", "yellow", "purple")
PLACES = {"in the upper half": "upper", "in the lower half": "lower", "in the middle": "middle", "on the right": "right"}
COUNTS = {"two": 2, "four": 4, "five": 5, "six": 6}


def template(seed=SEED, count=COUNT):
    """The cases as they were drawn by lot from the template; `drawing.json` holds them as they were then."""
    everything = list(itertools.product(SHAPES, COLOURS, PLACES.items(), COUNTS.items()))
    chosen = random.Random(seed).sample(everything, count)
    return [
        {
            "id": f"{number}-{colour}-{shape}s-{place}",
            "prompt": f"Draw {number} {colour} {shape}s {where}.",
            "shape": shape, "colour": colour, "place": place, "count": how_many,
        }
        for shape, colour, (where, place), (number, how_many) in chosen
    ]  # fmt: skip


def run(server, model, options):
    model = IMAGE_ALIAS if server.is_own else model
    chosen = [case for case in frozen.read("drawing.json") if not options.only or case["id"] in options.only]
    # One drawing takes the default model all cores.
    with ThreadPoolExecutor(1 if server.is_own else options.concurrency) as pool:
        outcomes = list(pool.map(lambda case: draw(server, model, options, case), chosen))
    for outcome in outcomes:
        if outcome["why"]:
            print(f"{outcome['id']}: {outcome['why']}")
    figures = counted(outcomes)
    print()
    for name, (part, whole) in figures.items():
        print(f"{name:<40} {part:>3} of {whole:>3}")
    sheet = options.sheet or Path("drawing.html")
    sheet.write_text(contact_sheet(outcomes))
    print(f"\nThe pictures are in {sheet}")
    kept = [{name: value for name, value in outcome.items() if name != "picture"} for outcome in outcomes]
    return {"cases": kept, "figures": figures, "broken": [f"{o['id']}: {o['broken']}" for o in outcomes if o["broken"]]}


def draw(server, model, options, case):
    began = time.perf_counter()
    outcome = {"id": case["id"], "prompt": case["prompt"], "drawn": False, "svg": None, "pixels": False, "picture": None}
    try:
        interaction = server.client.interactions.create(
            model=model,
            input=case["prompt"],
            response_format={"type": "image", "mime_type": "image/png", "aspect_ratio": "1:1", "image_size": SIZE},
            generation_config={"seed": options.seed},
        )
    except Exception as error:
        return outcome | {"seconds": seconds(began), "tokens": 0, "why": judging.refusal(error)[1], "broken": None}
    found = judged(case, interaction.model_dump(exclude_none=True), server.drawing)
    tokens = interaction.usage.total_output_tokens or 0 if interaction.usage else 0
    return outcome | {"seconds": seconds(began), "tokens": tokens} | found


def seconds(began):
    return round(time.perf_counter() - began, 2)


def judged(case, interaction, drawing):
    """What an interaction in its JSON form comes to. `drawing` gives the SVG of a signature, or nothing where that
    cannot be had; then the pixels are all that is looked at."""
    steps = interaction.get("steps") or []
    parts = [part for step in steps if step.get("type") == "model_output" for part in step.get("content") or []]
    pictures = [part for part in parts if part.get("type") == "image"]
    if interaction.get("status") != "completed" or len(pictures) != 1:
        error = interaction.get("error") or {}
        said = error.get("message") or f"{len(pictures)} pictures, status `{interaction.get('status')}`"
        return {"why": said, "broken": None}
    data = base64.b64decode(pictures[0]["data"])
    try:
        picture = looking.Picture.read(data)
    except ValueError as error:
        return {"why": str(error), "broken": f"no picture: {error}"}
    if (picture.width, picture.height) != (512, 512):
        wrong = f"{picture.width} × {picture.height} pixels"
        return {"why": wrong, "broken": wrong}
    signature = next((step["signature"] for step in steps if step.get("type") == "thought" and step.get("signature")), None)
    svg = drawing(signature) if signature else None
    missing_in_svg = looking.missing_in_svg(svg, case) if svg else None
    missing_in_pixels = looking.missing_in_pixels(picture, case)
    return {
        "drawn": True,
        "svg": missing_in_svg is None if svg else None,
        "pixels": missing_in_pixels is None,
        "picture": base64.b64encode(data).decode(),
        "source": svg,
        "why": missing_in_svg or missing_in_pixels,
        "broken": None,
    }


def counted(outcomes):
    seen = [outcome for outcome in outcomes if outcome["svg"] is not None]
    return {
        "a picture": (sum(outcome["drawn"] for outcome in outcomes), len(outcomes)),
        "what was asked for, in the drawing": (sum(outcome["svg"] for outcome in seen), len(seen)),
        "its colour at its place, in the pixels": (sum(outcome["pixels"] for outcome in outcomes), len(outcomes)),
        "right in both": (sum(outcome["pixels"] and outcome["svg"] is not False for outcome in outcomes), len(outcomes)),
    }


def contact_sheet(outcomes):
    """All pictures on one page, with what was asked and what is wrong."""
    tiles = []
    for outcome in outcomes:
        shown = f'<img src="data:image/png;base64,{outcome["picture"]}" alt="">' if outcome["picture"] else "<div></div>"
        verdict = html.escape(outcome["why"] or "right")
        tiles.append(f"<figure>{shown}<figcaption>{html.escape(outcome['prompt'])}<br><small>{verdict}</small></figcaption></figure>")
    style = (
        "body{display:grid;grid-template-columns:repeat(5,1fr);gap:8px;font:13px sans-serif}"
        "figure{margin:0}img,div{width:100%;aspect-ratio:1;background:#eee}"
    )
    return f'<!doctype html><meta charset="utf-8"><title>Drawings</title><style>{style}</style>' + "".join(tiles) + "\n"


if __name__ == "__main__":
    print(json.dumps(template(), indent=2))
