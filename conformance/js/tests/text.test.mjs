// Text in, text out: one request, one answer, in every form the request may take.

import assert from "node:assert/strict";
import { test } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { ai, ask, assertClean, assertEnded, assertInteraction, ESSAY, MODEL, QUESTION } from "./sdk.mjs";

test("create answers with clean text and exact usage", async () => {
  const interaction = await ask(QUESTION);
  assertInteraction(interaction);
  assert.equal(interaction.model, MODEL);
  assert.ok(interaction.usage.total_output_tokens > 0);
});

test("create needs nothing but model and input", async () => {
  assertInteraction(await ai.interactions.create({ model: MODEL, input: "Say hello in a few words" }));
});

test("answer echoes the model name that was asked for", async () => {
  for (const model of ["gemini-2.5-pro", "models/gemini-3.5-flash"]) {
    assert.equal((await ask("Hi", { model })).model, model);
  }
});

test("every form of input means the same", async () => {
  const text = { type: "text", text: QUESTION };
  const forms = [
    QUESTION,
    text,
    [QUESTION],
    [text],
    [{ text: QUESTION }],
    { type: "user_input", content: [text] },
    [{ type: "user_input", content: [text] }],
    [{ type: "user_input", content: QUESTION }],
    [{ type: "user_input", content: text }],
    [{ role: "user", content: [text] }],
    [{ role: "user", content: QUESTION }],
  ];
  const counts = new Set();
  for (const form of forms) {
    const interaction = await ask(form);
    assertInteraction(interaction);
    counts.add(interaction.usage.total_input_tokens);
  }
  assert.equal(counts.size, 1);
});

test("contents and steps may be mixed in one input", async () => {
  const interaction = await ask([
    { type: "user_input", content: "I have 2 dogs in my house." },
    { type: "model_output", content: [{ type: "text", text: "How nice." }] },
    { type: "text", text: "How many paws" },
    { type: "text", text: " are in my house?" },
  ]);
  assertInteraction(interaction);
});

test("explicit nulls are absent fields", async () => {
  const interaction = await ai.interactions.create({
    model: MODEL,
    input: "Hi",
    agent: null,
    background: null,
    generation_config: null,
    labels: null,
    previous_interaction_id: null,
    response_format: null,
    service_tier: null,
    store: null,
    stream: null,
    system_instruction: null,
    tools: null,
    webhook_config: null,
  });
  assertInteraction(interaction);
  assert.equal(interaction.previous_interaction_id, undefined);
  // `store: null` is the default: kept.
  assert.equal((await ai.interactions.get(interaction.id)).id, interaction.id);
});

test("explicit nulls inside generation_config are absent fields", async () => {
  const generation_config = { seed: null, stop_sequences: null, top_p: null, thinking_level: null };
  assertInteraction(await ask("Hi", { generation_config }));
});

test("system_instruction is part of the input", async () => {
  const system_instruction = "You are a pirate from the Caribbean sea. ".repeat(8);
  const [without, withIt] = [await ask(QUESTION), await ask(QUESTION, { system_instruction })];
  assert.ok(withIt.usage.total_input_tokens > without.usage.total_input_tokens + 8);
});

test("max_output_tokens ends incomplete with what was written", async () => {
  const interaction = await ask(ESSAY, { generation_config: { max_output_tokens: 7 } });
  assertInteraction(interaction, interaction.status);
  assert.equal(interaction.status === "incomplete", interaction.usage.total_output_tokens === 7);
  assertEnded(interaction, 7);
  assertClean(interaction.output_text);
});

test("a stop sequence ends the text before it and completes", async () => {
  const interaction = await ask(QUESTION, { generation_config: { stop_sequences: [" "] } });
  assertInteraction(interaction);
  assert.ok(!interaction.output_text.includes(" "));
});

test("labels and service tier are echoed", async () => {
  const labels = { team: "tests", "run-id": "a_1" };
  const interaction = await ask("Hi", { labels, service_tier: "flex" });
  assert.deepEqual(interaction.labels, labels);
  assert.equal(interaction.service_tier, "flex");
  assert.deepEqual((await ai.interactions.get(interaction.id)).labels, labels);
});

test("every version segment serves the same", async () => {
  for (const version of ["v1", "v1beta", "v1alpha", "v1beta1"]) {
    const interaction = await ask("Hi", { api_version: version });
    assertInteraction(interaction);
    const versioned = new GoogleGenAI({ apiVersion: version });
    assert.equal((await versioned.interactions.get(interaction.id)).output_text, interaction.output_text);
    assert.equal((await ai.interactions.get(interaction.id)).output_text, interaction.output_text);
  }
});

test("base URL may end with a slash", async () => {
  const slashed = new GoogleGenAI({
    httpOptions: { baseUrl: `${process.env.GOOGLE_GEMINI_BASE_URL}/` },
  });
  assertInteraction(await slashed.interactions.create({ model: MODEL, input: "Hi" }));
  assert.ok((await slashed.models.list()).page.length > 0);
});

test("models are listed and each can be read and asked", async () => {
  const pager = await ai.models.list();
  assert.ok(pager.page.length > 0);
  for await (const model of pager) {
    assert.match(model.name, /^models\//);
    assert.ok(model.displayName);
    assert.ok(model.inputTokenLimit > 0);
    assert.equal((await ai.models.get({ model: model.name })).name, model.name);
    assertInteraction(await ask("Hi", { model: model.name }));
  }
  await assert.rejects(ai.models.get({ model: "no-such-model" }), (error) => error.status === 404);
});

test("a model says what becomes of each kind of media", async () => {
  // The SDK leaves out what it does not know, so the answer is read as it is.
  const { GOOGLE_GEMINI_BASE_URL: base, GEMINI_API_KEY: key } = process.env;
  const answer = await fetch(`${base}/v1beta/models`, { headers: { "x-goog-api-key": key } });
  for (const { name, x_media: media } of (await answer.json()).models) {
    assert.deepEqual(Object.keys(media).sort(), ["audio", "document", "image", "video"], name);
    for (const { route, tools, note } of Object.values(media)) {
      assert.ok(["native", "perceive", "reject"].includes(route));
      assert.equal(tools !== undefined, route === "perceive");
      assert.ok(route !== "reject" || note);
    }
  }
});
