// The SDK as a user's program has it: nothing set but GOOGLE_GEMINI_BASE_URL and GEMINI_API_KEY.
// What must be exact is asked of a second server, whose model says what `conformance/scripted` says.
// Beside them, the checks that every suite uses: JavaScript's SDK validates nothing at all, so an
// unknown event, step, field or a wrong type passes silently unless a test looks.

import assert from "node:assert/strict";
import { afterEach } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { GoogleGenAI } from "@google/genai";

for (const name of [
  "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "ANTIPHON_SCRIPTED_URL", "ANTIPHON_SCRIPTED_KEY",
]) {
  assert.ok(process.env[name], `${name} is not set: use \`conformance/run js\``);
}

export const MODEL = "gemini-3.5-flash";
export const QUESTION = "What is the capital of France? Answer in one short sentence.";
// Long enough to be still running when the next request arrives.
export const ESSAY = "Write a long and detailed essay about the history of the city of Rome.";
// The limit that `ask` sets, in tokens.
const LONGEST_ANSWER = 200;
export const UNKNOWN_ID = "v1_thereisnosuchthing";

export const ai = new GoogleGenAI({});
export const scripted = new GoogleGenAI({
  apiKey: process.env.ANTIPHON_SCRIPTED_KEY,
  httpOptions: { baseUrl: process.env.ANTIPHON_SCRIPTED_URL },
});

const asking = (client) => (input, { generation_config = {}, ...request } = {}, options = undefined) =>
  client.interactions.create(
    {
      model: MODEL,
      input,
      generation_config: { temperature: 0, max_output_tokens: LONGEST_ANSWER, ...generation_config },
      ...request,
    },
    options,
  );

/** Creates an interaction with the default model, greedily, so that answers are short and stable. */
export const ask = asking(ai);

/** Creates an interaction with the scripted model. */
export const tell = asking(scripted);

/** What the guide's background programs do, only more often. */
export async function poll(client, id) {
  for (;;) {
    const interaction = await client.interactions.get(id);
    assertTyped(interaction);
    if (!["queued", "in_progress"].includes(interaction.status)) return interaction;
    await wait(100);
  }
}

/** A background run that goes on for a while; it is cancelled when the test ends. */
export async function startLongRun(context) {
  const run = await ask(ESSAY, { background: true, generation_config: { max_output_tokens: 1500 } });
  context.after(() =>
    ai.interactions.cancel(run.id).catch((error) => {
      // Ended or deleted by the test itself.
      assert.ok([400, 404].includes(error.status), error);
    }),
  );
  return run;
}

export async function collect(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

/** Reads `count` events and hangs up. */
export async function take(stream, count) {
  const events = [];
  for await (const event of await stream) {
    events.push(event);
    if (events.length === count) break;
  }
  assert.equal(events.length, count);
  return events;
}

// The SDK silently tries again on 408, 409, 429 and 5xx: a passing test could hide them.
const retried = [];
const fetch = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const response = await fetch(...request);
  if (response.status >= 500 || [408, 409, 429].includes(response.status)) {
    retried.push(`${response.status} ${response.url}`);
  }
  return response;
};
afterEach(() => assert.deepEqual(retried.splice(0), []));

/** The answers so far that the SDK tries again on, for a test that expects them. */
export const takeRetried = () => retried.splice(0);

const COUNTS = ["input", "output", "thought", "tool_use", "cached"];
const STATUSES = [
  "queued", "in_progress", "requires_action", "completed", "failed", "cancelled", "incomplete",
  "budget_exceeded",
];

// Field name to check, per type that a text conversation may show. `?` marks optional fields.
const string = (value) => typeof value === "string";
const count = (value) => Number.isInteger(value) && value >= 0;
const object = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const listOf = (check) => (value) => Array.isArray(value) && value.every((item) => check(item));
const oneOf = (...values) => (value) => values.includes(value);
const time = (value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value);
const id = (value) => /^v1_[A-Za-z0-9_-]{1,200}$/.test(value);
const callId = (value) => /^([a-z0-9]{8}|call_[A-Za-z0-9_-]+)$/.test(value);

