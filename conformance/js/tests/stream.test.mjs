// Streams: the events of a run, live, again, and from where a connection was cut.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ai, ask, assertEnded, assertEvents, assertRefused, collect, ESSAY, fold, generated, MODEL, plain, QUESTION,
  startLongRun, take, UNKNOWN_ID,
} from "./sdk.mjs";

const idOf = (events) => events[0].interaction.id;

test("stream has the documented order, indexes and ids", async () => {
  const events = await collect(ask(QUESTION, { stream: true }));
  assertEvents(events);
  assert.equal(events[0].interaction.model, MODEL);
});

test("fold of a stream equals the stored interaction", async () => {
  const events = await collect(ask(QUESTION, { stream: true }));
  const stored = plain(await ai.interactions.get(idOf(events)));
  assert.deepEqual(fold(events), generated(stored));
  assert.deepEqual(events.at(-1).interaction.usage, stored.usage);
});

test("stream ends incomplete at max_output_tokens", async () => {
  const events = await collect(ask(ESSAY, { stream: true, generation_config: { max_output_tokens: 9 } }));
  const last = events.at(-1).interaction;
  assertEvents(events, last.status);
  assert.equal(last.status === "incomplete", last.usage.total_output_tokens === 9);
  assertEnded(last, 9);
});

test("get as stream replays a run exactly, also one that was not streamed", async () => {
  const events = await collect(ask(QUESTION, { stream: true }));
  assert.deepEqual(await collect(ai.interactions.get(idOf(events), { stream: true })), events);

  const interaction = await ask(QUESTION);
  const replayed = await collect(ai.interactions.get(interaction.id, { stream: true }));
  assertEvents(replayed);
  assert.deepEqual(fold(replayed), interaction.steps);
});

test("resume after any event yields exactly the rest", async () => {
  const events = await collect(ask(QUESTION, { stream: true }));
  for (const [index, event] of events.entries()) {
    const resume = { stream: true, last_event_id: event.event_id };
    assert.deepEqual(
      await collect(ai.interactions.get(idOf(events), resume)),
      events.slice(index + 1),
      `after event ${index}`,
    );
  }
});

for (const kept of [1, 2, 3, 4, 8, 16]) {
  test(`connection cut after ${kept} events loses nothing`, async () => {
    // How many tokens an event has is a matter of time: enough of them that so many events come.
    const generation_config = { max_output_tokens: Math.max(60, 20 * kept) };
    const seen = await take(ask(ESSAY, { stream: true, generation_config }), kept);
    const resume = { stream: true, last_event_id: seen.at(-1).event_id };
    const rest = await collect(ai.interactions.get(idOf(seen), resume));
    const whole = await collect(ai.interactions.get(idOf(seen), { stream: true }));
    assert.deepEqual([...seen, ...rest], whole);
    const { status } = whole.at(-1).interaction;
    assert.ok(["completed", "incomplete"].includes(status));
    assertEvents(whole, status);
  });
}

test("background run can be streamed from the start", async () => {
  const events = await collect(ask(QUESTION, { stream: true, background: true }));
  assertEvents(events);
  assert.deepEqual(fold(events), generated(await ai.interactions.get(idOf(events))));
});

test("two followers of a live run see the same events", async (context) => {
  const { id } = await startLongRun(context);
  const follow = () => take(ai.interactions.get(id, { stream: true }), 12);
  const [left, right] = await Promise.all([follow(), follow()]);
  assert.deepEqual(left, right);
});

test("stream of an unstored interaction leaves nothing behind", async () => {
  const events = await collect(ask(QUESTION, { stream: true, store: false }));
  assertEvents(events);
  await assertRefused(ai.interactions.get(idOf(events)), "NotFoundError", 404, "not_found");
});

test("a stream that cannot begin is a plain HTTP error", async () => {
  const { id } = await ask("Hi");
  const unknown = { stream: true, last_event_id: "no-such-event" };
  await assertRefused(ai.interactions.get(id, unknown), "BadRequestError", 400, "invalid_request");
  await assertRefused(ai.interactions.get(UNKNOWN_ID, { stream: true }), "NotFoundError", 404, "not_found");
  await assertRefused(
    ask("Hi", { stream: true, model: "no-such-model" }), "NotFoundError", 404, "model_not_found",
  );
});
