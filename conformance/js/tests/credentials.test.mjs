// Credentials as a program of the SDK uses them: made, listed, changed, removed, and never seen again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { scripted } from "./sdk.mjs";

const SECRET = "planted-secret";
const { credentials } = scripted;

/** Fails unless the promise is rejected with this status, and without the secret. */
const refused = (promise, status) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.status ?? error.statusCode, status, error);
    assert.ok(!error.message.includes(SECRET), error.message);
    return true;
  });

test("a credential is made, shown, listed, changed and removed", async () => {
  const made = await credentials.create({ type: "bearer_token", id: "js-token", token: SECRET, prefix: "Token" });
  assert.deepEqual([made.id, made.type, made.status], ["js-token", "bearer_token", "active"]);
  assert.ok(!JSON.stringify(made).includes(SECRET));
  const variable = {
    type: "environment_variable", id: "js-variable", value: SECRET, injection_location: "header",
    trusted_domains: ["api.example.com"],
  };
  await credentials.create(variable);
  await refused(credentials.create(variable), 400);
  await refused(credentials.create({ ...variable, id: "js-other", value: [SECRET] }), 400);
  const listed = [];
  let page_token;
  do {
    const page = await credentials.list({ page_size: 1, page_token });
    listed.push(...page.credentials.map(({ id }) => id));
    page_token = page.next_page_token;
  } while (page_token);
  assert.ok(listed.includes("js-token") && listed.includes("js-variable"), listed.join());
  const updated = await credentials.update("js-token", { type: "bearer_token", token: `${SECRET}-2` });
  assert.equal(updated.id, "js-token");
  assert.equal((await credentials.get("js-token")).status, "active");
  for (const id of ["js-token", "js-variable"]) {
    await credentials.delete(id);
    await refused(credentials.get(id), 404);
  }
});