function shape(name, fields) {
  return (value) => {
    assert.ok(object(value), `${name}: expected an object, got ${JSON.stringify(value)}`);
    for (const [key, check] of Object.entries(fields)) {
      const field = key.replace("?", "");
      if (value[field] === undefined && key.endsWith("?")) continue;
      assert.ok(check(value[field]), `${name}.${field} is ${JSON.stringify(value[field])}`);
    }
    for (const key of Object.keys(value)) {
      assert.ok(key in fields || `${key}?` in fields, `${name} has no field ${key}`);
    }
    return true;
  };
}

function tagged(tag, variants) {
  return (value) => {
    const variant = variants[value?.[tag]];
    assert.ok(variant, `no such ${tag}: ${JSON.stringify(value)}`);
    return variant(value);
  };
}

const byModality = listOf(shape("modality", { modality: oneOf("text", "image"), tokens: count }));
const usage = shape("usage", {
  ...Object.fromEntries([...COUNTS, ""].map((name) => [`total_${name}_tokens`.replace("__", "_"), count])),
  "input_tokens_by_modality?": byModality,
  "output_tokens_by_modality?": byModality,
  "cached_tokens_by_modality?": byModality,
  "tool_use_tokens_by_modality?": byModality,
  "grounding_tool_count?": listOf(object),
  // Added by the SDK.
  "initial_input_tokens?": count,
});
const boolean = (value) => typeof value === "boolean";
const annotation = tagged("type", {
  url_citation: shape("url_citation", { type: string, url: string, title: string, start_index: count, end_index: count }),
  file_citation: shape("file_citation", {
    type: string, document_uri: string, file_name: string, source: string, "page_number?": count, "custom_metadata?": object,
    start_index: count, end_index: count,
  }),
});
const content = tagged("type", {
  text: shape("text", { type: string, text: string, "annotations?": listOf(annotation) }),
  image: shape("image", { type: string, data: string, mime_type: string }),
});
// Calls and results of tools that the server carries out: what their arguments and results are.
const SERVER_TOOLS = {
  google_search: [shape("arguments", { queries: listOf(string) }), listOf(shape("found", { search_suggestions: string }))],
  url_context: [shape("arguments", { urls: listOf(string) }), listOf(shape("page", { url: string, status: string }))],
  code_execution: [shape("arguments", { code: string, language: oneOf("python", "bash") }), string],
  // The SDK types neither; spec 08 wants the result, and the queries tell what was looked for.
  file_search: [shape("arguments", { queries: listOf(string) }), (value) => Array.isArray(value) && value.length === 0],
  mcp_server_tool: [object, (value) => string(value) || object(value) || listOf(content)(value)],
};
const media = shape("x_media", {
  block: string,
  kind: oneOf("image", "audio", "video", "document"),
  route: oneOf("perceive"),
  tools: listOf(string),
  sha256: string,
  seconds: (value) => typeof value === "number",
  truncated: boolean,
  "note?": string,
});
const serverTools = (call, result) => Object.fromEntries(Object.entries(SERVER_TOOLS).flatMap(([tool, checks]) => [
  [`${tool}_call`, shape(`${tool}_call`, { type: string, "name?": string, "server_name?": string, ...call(checks[0]) })],
  [`${tool}_result`, shape(`${tool}_result`, { type: string, "name?": string, "server_name?": string, ...result(checks[1]) })],
]));
const step = tagged("type", {
  user_input: shape("user_input", { type: string, content: listOf(content) }),
  thought: shape("thought", { type: string, signature: string, "summary?": listOf(content) }),
  model_output: shape("model_output", { type: string, content: listOf(content), "error?": object }),
  function_call: shape("function_call", { type: string, id: callId, name: string, arguments: object }),
  function_result: shape("function_result", {
    type: string,
    call_id: string,
    result: (value) => string(value) || object(value) || listOf(content)(value),
    "name?": string,
    "is_error?": boolean,
  }),
  processing_call: shape("processing_call", { type: string, id: callId }),
  processing_result: shape("processing_result", { type: string, call_id: callId, signature: string, x_media: media }),
  ...serverTools(
    (check) => ({ id: callId, arguments: check, "signature?": string }),
    (check) => ({ call_id: callId, result: check, "is_error?": boolean, "signature?": string }),
  ),
});
const stepHead = tagged("type", {
  thought: shape("thought", { type: string, "signature?": string, "summary?": listOf(content) }),
  model_output: shape("model_output", { type: string, "content?": listOf(content) }),
  function_call: shape("function_call", {
    type: string,
    id: callId,
    name: string,
    arguments: (value) => object(value) && Object.keys(value).length === 0,
  }),
  function_result: shape("function_result", {
    type: string,
    call_id: string,
    "name?": string,
    result: (value) => value.length === 0,
  }),
  processing_call: shape("processing_call", { type: string, id: callId }),
  processing_result: shape("processing_result", { type: string, call_id: callId }),
  ...serverTools(() => ({ id: callId, arguments: object }), () => ({ call_id: callId, result: (value) => value.length === 0 })),
});
const delta = tagged("type", {
  text: shape("text", { type: string, text: string }),
  thought_summary: shape("thought_summary", { type: string, content }),
  thought_signature: shape("thought_signature", { type: string, signature: string }),
  arguments_delta: shape("arguments_delta", { type: string, arguments: string }),
  text_annotation_delta: shape("text_annotation_delta", { type: string, annotations: listOf(annotation) }),
  image: shape("image", { type: string, data: string, mime_type: string }),
  function_result: shape("function_result", { type: string, result: string, "name?": string, "is_error?": boolean }),
  processing_result: shape("processing_result", { type: string, signature: string, x_media: media }),
  ...serverTools(
    (check) => ({ arguments: check, "signature?": string }),
    (check) => ({ result: check, "is_error?": boolean, "signature?": string }),
  ),
});
const error = shape("error", { code: string, message: string });
const interaction = shape("interaction", {
  id,
  object: oneOf("interaction"),
  status: oneOf(...STATUSES),
  // One of them.
  "model?": string,
  "agent?": string,
  "environment_id?": string,
  "created?": time,
  "updated?": time,
  steps: listOf(step),
  "usage?": usage,
  "previous_interaction_id?": id,
  "service_tier?": oneOf("flex", "standard", "priority", "deferred"),
  "labels?": object,
  "system_instruction?": string,
  "generation_config?": object,
  "tools?": listOf(object),
  "response_format?": (value) => object(value) || listOf(object)(value),
  "input?": (value) => value !== null,
  "errors?": listOf(error),
  "error?": error,
  // Added by the SDK.
  "output_text?": string,
  "output_image?": object,
  "continuation_ids?": listOf(string),
  "sdkHttpResponse?": object,
});
const partial = shape("event.interaction", {
  id,
  status: oneOf(...STATUSES),
  "object?": oneOf("interaction"),
  "model?": string,
  "agent?": string,
  "environment_id?": string,
  "previous_interaction_id?": id,
  "created?": time,
  "updated?": time,
  "service_tier?": string,
  "usage?": usage,
  "errors?": listOf(error),
  "error?": error,
});
const event = (fields) => shape("event", { event_type: string, event_id: string, ...fields });
const events = tagged("event_type", {
  "interaction.created": event({ interaction: partial }),
  "interaction.status_update": event({
    interaction_id: id,
    status: oneOf(...STATUSES),
    "usage?": usage,
  }),
  "step.start": event({ index: count, step: stepHead }),
  "step.delta": event({ index: count, delta, "metadata?": object }),
  "step.stop": event({ index: count, "usage?": usage, "step_usage?": usage }),
  "interaction.completed": event({ interaction: partial }),
  error: event({ error }),
});

