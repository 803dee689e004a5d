// File search stores as a program of the SDK uses them: made, filled, searched, cited, removed.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assertEvents, assertInteraction, assertRefused, collect, fold, generated, goOn, scripted, tell } from "./sdk.mjs";

const QUESTION = "Who opened the Colosseum?";
const TITUS = "The Colosseum in Rome was opened by Titus in the year 80.";
const VESPASIAN = "The Colosseum in Rome was planned by Vespasian. It took ten years.";
const SENTENCE = "The Colosseum in Rome was opened by Titus in the year 80";
const stores = scripted.fileSearchStores;

async function makeStore(context) {
  const store = await stores.create({ config: { displayName: "Guides to Rome" } });
  context.after(() =>
    stores.delete({ name: store.name, config: { force: true } }).catch((error) => {
      // Deleted by the test itself.
      assert.equal(error.status, 404, error);
    }),
  );
  return store;
}

async function put(store, text, config = {}) {
  const operation = await stores.uploadToFileSearchStore({
    fileSearchStoreName: store.name,
    file: new Blob([text]),
    config: { mimeType: "text/plain", ...config },
  });
  assert.equal(operation.done, true);
  assert.equal(operation.response.parent, store.name);
  return operation;
}

const tool = (store, options = {}) => [{ type: "file_search", file_search_store_names: [store.name], ...options }];

function cited({ content: [part] }) {
  const whole = new TextEncoder().encode(part.text);
  return (part.annotations ?? []).map((note) => [
    new TextDecoder("utf-8", { fatal: true }).decode(whole.slice(note.start_index, note.end_index)),
    note,
  ]);
}

test("an answer cites a document that came from a file", async (context) => {
  const store = await makeStore(context);
  const folder = await mkdtemp(join(tmpdir(), "antiphon-"));
  context.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "guide.txt"), TITUS);
  const operation = await stores.uploadToFileSearchStore({
    fileSearchStoreName: store.name,
    file: join(folder, "guide.txt"),
    config: { customMetadata: [{ key: "year", numericValue: 2024 }, { key: "tags", stringListValue: { values: ["old"] } }] },
  });
  const interaction = await tell(QUESTION, { tools: tool(store, { metadata_filter: 'tags = "old" AND year >= 2024' }) });
  assertInteraction(interaction);
  const [call, result, answer] = interaction.steps;
  assert.deepEqual([call.type, result.type, result.call_id, result.result], [
    "file_search_call", "file_search_result", call.id, [],
  ]);
  const [[span, note]] = cited(answer);
  assert.equal(span, SENTENCE);
  assert.deepEqual({ ...note, start_index: 0, end_index: 0 }, {
    type: "file_citation",
    document_uri: operation.response.documentName,
    file_name: "guide.txt",
    source: store.name,
    custom_metadata: { year: 2024, tags: ["old"] },
    start_index: 0,
    end_index: 0,
  });
});

test("a stream tells the same", async (context) => {
  const store = await makeStore(context);
  await put(store, TITUS, { chunkingConfig: { whiteSpaceConfig: { maxTokensPerChunk: 50, maxOverlapTokens: 5 } } });
  const events = await collect(tell(QUESTION, { tools: tool(store), stream: true }));
  assertEvents(events);
  const stored = await scripted.interactions.get(events[0].interaction.id);
  assert.deepEqual(fold(events), generated(stored));
  assert.equal(cited(stored.steps.at(-1))[0][0], SENTENCE);
});

