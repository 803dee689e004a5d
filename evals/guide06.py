"""Pictures as the guide has them: its programs `06_1` as they are printed, many times, and unlike prompts through the
SDK, whose pictures have to be unlike, too.
"""

import base64
import hashlib
import json
import os
import time
from pathlib import Path

import judging
import looking
from drawing import IMAGE_ALIAS
from guide import SUFFIXES, ran

PROGRAM, MADE = "06_1", "generated_image.png"
SIZE = (1024, 1024)
"""What a request gets that names none."""
LEAST_COLOURS, LEAST_SHAPES = 4, 5
MOST_SECONDS = 180
SDK = "the SDK"
PROMPTS = (
    "A lighthouse on a cliff at night", "A bowl of fruit on a table", "A cat asleep on a red cushion",
    "A mountain lake with a small boat", "A steam train that crosses a bridge", "A birthday cake with candles",
    "A rocket on its way to the moon", "A house with a garden in spring", "A snowman beside a fir tree",
    "A sailing ship in a storm",
)  # fmt: skip
COLUMNS = ("picture", "size", "colours", "shapes", "in_time")


def run(server, model, options):
    jobs = []
    if guide := os.environ.get("ANTIPHON_GUIDE"):
        for file in (PROGRAM + suffix for suffix in SUFFIXES):
            jobs += [(file, lambda file=file: program_run(server, Path(guide), file))] * options.repeats
    else:
        print("SKIPPED the guide's programs: ANTIPHON_GUIDE names no folder")
    model = IMAGE_ALIAS if server.is_own else model
    jobs += [(SDK, lambda prompt=prompt: asked(server, model, prompt)) for prompt in PROMPTS]
    outcomes = []
    for group, job in jobs:
        if options.only and group not in options.only:
            continue
        began = time.perf_counter()
        try:
            found = job()
        except Exception as error:
            found = outcome(why=judging.refusal(error)[1])
        found |= {"group": group, "seconds": round(time.perf_counter() - began, 1)}
        found["in_time"] = found["seconds"] <= MOST_SECONDS
        outcomes.append(found)
        print(f"{group}: {found['seconds']} s: {found['why'] or 'as it should be'}", flush=True)
    print(f"\n{'':<9}{'of':>3}" + "".join(f"{column:>10}" for column in COLUMNS))
    for group in dict.fromkeys(found["group"] for found in outcomes):
        counted = [found for found in outcomes if found["group"] == group]
        shown = ([found[column] for found in counted if found[column] is not None] for column in COLUMNS)
        print(f"{group:<9}{len(counted):>3}" + "".join(f"{sum(values) if values else '-':>10}" for values in shown))
    unlike = {found["hash"] for found in outcomes if found["group"] == SDK and found["hash"]}
    pictures = sum(bool(found["hash"]) for found in outcomes if found["group"] == SDK)
    print(f"unlike pictures of {pictures} unlike prompts: {len(unlike)}")
    return {"runs": outcomes, "unlike": len(unlike), "broken": []}


def outcome(why, picture=False, size=False, colours=False, shapes=None, hash=None):
    return {"picture": picture, "size": size, "colours": colours, "shapes": shapes, "hash": hash, "why": why}


def program_run(server, guide, file):
    output, data, why = ran(server, guide, file, MADE)
    if why:
        return outcome(why)
    # Programs keep the picture alone; curl prints all of the answer.
    return of_interaction(json.loads(output), server.drawing) if file.endswith(".sh") else of_picture(data, None)


def asked(server, model, prompt):
    interaction = server.client.interactions.create(model=model, input=prompt)
    return of_interaction(interaction.model_dump(mode="json", exclude_none=True), server.drawing)


def of_interaction(interaction, drawing):
    steps = interaction.get("steps") or []
    parts = [part for step in steps if step["type"] == "model_output" for part in step["content"] if part["type"] == "image"]
    signature = next((step["signature"] for step in steps if step["type"] == "thought" and step.get("signature")), None)
    svg = drawing(signature) if signature else None
    if len(parts) != 1:
        error = interaction.get("error") or {}
        return outcome(error.get("message") or f"{len(parts)} pictures, status `{interaction.get('status')}`")
    return of_picture(base64.b64decode(parts[0]["data"]), svg)


def of_picture(data, svg):
    try:
        picture = looking.Picture.read(data or b"")
    except ValueError as error:
        return outcome(str(error))
    colours, shapes = looking.colours(picture), looking.count(svg) if svg else None
    faults = [
        (picture.width, picture.height) != SIZE and f"{picture.width} × {picture.height} pixels",
        colours < LEAST_COLOURS and f"{colours} colours",
        shapes is not None and shapes < LEAST_SHAPES and f"{shapes} shapes",
    ]
    return outcome(
        "; ".join(fault for fault in faults if fault) or None,
        picture=True,
        size=not faults[0],
        colours=not faults[1],
        shapes=None if shapes is None else not faults[2],
        hash=hashlib.sha256(data).hexdigest(),
    )