/** Text a person can be shown: something is there, and no token of a chat template is. */
export function assertClean(text) {
  assert.equal(typeof text, "string");
  assert.notEqual(text.trim(), "");
  for (const mark of ["<|", "|>", "<s>", "</s>", "<think>", "</think>", "<tool_call>", "\ufffd", "\0"]) {
    assert.ok(!text.includes(mark), `${JSON.stringify(mark)} in ${JSON.stringify(text)}`);
  }
}

/** Plain counts, and total = input + output + thought + tool use. */
export function assertUsage(value) {
  usage(value);
  const [input, output, thought, tools, cached] = COUNTS.map((name) => value[`total_${name}_tokens`]);
  assert.ok(input > 0);
  assert.ok(cached <= input);
  assert.equal(value.total_tokens, input + output + thought + tools);
}

/** An interaction of which every field is known, whatever its state. */
export function assertTyped(value) {
  assert.ok(interaction({ steps: [], ...value }));
}

/** It completed; only an answer as long as its limit may have been cut. */
// The small model does not always find its end.
export function assertEnded({ status, usage }, limit = LONGEST_ANSWER) {
  const cut = usage.total_output_tokens + usage.total_thought_tokens >= limit;
  assert.ok(status === "completed" || (cut && status === "incomplete"), `${status} after ${usage.total_output_tokens}`);
}

