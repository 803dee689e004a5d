// Tools that the server carries out: what was asked, what was found, and what an answer rests on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertEvents, assertInteraction, assertRefused, assertTyped, collect, fold, generated, goOn, scripted, tell } from "./sdk.mjs";

const SEARCH = [{ type: "google_search" }];
const CODE = [{ type: "code_execution" }];
const SENTENCE = "Spain won the final 2–1 against England";

const kinds = (interaction) => interaction.steps.map((step) => step.type);

/** What each citation of a text spans, in bytes as the API counts, and what it names. */
function cited({ content: [part] }) {
  const whole = new TextEncoder().encode(part.text);
  const span = (note) => new TextDecoder("utf-8", { fatal: true }).decode(whole.slice(note.start_index, note.end_index));
  return (part.annotations ?? []).map((note) => [span(note), note.title, note.url]);
}

test("an answer cites what was found", async () => {
  const interaction = await tell("Who won the euro 2024?", { tools: SEARCH });
  assertInteraction(interaction);
  assert.deepEqual(kinds(interaction), ["google_search_call", "google_search_result", "thought", "model_output"]);
  assert.equal(interaction.output_text, `${SENTENCE}. That was a fine evening.`);
  assert.deepEqual(cited(interaction.steps[3]), [
    [SENTENCE, "Example Encyclopedia", "https://example.org/euro-2024-final"],
  ]);
  assert.deepEqual(interaction.usage.grounding_tool_count, [{ type: "google_search", count: 1 }]);
});

test("a stream tells the same, and never shows a mark", async () => {
  const events = await collect(tell("Onde nasce o rio Douro?", { tools: SEARCH, stream: true }));
  assertEvents(events);
  const shown = events.filter((event) => event.delta?.type === "text").map((event) => event.delta.text).join("");
  assert.equal(shown, "O rio Douro nasce na serra de Urbião, em Espanha.");
  const stored = await scripted.interactions.get(events[0].interaction.id);
  assert.deepEqual(fold(events), generated(stored));
  assert.deepEqual(cited(stored.steps.at(-1))[0][0], "O rio Douro nasce na serra de Urbião, em Espanha");
});

for (const stream of [false, true]) {
  const told = stream ? "streamed" : "whole";
  test(`a conversation goes on after a search, stored and replayed, ${told}`, async () => {
    const asked = "Who won the euro 2024?";
    const first = await tell(asked, { tools: SEARCH });
    const [answer] = await goOn(first, asked, "Hello?", { stream, tools: SEARCH });
    assert.equal(answer.content[0].text, "Hello there.");
    const steps = await goOn(first, asked, "Onde nasce o rio Douro?", { stream, tools: SEARCH });
    assert.deepEqual(kinds({ steps }), ["google_search_call", "google_search_result", "model_output"]);
    assert.equal(steps.at(-1).content[0].text, "O rio Douro nasce na serra de Urbião, em Espanha.");
    assert.deepEqual(cited(steps.at(-1)).map(([, , url]) => url), ["https://example.org/douro"]);
  });

  test(`a conversation goes on after a program, stored and replayed, ${told}`, async () => {
    const asked = "Compute six times seven";
    const first = await tell(asked, { tools: CODE });
    const [answer] = await goOn(first, asked, "Hello?", { stream, tools: CODE });
    assert.equal(answer.content[0].text, "Hello there.");
    const steps = await goOn(first, asked, "Fail on purpose", { stream, tools: CODE });
    assert.deepEqual(kinds({ steps }), ["code_execution_call", "code_execution_result", "model_output"]);
    assert.deepEqual([steps[1].is_error, steps[2].content[0].text], [true, "It failed."]);
  });
}

test("a program runs, and its picture is shown", async () => {
  const computed = await tell("Compute six times seven", { tools: CODE });
  assertInteraction(computed);
  assert.equal(computed.steps[1].result, "42 forty-two\n");
  const drawn = await tell("Draw a dot", { tools: CODE });
  assertTyped(drawn);
  assert.ok(drawn.output_image.data.startsWith("iVBORw0KGgo"));
  assert.equal(drawn.output_text, "It is 42.");
});

test("functions of the client wait while searches do not", async () => {
  const tools = [...SEARCH, { type: "function", name: "get_weather", parameters: { type: "object" } }];
  const waiting = await tell("Search and ask", { tools });
  assertInteraction(waiting, "requires_action");
  const call = waiting.steps.at(-1);
  const input = [{ type: "function_result", call_id: call.id, result: "22 degrees" }];
  const done = await tell(input, { tools, previous_interaction_id: waiting.id });
  assert.equal(done.output_text, "It is 22 degrees.");
});

test("a server of tools that may not be reached is refused", () =>
  assertRefused(
    tell("Hi", { tools: [{ type: "mcp_server", name: "inside", url: "http://127.0.0.1:9/mcp" }] }),
    "BadRequestError", 400, "failed_precondition", "tools[0]", "inside",
  ));
