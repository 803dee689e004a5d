// Agents of a project's own, as a program of the SDK uses them: defined, listed, run and deleted.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { assertTyped, plain, scripted, takeRetried } from "./sdk.mjs";

const BASE = "antigravity-preview-05-2026";
const NOTE = { type: "inline", content: "The harbour is blue.\n", target: "notes/harbour.txt" };
const { agents, environments, interactions } = scripted;

async function define(context, request = {}) {
  const agent = await agents.create({ id: `agent-${randomUUID().slice(0, 12)}`, base_agent: BASE, ...request });
  context.after(() =>
    agents.delete(agent.id).catch((error) => {
      // Deleted by the test itself.
      assert.equal(error.status ?? error.statusCode, 404, error);
    }),
  );
  return agent;
}

/** Fails unless the promise is rejected with this status. */
const refused = (promise, status) =>
  assert.rejects(promise, (error) => assert.equal(error.status ?? error.statusCode, status, error) ?? true);

const paths = async (environment) =>
  (await environments.files.list({ environment, path: "", recursive: true })).files.map(({ path }) => path);

test("agents: one is defined, shown, listed and deleted", async (context) => {
  const definition = {
    description: "Keeps notes", system_instruction: "Keep notes.", tools: [{ type: "code_execution" }],
    agent_config: { type: "antigravity", max_total_tokens: 5000 },
    base_environment: { type: "remote", sources: [NOTE] },
  };
  const made = await define(context, definition);
  // The SDK sends int64 as it likes.
  const { agent_config, ...rest } = plain(made);
  assert.equal(Number(agent_config.max_total_tokens), 5000);
  const { agent_config: _, ...expected } = definition;
  assert.deepEqual(rest, { ...expected, id: made.id, base_agent: BASE });
  assert.deepEqual(plain(await agents.get(made.id)), plain(made));
  const other = await define(context);
  const listed = [];
  let page_token;
  do {
    const page = await agents.list({ page_size: 1, page_token });
    listed.push(...page.agents.map(({ id }) => id));
    page_token = page.next_page_token;
  } while (page_token);
  assert.ok(listed.includes(made.id) && listed.includes(other.id), listed.join());
  await agents.delete(made.id);
  await refused(agents.get(made.id), 404);
  await refused(agents.delete(made.id), 404);
});

test("agents: what is no definition is refused, and an id is given once", async (context) => {
  await refused(define(context, { id: "gemini-mine" }), 400);
  await refused(define(context, { base_agent: "nobody" }), 400);
  await refused(define(context, { base_environment: "env_unknown" }), 404);
  const made = await define(context);
  await refused(agents.create({ id: made.id, base_agent: BASE }), 409);
  // The SDK tries again on 409.
  assert.ok(takeRetried().every((answer) => answer.startsWith("409 ")));
});

test("agents: each run has a copy of the environment", async (context) => {
  const base = (await environments.create({ sources: [NOTE] })).id;
  const agent = (await define(context, { tools: [{ type: "code_execution" }], base_environment: base })).id;
  const run = await interactions.create({ agent, input: "Leave a mark" });
  assertTyped(run);
  assert.deepEqual([run.status, run.agent], ["completed", agent]);
  assert.notEqual(run.environment_id, base);
  assert.deepEqual((await paths(run.environment_id)).sort(), ["mark.txt", "notes", NOTE.target]);
  assert.deepEqual((await paths(base)).sort(), ["notes", NOTE.target]);
  const again = await interactions.create({ agent, input: "Read the harbour note", environment: run.environment_id });
  assert.equal(again.environment_id, run.environment_id);
  assert.equal(again.output_text, "The note says that the harbour is blue.");
  await refused(interactions.create({ agent, input: "Hello", agent_config: { type: "antigravity" } }), 400);
});
