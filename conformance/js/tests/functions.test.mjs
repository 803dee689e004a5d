// Function calling: calls that a client can run, results in any form, and errors by path.
//
// What must be exact is scripted. The small model is only forced to call: what it asks for is silly,
// but it is always a declared function with arguments that conform.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as z from "zod";
import {
  ai, ask, assertEvents, assertFailed, assertInteraction, assertRefused, calls, collect, fold, generated, poll,
  scripted, tell,
} from "./sdk.mjs";

const ARGUMENTS = {
  get_weather: z.strictObject({ city: z.string().max(40), unit: z.enum(["celsius", "fahrenheit"]).optional() }),
  get_time: z.strictObject({ city: z.string().max(40) }),
};
const declared = (name, description) => ({
  type: "function", name, description, parameters: z.toJSONSchema(ARGUMENTS[name]),
});
const WEATHER = declared("get_weather", "The weather in a city");
const TIME = declared("get_time", "The local time in a city");
const PLACE = { type: "function", name: "get_place", description: "Where the user is" };
const tools = [WEATHER, TIME, PLACE];

// The small model may find no end of calling: this is enough for as many calls as an answer may have.
const CALLS = { max_output_tokens: 2048 };
const chosen = (mode, tool_choice) => ({ tool_choice, ...(mode === "any" ? CALLS : {}) });
const choice = (mode) => chosen(mode, mode);
const allowed = (mode, ...names) => chosen(mode, { allowed_tools: { mode, tools: names } });
const result = (call, value, fields = {}) => ({
  type: "function_result", call_id: call.id, name: call.name, result: value, ...fields,
});
const badRequest = (promise, ...named) => assertRefused(promise, "BadRequestError", 400, "invalid_request", ...named);

/** The calls of an interaction that waits for their results. */
function requested(interaction) {
  assertInteraction(interaction, "requires_action");
  return calls(interaction).map((call) => [call.name, call.arguments]);
}

/** The calls of an answer that need not have any; as any other answer it may have been cut. */
function freelyRequested(interaction) {
  const called = calls(interaction);
  assertInteraction(interaction, called.length > 0 && interaction.status !== "incomplete" ? "requires_action" : undefined);
  return called.map((call) => [call.name, call.arguments]);
}

const assertConform = (called) => called.forEach(([name, values]) => ARGUMENTS[name].parse(values));

test("a call ends requires_action and is stored", async () => {
  const interaction = await tell("How is the weather in Oslo?", { tools });
  assert.deepEqual(requested(interaction), [["get_weather", { city: "Oslo" }]]);
  assert.ok(!interaction.output_text);
  const stored = await scripted.interactions.get(interaction.id);
  assertInteraction(stored, "requires_action");
  assert.deepEqual(generated(stored), interaction.steps);
});

test("parallel calls have ids of their own and results come in any order", async () => {
  for (const order of [(list) => list, (list) => list.toReversed()]) {
    const waiting = await tell("The weather in Paris and Tokyo?", { tools });
    assert.deepEqual(requested(waiting), [
      ["get_weather", { city: "Paris", unit: "celsius" }],
      ["get_weather", { city: "Tokyo" }],
    ]);
    const input = order(calls(waiting)).map((call) => result(call, "22 degrees"));
    const answered = await tell(input, { tools, previous_interaction_id: waiting.id });
    assertInteraction(answered, "completed");
    assert.deepEqual(answered.steps.map((step) => step.type), ["model_output"]);
    assert.equal(answered.output_text, "It is 22 degrees.");
  }
});

test("stream shows calls as head, fragments and stop", async () => {
  for (const input of ["The weather in Paris and Tokyo?", "Is it sunny in Lisbon?", "The weather in São Tomé?"]) {
    const events = await collect(tell(input, { tools, stream: true }));
    assertEvents(events, "requires_action");
    const { id } = events[0].interaction;
    const stored = await scripted.interactions.get(id);
    assert.deepEqual(fold(events), generated(stored));
    requested(stored);
    assert.deepEqual(await collect(scripted.interactions.get(id, { stream: true })), events);
  }
});

test("text before a call stays an answer of its own", async () => {
  const interaction = await tell("Is it sunny in Lisbon?", { tools });
  requested(interaction);
  assert.deepEqual(interaction.steps.map((step) => step.type), ["thought", "model_output", "function_call"]);
  assert.equal(interaction.steps[1].content[0].text, "Let me look.");
});

test("background calls end requires_action", async () => {
  const { id } = await tell("How is the weather in Oslo?", { tools, background: true });
  const waiting = await poll(scripted, id);
  requested(waiting);
  const answered = await tell([result(calls(waiting)[0], "22 degrees")], { previous_interaction_id: id });
  assert.equal(answered.output_text, "It is 22 degrees.");
});

