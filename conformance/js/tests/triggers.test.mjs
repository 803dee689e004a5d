// Triggers as a program of the SDK uses them: made, run, paused, and what came of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { scripted } from "./sdk.mjs";

const AGENT = "antigravity-preview-05-2026";
const { triggers } = scripted;

const refused = (promise, status) =>
  assert.rejects(promise, (error) => assert.equal(error.status ?? error.statusCode, status, error) ?? true);

test("a trigger is made, run, paused, listed and removed", async () => {
  const made = await triggers.create({
    // A time that does not come while the suite runs.
    schedule: "0 4 29 2 *",
    time_zone: "Europe/Lisbon",
    display_name: "Leap day",
    interaction: {
      agent: AGENT, input: "Keep the harbour note", environment: "remote", tools: [{ type: "code_execution" }],
    },
  });
  assert.match(made.id, /^trig_[A-Za-z0-9_-]{24}$/);
  assert.deepEqual([made.status, made.display_name, made.interaction.agent], ["active", "Leap day", AGENT]);
  assert.ok(new Date(made.next_run_time) > new Date(made.create_time));
  const paused = await triggers.update(made.id, { status: "paused" });
  assert.deepEqual([paused.status, paused.next_run_time], ["paused", undefined]);
  const { triggers: found } = await triggers.list({ filter: 'status = "paused"', page_size: 1000 });
  assert.ok(found.some(({ id }) => id === made.id));
  const begun = await triggers.run(made.id);
  assert.equal(begun.trigger_id, made.id);
  // It may have ended already.
  assert.ok(["in_progress", "completed"].includes(begun.status), begun.status);
  let execution;
  do {
    await wait(100);
    [execution] = (await triggers.listExecutions(made.id, { page_size: 5 })).trigger_executions;
  } while (execution.status === "in_progress");
  assert.deepEqual([execution.id, execution.status], [begun.id, "completed"]);
  const interaction = await scripted.interactions.get(execution.interaction_id);
  assert.equal(interaction.output_text, "The note says that the harbour is blue.");
  assert.equal(interaction.environment_id, execution.environment_id);
  await triggers.delete(made.id);
  await refused(triggers.get(made.id), 404);
  await refused(triggers.run(made.id), 404);
});

test("what cannot be had is refused", async () => {
  const trigger = { schedule: "0 4 29 2 *", time_zone: "UTC", interaction: { agent: AGENT, input: "Hello" } };
  await refused(triggers.create({ ...trigger, schedule: "every day" }), 400);
  await refused(triggers.create({ ...trigger, time_zone: "Lisbon" }), 400);
  await refused(triggers.create({ ...trigger, interaction: { agent: "nobody", input: "Hello" } }), 404);
});
