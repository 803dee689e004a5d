// Conversations and the life of a stored interaction.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ai, ask, assertClean, assertEvents, assertInteraction, assertRefused, assertTyped, collect, fold,
  generated, MODEL, plain, poll, QUESTION, startLongRun, UNKNOWN_ID,
} from "./sdk.mjs";

const DOGS = "I have 2 dogs in my house.";
const PAWS = "How many paws are in my house?";
const tokens = ({ usage }) => usage.total_input_tokens;

test("second turn sees the first and reuses its tokens", async () => {
  const first = await ask(DOGS);
  const second = await ask(PAWS, { previous_interaction_id: first.id });
  assertInteraction(second);
  assert.equal(second.previous_interaction_id, first.id);
  assert.ok(tokens(second) > tokens(first) + first.usage.total_output_tokens);
  assert.ok(second.usage.total_cached_tokens > 0);
  const stored = await ai.interactions.get(second.id);
  assert.equal(stored.steps[0].content[0].text, PAWS);
  assert.deepEqual(generated(stored), second.steps);
});

test("history sent by the client is seen", async () => {
  const history = [{ type: "user_input", content: [{ type: "text", text: DOGS }] }];
  const first = await ask(history, { store: false });
  history.push(...first.steps, { type: "user_input", content: [{ type: "text", text: PAWS }] });
  const second = await ask(history, { store: false });
  assertInteraction(second);
  assert.ok(tokens(second) > tokens(first) + first.usage.total_output_tokens);
  await assertRefused(ai.interactions.get(second.id), "NotFoundError", 404, "not_found");
});

test("forks of one turn do not see each other", async () => {
  const root = await ask(DOGS);
  const below = (previous_interaction_id, input) => ask(input, { previous_interaction_id });
  const left = await below(root.id, "Name one of them Rex, and say so.");
  const right = await below(root.id, PAWS);
  const again = await below(root.id, PAWS);
  assert.equal(tokens(right), tokens(again));
  assert.ok(tokens(await below(left.id, PAWS)) > tokens(right));
});

test("ten clients on one conversation are ten forks", async () => {
  const { id } = await ask(DOGS);
  const request = { previous_interaction_id: id, generation_config: { max_output_tokens: 12 } };
  const forks = await Promise.all(Array.from({ length: 10 }, () => ask(PAWS, request)));
  assert.equal(new Set(forks.map((fork) => fork.id)).size, 10);
  assert.equal(new Set(forks.map(tokens)).size, 1);
});

test("background run answers at once and completes when polled", async () => {
  const started = await ask(QUESTION, { background: true });
  assertTyped(started);
  assert.equal(started.status, "in_progress");
  assert.equal(started.model, MODEL);
  const finished = await poll(ai, started.id);
  assertInteraction(finished);
});

test("get returns the input first and then what was generated", async () => {
  const interaction = await ask(QUESTION);
  const stored = await ai.interactions.get(interaction.id);
  assertInteraction(stored);
  assert.deepEqual(stored.steps[0], { type: "user_input", content: [{ type: "text", text: QUESTION }] });
  assert.deepEqual(stored.steps.slice(1), interaction.steps);
  assert.deepEqual(plain(stored).usage, plain(interaction).usage);
  assert.equal(stored.input, undefined);
  const withInput = await ai.interactions.get(interaction.id, { include_input: true });
  assert.ok(JSON.stringify(withInput.input).includes(QUESTION));
});

test("cancel ends a background run, keeps what was written and is final", async (context) => {
  const { id } = await startLongRun(context);
  const stream = await ai.interactions.get(id, { stream: true });
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (events.length === 6) assert.equal((await ai.interactions.cancel(id)).status, "cancelled");
  }
  assertEvents(events, "cancelled");
  const stored = await ai.interactions.get(id);
  assertInteraction(stored, "cancelled");
  assert.deepEqual(fold(events), generated(stored));
  assertClean(stored.output_text);
  assert.equal((await ai.interactions.cancel(id)).status, "cancelled");
});

test("cancel of a completed run is refused", async () => {
  const { id } = await ask("Hi");
  await assertRefused(ai.interactions.cancel(id), "BadRequestError", 400, "failed_precondition");
  await assertRefused(ai.interactions.cancel(UNKNOWN_ID), "NotFoundError", 404, "not_found");
});

test("a running turn is no history yet", async (context) => {
  const { id } = await startLongRun(context);
  await assert.rejects(ask("And then?", { previous_interaction_id: id }), { name: "BadRequestError" });
});

test("deleted interaction is gone for every operation", async () => {
  const first = await ask("Hi");
  const second = await ask("Bye", { previous_interaction_id: first.id });
  assert.equal(await ai.interactions.delete(first.id), undefined);
  const gone = (promise) => assertRefused(promise, "NotFoundError", 404, "not_found");
  await gone(ai.interactions.get(first.id));
  await gone(ai.interactions.get(first.id, { stream: true }));
  await gone(ai.interactions.cancel(first.id));
  await gone(ai.interactions.delete(first.id));
  await gone(ask("Again", { previous_interaction_id: first.id }));
  await gone(ask("Again", { previous_interaction_id: second.id }));
  assert.equal((await ai.interactions.get(second.id)).output_text, second.output_text);
});

test("client that hangs up does not stop a stored run", async () => {
  const stream = await ask(QUESTION, { stream: true });
  let id;
  for await (const event of stream) {
    id = event.interaction.id;
    break;
  }
  assertInteraction(await poll(ai, id));
  assert.ok((await collect(ai.interactions.get(id, { stream: true }))).length > 0);
});
