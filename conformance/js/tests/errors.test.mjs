// Refusals: the exception a caller catches, the code it reads and the field that the message names.

import { test } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { ai, ask, assertRefused, MODEL, UNKNOWN_ID } from "./sdk.mjs";

const badRequest = (promise, code, ...named) => assertRefused(promise, "BadRequestError", 400, code, ...named);
const notFound = (promise, code, ...named) => assertRefused(promise, "NotFoundError", 404, code, ...named);

test("wrong key is an AuthenticationError", async () => {
  const stranger = new GoogleGenAI({ apiKey: "not-a-key" });
  const request = { model: MODEL, input: "Hi" };
  const denied = (promise) => assertRefused(promise, "AuthenticationError", 401, "authentication");
  await denied(stranger.interactions.create(request));
  await denied(stranger.interactions.create({ ...request, stream: true }));
  await denied(stranger.interactions.get(UNKNOWN_ID));
});

test("unknown model names itself", () => notFound(ask("Hi", { model: "no-such-model" }), "model_not_found", "no-such-model"));

test("unknown interaction is a NotFoundError", async () => {
  for (const id of [UNKNOWN_ID, "not-an-id"]) {
    await notFound(ai.interactions.get(id), "not_found");
    await notFound(ai.interactions.cancel(id), "not_found");
    await notFound(ai.interactions.delete(id), "not_found");
  }
});

test("unknown previous interaction is 404, a malformed id 400", async () => {
  const after = (previous_interaction_id) => ask("Hi", { previous_interaction_id });
  await notFound(after(UNKNOWN_ID), "not_found", "previous_interaction_id");
  await badRequest(after("nonsense"), "invalid_request", "previous_interaction_id");
});

test("unknown key is refused by name", async () => {
  await badRequest(ask("Hi", { tempreature: 1 }), "parameter_unknown", "tempreature");
  await badRequest(ask("Hi", {}, { extra_body: { tempreature: 1 } }), "parameter_unknown", "tempreature");
  await badRequest(
    ask("Hi", { generation_config: { tempreature: 1 } }), "parameter_unknown", "generation_config.tempreature",
  );
});

test("model and agent exclude each other, and one is needed", async () => {
  await badRequest(ask("Hi", { agent: "antigravity-preview-05-2026" }), "invalid_request", "model", "agent");
  await badRequest(ai.interactions.create({ input: "Hi" }), "invalid_request", "model", "agent");
});

test("background without store is refused", () =>
  badRequest(ask("Hi", { background: true, store: false }), "invalid_request", "background", "store"));

test("malformed input is refused by path", async () => {
  for (const input of ["", []]) await badRequest(ask(input), "invalid_request", "input");
  await badRequest(ask([{ type: "no_such_step" }]), "invalid_request", "input[0].type");
  await badRequest(ask([{ type: "text", text: 7 }]), "invalid_request", "input[0].text");
  await badRequest(ask(7), "invalid_request", "input");
  await badRequest(ai.interactions.create({ model: MODEL }), "invalid_request", "input");
});

test("wrong type is refused by path", async () => {
  await badRequest(ask("Hi", { system_instruction: 7 }), "invalid_request", "system_instruction");
  await badRequest(ask("Hi", { store: "no" }), "invalid_request", "store");
  await badRequest(ask("Hi", { generation_config: { seed: "x" } }), "invalid_request", "generation_config.seed");
});

test("video input is refused by name until it is served", () => {
  const video = { type: "video", data: "AAAAGGZ0eXBpc29t", mime_type: "video/mp4" };
  return badRequest(ask([{ type: "text", text: "What is this?" }, video]), "invalid_request", "video", "content[1]");
});

test("server tools are refused by name until they are served", async () => {
  const types = ["computer_use", "google_maps", "retrieval"];
  for (const type of types) await badRequest(ask("Hi", { tools: [{ type }] }), "invalid_request", "tools[0].type", type);
});

test("other formats of answers are refused by name until they are served", async () => {
  await badRequest(ask("Hi", { response_format: { type: "image" } }), "invalid_request", "response_format", "image");
  for (const type of ["audio", "video"]) {
    await badRequest(ask("Hi", { response_format: { type } }), "invalid_request", "response_format.type", type);
    const both = [{ type: "text" }, { type }];
    await badRequest(ask("Hi", { response_format: both }), "invalid_request", "response_format[1].type", type);
  }
});