test("result of every form is answered", async () => {
  const waiting = await tell("How is the weather in Oslo?", { tools });
  const [call] = calls(waiting);
  const after = { tools, previous_interaction_id: waiting.id };
  const forms = [
    "22 degrees",
    [{ type: "text", text: "22 degrees" }],
    { degrees: 22, wind: { from: ["north", null] } },
  ];
  for (const form of forms) {
    const answered = await tell([result(call, form)], after);
    assertInteraction(answered, "completed");
    assert.equal(answered.output_text, "It is 22 degrees.");
    assert.deepEqual((await scripted.interactions.get(answered.id)).steps[0], result(call, form));
  }
  const failed = await tell(result(call, "out of order", { is_error: true }), after);
  assert.equal(failed.output_text, "The station is out of order.");
});

const run = (call) => ({ get_place: "You are in Oslo", get_weather: { degrees: 22 } })[call.name];
const QUESTION = "Where am I, and how is the weather there?";

test("stateful loop of a client comes to its end", async () => {
  const seen = [];
  let input = QUESTION;
  let previous_interaction_id = null;
  let interaction;
  do {
    interaction = await tell(input, { tools, previous_interaction_id });
    seen.push(...calls(interaction));
    input = calls(interaction).map((call) => result(call, run(call)));
    previous_interaction_id = interaction.id;
  } while (input.length > 0 && seen.length < 4);
  assertInteraction(interaction, "completed");
  assert.equal(interaction.output_text, "It is 22 degrees.");
  assert.deepEqual(seen.map((call) => call.name), ["get_place", "get_weather"]);
  assert.equal(new Set(seen.map((call) => call.id)).size, 2);
});

test("stateless loop of a client comes to its end", async () => {
  const history = [{ type: "user_input", content: [{ type: "text", text: QUESTION }] }];
  let interaction;
  do {
    interaction = await tell(history, { tools, store: false });
    history.push(...interaction.steps, ...calls(interaction).map((call) => result(call, run(call))));
  } while (calls(interaction).length > 0 && history.length < 12);
  assertInteraction(interaction, "completed");
  assert.equal(interaction.output_text, "It is 22 degrees.");
  assert.deepEqual(
    history.map((step) => step.type),
    ["user_input", "function_call", "function_result", "function_call", "function_result", "model_output"],
  );
});

test("choice that permits a call lets it through", async () => {
  const choices = [
    {}, choice("auto"), choice("validated"), choice("any"), allowed("auto", "get_weather"),
    allowed("validated", "get_weather", "get_time"), allowed("any", "get_weather"),
  ];
  for (const generation_config of choices) {
    const interaction = await tell("How is the weather in Oslo?", { tools, generation_config });
    assert.deepEqual(requested(interaction), [["get_weather", { city: "Oslo" }]]);
  }
});

test("choice that forces no call lets text through", async () => {
  const choices = [
    {}, choice("auto"), choice("validated"), choice("none"), allowed("auto", "get_time"),
    allowed("validated", "get_time"), allowed("none", "get_weather"),
  ];
  for (const generation_config of choices) {
    const interaction = await tell("Hello!", { tools, generation_config });
    assertInteraction(interaction, "completed");
    assert.equal(interaction.output_text, "Hello there.");
  }
});

test("any always calls with arguments that conform", async () => {
  const rows = [
    [choice("any"), ["get_weather", "get_time"]],
    [allowed("any", "get_weather"), ["get_weather"]],
    [allowed("any", "get_time"), ["get_time"]],
  ];
  for (const [generation_config, names] of rows) {
    const interaction = await ask("Tell me a joke.", { tools: [WEATHER, TIME], generation_config });
    const called = requested(interaction);
    assertConform(called);
    for (const [name] of called) assert.ok(names.includes(name), name);
  }
});

test("none never calls, and a free choice calls as declared or answers", async () => {
  for (const mode of ["none", "auto", "validated"]) {
    for (const generation_config of [choice(mode), allowed(mode, "get_time")]) {
      const interaction = await ask("What time is it in Rome?", { tools: [WEATHER, TIME], generation_config });
      assertConform(freelyRequested(interaction));
      if (mode === "none") assert.deepEqual(calls(interaction), []);
    }
  }
});

test("forced call streams and is answered on the real engine", async () => {
  const request = { tools: [WEATHER], stream: true, generation_config: choice("any") };
  const events = await collect(ask("Weather in Rome?", request));
  assertEvents(events, "requires_action");
  const waiting = await ai.interactions.get(events[0].interaction.id);
  assert.deepEqual(fold(events), generated(waiting));
  assertConform(requested(waiting));
  const input = calls(waiting).map((call) => result(call, "Sunny, 22 degrees"));
  const after = { tools: [WEATHER], previous_interaction_id: waiting.id, generation_config: choice("none") };
  assertInteraction(await ask(input, after));
});

