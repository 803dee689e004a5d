// Structured output: an answer that completed is one text part of JSON that conforms to its schema.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as z from "zod";
import {
  ai, ask, assertEvents, assertInteraction, assertRefused, collect, fold, generated, poll, scripted, tell,
} from "./sdk.mjs";

const CITY = "Describe the city of Oslo.";

// What the scripted model reports, too.
const Weather = z.object({
  city: z.string().max(30),
  degrees: z.int().min(-90).max(60),
  sky: z.enum(["clear", "cloudy"]).nullable(),
});
const Mayor = z.object({
  name: z.string().regex(/^[A-Z][a-z]{1,12} [A-Z][a-z]{1,12}$/).describe("First and last name"),
  since: z.iso.date(),
  party: z.literal(["left", "right", "none"]).optional(),
});
const City = z.object({
  name: z.string().max(30),
  mayor: Mayor,
  formerMayors: z.array(Mayor).min(1).max(2),
  id: z.uuid(),
  coast: z.boolean(),
});
const Measures = z.object({
  people: z.int().min(1000).max(2_000_000),
  share: z.number().min(0).max(1),
  position: z.tuple([z.int().min(0).max(90), z.int().min(0).max(90)]),
  districts: z.array(z.enum(["east", "west", "north", "south"])).min(2).max(4),
});
const Node = z.object({
  label: z.enum(["a", "b"]),
  get children() {
    return z.array(Node).max(2);
  },
});
const Trip = z.object({
  legs: z
    .array(
      z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("walk"), minutes: z.int().min(0).max(90) }),
        z.object({ kind: z.literal("tram"), line: z.literal([11, 12, 13]) }),
      ]),
    )
    .min(1)
    .max(3),
});

const tagged = (schema) => ({ type: "text", mime_type: "application/json", schema });
const exported = (type) => tagged(z.toJSONSchema(type));
const badRequest = (promise, ...named) => assertRefused(promise, "BadRequestError", 400, "invalid_request", ...named);

/** The answer of a completed interaction, parsed and validated as a caller would. */
function read(interaction, type) {
  assertInteraction(interaction, "completed");
  assert.deepEqual(interaction.steps.at(-1).content.map((part) => part.type), ["text"]);
  return type.parse(JSON.parse(interaction.output_text));
}

for (const [name, type] of Object.entries({ Weather, City, Measures, Node, Trip })) {
  test(`answer conforms to the schema that zod exports of ${name}`, async () => {
    read(await ask(CITY, { response_format: exported(type) }), type);
  });
}

test("every form of a format means the same", async () => {
  const schema = z.toJSONSchema(Weather);
  const forms = [
    { response_format: tagged(schema) },
    { response_format: { type: "text", schema } },
    { response_format: [tagged(schema)] },
    { response_format: schema },
    { response_format: schema, response_mime_type: "application/json" },
  ];
  for (const form of forms) read(await ask("What is the weather in Oslo?", form), Weather);
});

test("bare schema of any kind is a schema", async () => {
  for (const type of [z.enum(["yes", "no"]), z.array(z.boolean()).max(3), z.union([Weather, z.null()]), Node]) {
    read(await ask(CITY, { response_format: z.toJSONSchema(type) }), type);
  }
});

test("JSON without a schema is still JSON", async () => {
  const any = z.union([z.array(z.any()), z.record(z.string(), z.any())]);
  for (const wanted of [
    { response_mime_type: "application/json" },
    { response_format: { type: "text", mime_type: "application/json" } },
  ]) read(await ask("List two colours as JSON.", wanted), any);
});

test("texts of a stream join to the answer", async () => {
  const events = await collect(ask(CITY, { stream: true, response_format: exported(City) }));
  assertEvents(events);
  const texts = events.filter((event) => event.delta?.type === "text").map((event) => event.delta.text);
  assert.ok(texts.length > 1);
  City.parse(JSON.parse(texts.join("")));
  const stored = await ai.interactions.get(events[0].interaction.id);
  assert.deepEqual(fold(events), generated(stored));
  read(stored, City);
});

test("background and unstored answers and those of a conversation conform", async () => {
  const started = await ask(CITY, { background: true, response_format: exported(City) });
  read(await poll(ai, started.id), City);
  read(await ask(CITY, { store: false, response_format: exported(Weather) }), Weather);
  const first = await ask("I live in Oslo.");
  const below = { previous_interaction_id: first.id, response_format: exported(Weather) };
  read(await ask("What is the weather there?", below), Weather);
});

test("short limit ends with valid JSON or says incomplete", async () => {
  for (const max_output_tokens of [1, 4, 16, 48]) {
    const generation_config = { max_output_tokens, temperature: 0.8, seed: max_output_tokens };
    const interaction = await ask(CITY, { response_format: exported(City), generation_config });
    assert.ok(interaction.usage.total_output_tokens <= max_output_tokens);
    if (interaction.status === "completed") read(interaction, City);
    else assertInteraction(interaction, "incomplete");
  }
});

test("bad schema is refused by its JSON pointer", async () => {
  const properties = [
    { a: { type: "text" } },
    { a: { enum: [] } },
    { a: { $ref: "#/$defs/None" } },
    { a: { $ref: "https://example.com/a.json" } },
    { a: { type: "integer", minimum: 3, maximum: 2 } },
  ];
  for (const each of properties) {
    const schema = { type: "object", properties: each };
    await badRequest(ask("Hi", { response_format: tagged(schema) }), "response_format.schema", "/properties/a");
    await badRequest(ask("Hi", { response_format: schema }), "response_format", "/properties/a");
  }
});

test("schema that is no object is refused by path", async () => {
  for (const schema of ["object", true, 7, [{ type: "object" }]]) {
    await badRequest(ask("Hi", { response_format: tagged(schema) }), "response_format.schema", "object");
  }
  for (const format of ["json", 7, true]) await badRequest(ask("Hi", { response_format: format }), "response_format");
});

test("scripted answer that does not conform is never completed", async () => {
  const wanted = { response_format: exported(Weather) };
  assert.deepEqual(read(await tell("as JSON", wanted), Weather), { city: "Oslo", degrees: 22, sky: null });
  for (const input of ["nonsense", "half an answer"]) {
    const interaction = await tell(input, wanted);
    assertInteraction(interaction, "failed");
    assert.ok(interaction.errors[0].message);
    assert.equal((await scripted.interactions.get(interaction.id)).status, "failed");
  }
});