/** A finished text interaction as every caller of the API may rely on it. */
// Without a status it ended as an answer of `ask` does.
export function assertInteraction(value, status = undefined) {
  assertTyped(value);
  if (status) assert.equal(value.status, status);
  else assertEnded(value);
  assert.ok(value.created <= value.updated, "`created` and `updated` are there");
  assertUsage(value.usage);
  for (const each of value.steps) {
    if (each.type === "thought") assert.notEqual(each.signature, "");
  }
  const called = calls(value);
  assert.equal(new Set(called.map((each) => each.id)).size, called.length, "ids of calls are unique");
  if (called.length > 0) assert.deepEqual(value.steps.slice(-called.length), called, "the calls come last");
  if (value.status === "requires_action") {
    assert.ok(called.length > 0);
    assert.equal(value.errors, undefined);
  }
  if (value.status === "completed") {
    assert.equal(value.errors, undefined);
    assert.deepEqual(called, [], "nobody waits for the result of a call");
    assert.equal(value.steps.at(-1).type, "model_output");
    assert.ok(value.steps.at(-1).content[0].text);
    assertClean(value.output_text);
  }
}

/** The order, indexes and ids of a whole stream, from `interaction.created` to the end. */
// Without a status it ended as an answer of `ask` does.
export function assertEvents(list, status = undefined) {
  for (const each of list) assert.ok(events(each));
  assert.equal(new Set(list.map((each) => each.event_id)).size, list.length, "event ids are unique");
  const [created, progress] = list;
  const completed = list.at(-1);
  assert.equal(created.event_type, "interaction.created");
  assert.ok(["queued", "in_progress"].includes(created.interaction.status));
  assert.equal(progress.event_type, "interaction.status_update");
  assert.equal(progress.status, "in_progress");
  assert.equal(completed.event_type, "interaction.completed");
  assert.equal(completed.interaction.id, created.interaction.id);
  if (status) assert.equal(completed.interaction.status, status);
  else assertEnded(completed.interaction);
  assertUsage(completed.interaction.usage);

  let stopped = 0;
  let open = null;
  for (const each of list.slice(1, -1)) {
    if (each.event_type === "interaction.status_update") {
      assert.equal(each.interaction_id, created.interaction.id);
      assert.ok([null, "function_call"].includes(open), "a status update does not cut a step in two");
      continue;
    }
    assert.ok(each.event_type.startsWith("step."), each.event_type);
    assert.equal(each.index, stopped, "one step at a time, indexes from 0 without a gap");
    assert.equal(each.event_type === "step.start", open === null, "start, deltas, stop");
    if (each.event_type === "step.start") open = each.step.type;
    if (each.event_type !== "step.stop") continue;
    open = null;
    stopped += 1;
  }
  // A call that stops is whole, so one that was cut does not: clients run what they see stop.
  const cut = open === "function_call" && ["failed", "incomplete", "cancelled"].includes(completed.interaction.status);
  assert.ok(open === null || cut, "every step that starts also stops");
}

/** A stream that failed after it began: orderly to its end, with one error. */
export function assertFailed(list) {
  const errors = list.filter((each) => each.event_type === "error");
  assert.equal(errors.length, 1);
  assert.ok(events(errors[0]));
  assertEvents(list.filter((each) => each.event_type !== "error"), "failed");
}