test("calls are free and the last answer obeys the schema", async () => {
  const Report = z.strictObject({
    city: z.string().max(20), degrees: z.int().min(-90).max(60), sky: z.enum(["clear", "cloudy"]).nullable(),
  });
  const response_format = { type: "text", mime_type: "application/json", schema: z.toJSONSchema(Report) };
  const waiting = await tell("How is the weather in Oslo?", { tools, response_format });
  requested(waiting);
  const after = { tools, response_format, previous_interaction_id: waiting.id };
  const answered = await tell([result(calls(waiting)[0], "22 degrees, for the report")], after);
  assertInteraction(answered, "completed");
  assert.deepEqual(Report.parse(JSON.parse(answered.output_text)), { city: "Oslo", degrees: 22, sky: null });

  const both = { tools: [WEATHER], response_format };
  const silent = await ask("Weather in Rome?", { ...both, generation_config: choice("none") });
  assertInteraction(silent, "completed");
  Report.parse(JSON.parse(silent.output_text));
  assertConform(requested(await ask("Weather in Rome?", { ...both, generation_config: choice("any") })));
});

test("call that is cut or does not conform fails and is no step", async () => {
  for (const input of ["die inside a call", "stop inside a call", "no such unit"]) {
    const interaction = await tell(input, { tools });
    assertInteraction(interaction, "failed");
    assert.deepEqual(calls(interaction), []);
    assert.ok(interaction.errors[0].message);
    const events = await collect(tell(input, { tools, stream: true }));
    assertFailed(events);
    const stored = await scripted.interactions.get(events[0].interaction.id);
    assert.deepEqual(calls(stored), []);
    assert.deepEqual(fold(events), generated(stored));
  }
  const cut = await tell("How is the weather in Oslo?", { tools, generation_config: { max_output_tokens: 1 } });
  assertInteraction(cut, "incomplete");
  assert.deepEqual(calls(cut), []);
});

test("bad declaration is refused by path", async () => {
  const parameters = { type: "object", properties: { city: { type: "text" } } };
  const rows = [
    [[{ ...WEATHER, name: "get weather" }], "tools[0].name"],
    [[{ ...WEATHER, name: "" }], "tools[0].name"],
    [[TIME, { ...WEATHER, name: 7 }], "tools[1].name"],
    [[{ type: "function" }], "tools[0].name"],
    [[WEATHER, TIME, WEATHER], "tools[2].name"],
    [[{ ...WEATHER, parameters: { type: "string" } }], "tools[0].parameters"],
    [[{ ...WEATHER, parameters: "city" }], "tools[0].parameters"],
    [[TIME, { ...WEATHER, parameters }], "tools[1].parameters", "/properties/city"],
    [[{ name: "get_weather" }], "tools[0].type"],
    [[{ type: "no_such_tool" }], "tools[0].type"],
    [["get_weather"], "tools[0]"],
    ["get_weather", "tools"],
  ];
  for (const [bad, ...named] of rows) await badRequest(tell("Hello!", { tools: bad }), ...named);
});

test("choice that nothing can meet is refused by path", async () => {
  const path = "generation_config.tool_choice";
  const rows = [
    [[], choice("any"), path],
    [undefined, choice("any"), path],
    [[WEATHER], choice("sometimes"), path],
    [[WEATHER], choice(7), path],
    [[WEATHER], choice({}), path],
    [[WEATHER], allowed("any"), path],
    [[WEATHER], allowed("sometimes", "get_weather"), `${path}.allowed_tools.mode`],
    [[WEATHER], allowed("auto", "get_weather", "get_time"), `${path}.allowed_tools.tools[1]`],
  ];
  for (const [bad, generation_config, named] of rows) {
    await badRequest(tell("Hello!", { tools: bad, generation_config }), named);
  }
});

test("results that match no waiting call are refused by path", async () => {
  const waiting = await tell("The weather in Paris and Tokyo?", { tools });
  const [first, second] = calls(waiting);
  const [one, two] = [result(first, "22 degrees"), result(second, "22 degrees")];
  const unknown = { type: "function_result", call_id: "call_none", result: "22 degrees" };
  const image = { type: "image", data: "iVBORw0KGgo=", mime_type: "image/png" };
  const after = { previous_interaction_id: waiting.id };
  await badRequest(tell([unknown]), "input[0].call_id");
  await badRequest(tell([one, two, unknown], after), "input[2].call_id");
  await badRequest(tell([one, two, one], after), "input[2].call_id", first.id);
  await badRequest(tell([one], after), "input", second.id);
  await badRequest(tell("Never mind", after), "input", first.id, second.id);
  await badRequest(tell([one, { ...two, name: "get_time" }], after), "input[1].name");
  await badRequest(tell([one, result(second, [image])], after), "input[1].result[0]", "image");
  await badRequest(tell([one, { ...two, result: 7 }], after), "input[1].result");
  await badRequest(tell([one, { ...two, result: undefined }], after), "input[1].result");
  await badRequest(tell([one, { ...two, call_id: undefined }], after), "input[1].call_id");
  assertInteraction(await tell([two, one], after), "completed");
});
