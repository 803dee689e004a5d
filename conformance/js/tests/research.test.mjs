// Agents that research: a plan, searches, and a report that cites, in the background.

import assert from "node:assert/strict";
import { test } from "node:test";
import { collect, fold, generated, poll, scripted } from "./sdk.mjs";

const AGENT = "deep-research-preview-04-2026";

const research = (input, request = {}) =>
  scripted.interactions.create({
    agent: AGENT, background: true, tools: [{ type: "google_search" }], input,
    agent_config: { type: "deep-research", thinking_summaries: "auto" }, ...request,
  });

test("a research ends with a report that cites", async () => {
  const run = await research("Research the final");
  assert.equal(run.status, "in_progress");
  const done = await poll(scripted, run.id);
  assert.equal(done.status, "completed");
  const steps = done.steps.filter((step) => step.type !== "user_input");
  assert.deepEqual(steps.map((step) => step.type), [
    "thought", "google_search_call", "google_search_result", "model_output",
  ]);
  const notes = steps.at(-1).content.flatMap((part) => part.annotations ?? []);
  assert.deepEqual(notes.map((note) => note.url), ["https://example.org/euro-2024-final"]);
});

test("a stream shows the research while it runs", async () => {
  const events = await collect(research("Research the final", { stream: true }));
  assert.equal(events.at(-1).event_type, "interaction.completed");
  const stored = await scripted.interactions.get(events[0].interaction.id);
  assert.deepEqual(fold(events), generated(stored));
});

test("without the background it is refused by name", async () => {
  await assert.rejects(research("Research the final", { background: false }), /`background`/);
});