/** The steps that a client accumulates from a stream. */
export function fold(list) {
  const steps = [];
  const fragments = new Map();
  for (const each of list) {
    if (each.event_type === "step.start") {
      steps.push(structuredClone(each.step));
      if (each.step.type === "function_call") fragments.set(each.index, "");
    }
    if (each.event_type === "step.stop" && fragments.has(each.index)) {
      steps[each.index].arguments = JSON.parse(fragments.get(each.index));
      fragments.delete(each.index);
    }
    if (each.event_type !== "step.delta") continue;
    const current = steps[each.index];
    const { type, text, content, signature, arguments: fragment, annotations, ...rest } = each.delta;
    if (type === "text") {
      current.content ??= [];
      if (current.content.length === 0) current.content.push({ type: "text", text: "" });
      current.content.at(-1).text += text;
    } else if (type === "thought_summary") {
      (current.summary ??= []).push(content);
    } else if (type === "arguments_delta") {
      fragments.set(each.index, fragments.get(each.index) + fragment);
    } else if (type === "text_annotation_delta") {
      (current.content.at(-1).annotations ??= []).push(...annotations);
    } else if (type === "image") {
      (current.content ??= []).push(each.delta);
    } else if (type === current.type && type.endsWith("_call")) {
      current.arguments = fragment;
    } else if (type === "processing_result") {
      Object.assign(current, rest, { signature });
    } else if (type === current.type && type.endsWith("_result")) {
      const told = string(rest.result) ? current.result + rest.result : rest.result;
      Object.assign(current, rest, { result: told }, signature === undefined ? {} : { signature });
    } else {
      assert.equal(type, "thought_signature");
      current.signature = signature;
    }
  }
  // A call that did not stop was cut: it is none.
  return steps.filter((_, index) => !fragments.has(index));
}

/** The steps and the usage of a completed interaction, whether it is told whole or by a stream. */
async function concluded(promise) {
  const answer = await promise;
  if (!answer[Symbol.asyncIterator]) {
    assertInteraction(answer, "completed");
    return [answer.steps, answer.usage];
  }
  const list = await collect(answer);
  assertEvents(list);
  return [fold(list), list.at(-1).interaction.usage];
}

/** The steps of a turn after `first`, which `asked` began: the same where the server keeps that and where it is sent. */
export async function goOn(first, asked, then, { stream, tools }) {
  const user = (text) => ({ type: "user_input", content: [{ type: "text", text }] });
  const withoutIds = (steps) => steps.map(({ id, call_id, signature, ...rest }) => rest);
  const [steps, usage] = await concluded(tell(then, { tools, stream, previous_interaction_id: first.id }));
  const input = [user(asked), ...first.steps, user(then)];
  const [replayed, counted] = await concluded(tell(input, { tools, stream, store: false }));
  assert.deepEqual(withoutIds(replayed), withoutIds(steps));
  assert.equal(counted.total_input_tokens, usage.total_input_tokens);
  const alone = await tell(then, { tools });
  assert.ok(usage.total_input_tokens > alone.usage.total_input_tokens);
  return steps;
}

/** What the client is asked to run. */
export function calls(value) {
  return value.steps.filter((each) => each.type === "function_call");
}

/** The steps of an interaction that were generated, without the input that GET shows first. */
export function generated(value) {
  return value.steps.filter((each) => each.type !== "user_input");
}

/** What was on the wire, without what the SDK added. */
export function plain({ output_text, output_image, continuation_ids, sdkHttpResponse, ...value }) {
  if (value.usage === undefined) return value;
  const { initial_input_tokens, ...counts } = value.usage;
  return { ...value, usage: counts };
}

/** Fails unless `promise` rejects with the SDK's exception, the API's code and the names given. */
export async function assertRefused(promise, exception, status, code, ...named) {
  const outcome = Promise.resolve(promise).then((value) =>
    value?.[Symbol.asyncIterator] ? collect(value) : value,
  );
  await assert.rejects(outcome, (error) => {
    assert.equal(error.name, exception, error);
    assert.equal(error.status, status);
    const { error: body } = JSON.parse(error.body);
    assert.equal(body.code, code);
    assert.ok(body.message);
    for (const name of named) assert.ok(body.message.includes(name), `${name} is not named in ${body.message}`);
    return true;
  });
}
