// Media that the model does not take: what is read for it, how that is said, and what is refused.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { assertEvents, assertInteraction, assertRefused, collect, fold, generated, scripted, tell } from "./sdk.mjs";

const PRICES = Buffer.from("produto;preço\npastel de nata;1.40\n", "latin1");
const QUESTION = { type: "text", text: "What does the pastry cost?" };
const document = (fields = {}, data = PRICES) => ({
  type: "document",
  data: data.toString("base64"),
  mime_type: "text/csv; charset=windows-1252",
  ...fields,
});

test("a document is read and says how", async () => {
  const interaction = await tell([QUESTION, document()]);
  assertInteraction(interaction);
  assert.equal(interaction.output_text, "It costs 1.40.");
  const [call, result, thought] = interaction.steps;
  assert.deepEqual([call.type, result.type, thought.type], ["processing_call", "processing_result", "thought"]);
  assert.equal(result.call_id, call.id);
  assert.equal(result.x_media.sha256, createHash("sha256").update(PRICES).digest("hex"));
  assert.match(thought.summary[0].text, /preço/);
});

test("a stream shows the reading before the answer", async () => {
  const events = await collect(await tell([QUESTION, document()], { stream: true }));
  assertEvents(events);
  const kinds = fold(events).map((step) => step.type);
  assert.deepEqual(kinds, ["processing_call", "processing_result", "thought", "model_output"]);
});

test("later turns know what was read", async () => {
  const first = await tell([QUESTION, document()]);
  const kept = await tell("pastel de nata?", { previous_interaction_id: first.id });
  assert.deepEqual(kept.steps.map((step) => step.type), ["model_output"]);
  const user = (...content) => ({ type: "user_input", content });
  const input = [user(QUESTION, document()), ...first.steps, user({ type: "text", text: "pastel de nata?" })];
  const replayed = await tell(input, { store: false });
  assert.deepEqual(generated(replayed), generated(kept));
  assert.equal(replayed.usage.total_input_tokens, kept.usage.total_input_tokens);
});

test("a file of the project is given by its uri", async () => {
  const file = await scripted.files.upload({ file: new Blob([PRICES]), config: { mimeType: "text/csv" } });
  for (const uri of [file.name, file.uri]) {
    const interaction = await tell([QUESTION, { type: "document", uri }]);
    assert.equal(interaction.output_text, "It costs 1.40.");
  }
});

test("what cannot be used is refused by its field", async () => {
  for (const [part, ...named] of [
    [document({}, Buffer.from("\x89PNG\r\n\x1a\n", "latin1")), "mime_type", "text/csv", "image/png"],
    [document({ uri: "files/x" }), "data", "uri"],
    [{ type: "document", mime_type: "text/csv" }, "data", "uri"],
    [{ type: "document", uri: "files/none" }, "uri", "files/none"],
    [{ type: "document", uri: "https://127.0.0.1/a.csv" }, "uri", "cannot fetch content"],
    [document({ processing: { type: "static", page_options: { start_page: 1 } } }), "processing.page_options"],
  ]) {
    for (const stream of [false, true]) {
      await assertRefused(tell([QUESTION, part], { stream }), "BadRequestError", 400, "invalid_request", ...named);
    }
  }
});