for (const stream of [false, true]) {
  test(`a conversation goes on, stored and replayed, ${stream ? "streamed" : "whole"}`, async (context) => {
    const store = await makeStore(context);
    const [titus, vespasian] = ["Titus", "Vespasian"].map((by) => tool(store, { metadata_filter: `by = "${by}"` }));
    for (const [text, by] of [[TITUS, "Titus"], [VESPASIAN, "Vespasian"]]) {
      await put(store, text, { displayName: `${by}.txt`, customMetadata: [{ key: "by", stringValue: by }] });
    }
    const first = await tell(QUESTION, { tools: titus });
    const [answer] = await goOn(first, QUESTION, "Hello?", { stream, tools: titus });
    assert.deepEqual(answer.content, [{ type: "text", text: "Hello there." }]);
    const steps = await goOn(first, QUESTION, QUESTION, { stream, tools: vespasian });
    assert.deepEqual(steps.map(({ type }) => type), ["file_search_call", "file_search_result", "model_output"]);
    const notes = cited(steps.at(-1)).map(([span, note]) => [span, note.file_name]);
    assert.deepEqual(notes, [["The Colosseum in Rome was planned by Vespasian", "Vespasian.txt"]]);
  });
}

test("stores and documents are listed, looked up and removed", async (context) => {
  const store = await makeStore(context);
  const operation = await put(store, TITUS, { displayName: "one.txt" });
  await put(store, TITUS, { displayName: "two.txt" });
  const names = [];
  for await (const other of await stores.list({ config: { pageSize: 1 } })) names.push(other.name);
  assert.ok(names.includes(store.name));
  const listed = [];
  for await (const document of await stores.documents.list({ parent: store.name, config: { pageSize: 1 } })) {
    listed.push(document.displayName);
  }
  assert.deepEqual(listed, ["one.txt", "two.txt"]);
  const name = operation.response.documentName;
  assert.equal((await stores.documents.get({ name })).state, "STATE_ACTIVE");
  assert.equal((await scripted.operations.get({ operation })).response.documentName, name);
  await stores.documents.delete({ name, config: { force: true } });
  await assert.rejects(stores.documents.get({ name }), { status: 404 });
  await assert.rejects(stores.delete({ name: store.name }), { status: 400 });
  await stores.delete({ name: store.name, config: { force: true } });
  await assert.rejects(stores.get({ name: store.name }), { status: 404 });
});

test("nothing has to be said of a store", async () => {
  const store = await stores.create({});
  await stores.uploadToFileSearchStore({ fileSearchStoreName: store.name, file: new Blob([TITUS], { type: "text/plain" }) });
  await stores.delete({ name: store.name, config: { force: true } });
});

test("a file of several pieces arrives whole", async () => {
  // The SDK's pieces have 8 MiB.
  const whole = new Uint8Array(17 << 20).map((_, at) => at % 251);
  const file = await scripted.files.upload({ file: new Blob([whole]), config: { mimeType: "application/octet-stream" } });
  assert.equal(file.sizeBytes, String(whole.length));
  assert.equal(file.sha256Hash, createHash("sha256").update(whole).digest("base64"));
  await scripted.files.delete({ name: file.name });
});

test("a file is kept and imported", async (context) => {
  const store = await makeStore(context);
  const file = await scripted.files.upload({
    file: new Blob([TITUS]),
    config: { mimeType: "text/plain", displayName: "kept.txt" },
  });
  assert.deepEqual([file.state, file.sizeBytes, file.displayName], ["ACTIVE", String(TITUS.length), "kept.txt"]);
  assert.deepEqual(await scripted.files.get({ name: file.name }), file);
  const operation = await stores.importFile({ fileSearchStoreName: store.name, fileName: file.name });
  assert.equal(operation.done, true);
  await scripted.files.delete({ name: file.name });
  await assert.rejects(scripted.files.get({ name: file.name }), { status: 404 });
  const document = await stores.documents.get({ name: operation.response.documentName });
  assert.deepEqual([document.displayName, document.sizeBytes], ["kept.txt", String(TITUS.length)]);
});

test("a store that is nobody's is refused by name", () =>
  assertRefused(
    tell("Hi", { tools: tool({ name: "fileSearchStores/nobodys" }) }),
    "NotFoundError", 404, "not_found", "tools[0].file_search_store_names[0]",
  ));
