// Environments as a program of the SDK uses them: made, filled, looked into, copied, removed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { scripted } from "./sdk.mjs";

const MAIN = { type: "inline", content: "print('heron')", target: "src/main.py" };
const { environments } = scripted;
const text = (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

async function make(context, request = {}) {
  const environment = await environments.create(request);
  context.after(() =>
    environments.delete(environment.id).catch((error) => {
      // Deleted by the test itself.
      assert.equal(error.status ?? error.statusCode, 404, error);
    }),
  );
  return environment;
}

/** Fails unless the promise is rejected with this status. */
const refused = (promise, status) =>
  assert.rejects(promise, (error) => assert.equal(error.status ?? error.statusCode, status, error) ?? true);

test("an environment is made, shown, listed and removed", async (context) => {
  const made = await make(context, { sources: [MAIN], network: "disabled" });
  assert.match(made.id, /^env_[A-Za-z0-9_-]{24}$/);
  assert.deepEqual([made.status, made.network], ["active", "disabled"]);
  assert.deepEqual([Number(made.file_count), Number(made.size_bytes)], [1, MAIN.content.length]);
  assert.deepEqual(made.sources, [{ type: "inline", target: MAIN.target }]);
  const shown = await environments.get(made.id);
  assert.equal(shown.id, made.id);
  const other = await make(context);
  const listed = [];
  let page_token;
  do {
    const page = await environments.list({ page_size: 1, page_token });
    listed.push(...page.environments.map(({ id }) => id));
    page_token = page.next_page_token;
  } while (page_token);
  assert.ok(listed.includes(made.id) && listed.includes(other.id), listed.join());
  await environments.delete(made.id);
  await refused(environments.get(made.id), 404);
});

test("files go in and out", async (context) => {
  const environment = (await make(context, { sources: [MAIN] })).id;
  const whole = new Uint8Array(9 << 20).map((_, at) => at);
  const placed = await environments.files.upload({ environment, path: "data/large file.bin", file: whole });
  assert.deepEqual(placed.files.map(({ path, type }) => [path, type]), [["data/large file.bin", "file"]]);
  const read = await environments.files.download({ environment, path: "data/large%20file.bin" });
  assert.deepEqual(Buffer.from(read), Buffer.from(whole));
  await refused(environments.files.upload({ environment, path: "src/main.py", file: new Blob(["new"]) }), 400);
  await environments.files.upload({ environment, path: "src/main.py", file: new Blob(["new"]), overwrite: true });
  assert.equal(text(await environments.files.download({ environment, path: "src/main.py" })), "new");
  const { files } = await environments.files.list({ environment, path: "", recursive: true });
  assert.deepEqual(
    files.map(({ path }) => path),
    ["data", "data/large file.bin", "src", "src/main.py"],
  );
  const below = await environments.files.list({ environment, path: "src" });
  assert.deepEqual(below.files.map(({ name, mime_type }) => [name, mime_type]), [["main.py", "text/x-python"]]);
  await refused(environments.files.download({ environment, path: "src" }), 400);
  await refused(environments.files.download({ environment, path: "none" }), 404);
});

test("a copy is its own", async (context) => {
  const first = await make(context, { sources: [MAIN] });
  const copy = await make(context, { from_environment: `environments/${first.id}` });
  await environments.delete(first.id);
  assert.equal(text(await environments.files.download({ environment: copy.id, path: "src/main.py" })), MAIN.content);
  await refused(environments.create({ from_environment: first.id }), 404);
});

test("a repository is placed, or refused with its reason", async (context) => {
  const repository = { type: "repository", source: "https://git.test/birds.git", target: "birds" };
  let made;
  try {
    made = await make(context, { sources: [repository, MAIN] });
  } catch (error) {
    assert.match(error.message, /repositories are not fetched on this server/);
    return context.skip(error.message);
  }
  assert.deepEqual(made.sources, [repository, { type: "inline", target: MAIN.target }]);
  const environment = made.id;
  const read = await environments.files.download({ environment, path: "birds/README.md" });
  assert.equal(text(read), "The heron waits by the water.\n");
  await refused(environments.files.download({ environment, path: "birds/passwd" }), 400);
  const missing = { ...repository, source: "https://git.test/none" };
  await assert.rejects(environments.create({ sources: [missing] }), (error) =>
    error.message.includes("`sources[0].source`: `https://git.test/none` cannot be had: "),
  );
});

test("what cannot be had is refused by name", async () => {
  for (const [request, name] of [
    [{ sources: [{ ...MAIN, target: "../x" }] }, "sources[0].target"],
    [{ sources: [{ type: "repository", source: "ssh://example.com/a.git" }] }, "sources[0].source"],
    [{ sources: [{ type: "gcs", source: "gs://a/b" }] }, "sources[0].type"],
    [{ network: { allowlist: [{ domain: "10.0.0.1" }] } }, "network.allowlist[0].domain"],
  ]) {
    await assert.rejects(environments.create(request), (error) => error.message.includes(`\`${name}\``));
  }
});
