// Pictures in answers: the language model draws, here by a script, and the server paints it.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assertEvents, assertRefused, assertTyped, assertUsage, collect, fold, generated, scripted } from "./sdk.mjs";

const paint = (input, request = {}) =>
  scripted.interactions.create({ model: "gemini-3.1-flash-image", input, ...request });

/** A completed interaction that ends with a picture; the picture's bytes. */
function read(interaction) {
  assertTyped(interaction);
  assert.equal(interaction.status, "completed");
  assertUsage(interaction.usage);
  const [part] = interaction.steps.at(-1).content;
  assert.equal(part.data, interaction.output_image.data);
  return Buffer.from(part.data, "base64");
}

/** Width and height of a PNG. */
function size(png) {
  assert.equal(png.subarray(1, 4).toString(), "PNG");
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

test("output_image is a picture that says what it is", async () => {
  const interaction = await paint("Paint a house");
  assert.deepEqual(size(read(interaction)), [1024, 1024]);
  assert.match(interaction.steps[0].summary[0].text, /vector drawing.*`scripted`/);
  assert.deepEqual(interaction.usage.output_tokens_by_modality, [{ modality: "image", tokens: 2 }]);
});

test("shape, size and encoding are honoured", async () => {
  const wide = await paint("Paint a house", {
    response_format: { type: "image", aspect_ratio: "16:9", image_size: "512" },
  });
  assert.deepEqual(size(read(wide)), [688, 384]);
  const jpeg = await paint("Paint a house", { response_format: { type: "image", mime_type: "image/jpeg" } });
  assert.equal(read(jpeg).readUInt16BE(0), 0xffd8);
});

test("a later turn changes the picture", async () => {
  const first = await paint("Paint a house");
  const kept = await paint("Make the sky darker", { previous_interaction_id: first.id });
  assert.notDeepEqual(read(kept), read(first));
  const user = (text) => ({ type: "user_input", content: [{ type: "text", text }] });
  const input = [user("Paint a house"), ...first.steps, user("Make the sky darker")];
  assert.deepEqual(read(await paint(input, { store: false })), read(kept));
});

test("a stream has the picture once", async () => {
  const events = await collect(paint("Paint a house", { stream: true }));
  assertEvents(events);
  assert.equal(events.filter((each) => each.delta?.type === "image").length, 1);
  const stored = await scripted.interactions.get(events[0].interaction.id);
  assert.deepEqual(fold(events), generated(stored));
});

test("words come before the picture, and a picture may be a file", async (context) => {
  const both = await paint("Paint a boat", { response_format: [{ type: "text" }, { type: "image", image_size: "512" }] });
  assert.deepEqual(size(read(both)), [512, 512]);
  assert.equal(both.output_text, "A boat on a lake.");
  const filed = await paint("Paint a house", { response_format: { type: "image", delivery: "uri" } });
  const { uri, data } = filed.output_image;
  assert.equal(data, undefined);
  const file = await scripted.files.get({ name: uri });
  assert.deepEqual([file.name, file.mimeType, file.source], [uri, "image/png", "GENERATED"]);
  // The SDK gives nothing back but writes where it is told; and of a file it takes the address, if only that is https.
  const folder = await mkdtemp(join(tmpdir(), "antiphon-"));
  context.after(() => rm(folder, { recursive: true }));
  const downloadPath = join(folder, "house.png");
  await scripted.files.download({ file: file.name, downloadPath });
  const png = await readFile(downloadPath);
  assert.deepEqual([size(png), String(png.length)], [[1024, 1024], file.sizeBytes]);
  await scripted.files.delete({ name: uri });
});

test("what cannot be shown is no image, and what a picture is not is refused", async () => {
  const interaction = await paint("Paint nothing");
  assert.equal(interaction.status, "failed");
  assert.equal(interaction.errors[0].code, "no_image");
  assert.equal(interaction.output_image, undefined);
  const post = paint("Paint a house", { response_format: { type: "image", delivery: "post" } });
  await assertRefused(post, "BadRequestError", 400, "invalid_request", "response_format.delivery");
});
