// Agents: what they do in an environment, how it shows, and what stays there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertEvents, collect, fold, generated, scripted } from "./sdk.mjs";

const AGENT = "antigravity-preview-05-2026";

/** Runs the agent; its model says what `conformance/scripted` says. */
const work = (input, request = {}) =>
  scripted.interactions.create({
    agent: AGENT, environment: "remote", tools: [{ type: "code_execution" }], input, ...request,
  });

const kinds = (interaction) => interaction.steps.map((step) => step.type);

test("an agent writes, runs and answers, and its files stay", async () => {
  const first = await work("Keep the harbour note");
  assert.deepEqual([first.status, first.agent], ["completed", AGENT]);
  assert.deepEqual(kinds(first), [
    "function_call", "function_result", "code_execution_call", "code_execution_result", "model_output",
  ]);
  assert.equal(first.steps[1].call_id, first.steps[0].id);
  assert.equal(first.output_text, "The note says that the harbour is blue.");
  const again = await work("Read the harbour note", { environment: first.environment_id });
  assert.deepEqual(kinds(again), ["function_call", "function_result", "model_output"]);
  assert.equal(again.output_text, "The note says that the harbour is blue.");
});

test("a conversation and its environment are two things", async () => {
  const first = await work("Keep the harbour note");
  const environment = first.environment_id;
  const both = await work("Read the harbour note", { environment, previous_interaction_id: first.id });
  const alone = await work("Read the harbour note", { environment });
  assert.deepEqual([both.environment_id, both.previous_interaction_id], [environment, first.id]);
  assert.deepEqual(kinds(both), ["function_call", "function_result", "model_output"]);
  assert.equal(both.output_text, alone.output_text);
  assert.ok(both.usage.total_input_tokens > alone.usage.total_input_tokens);
});

test("a stream of an agent shows each step", async () => {
  const events = await collect(work("Keep the harbour note", { stream: true }));
  assertEvents(events);
  const stored = await scripted.interactions.get(events[0].interaction.id);
  assert.deepEqual(fold(events), generated(stored));
});
