// An upload whose connection breaks goes on where it was, by the resumable protocol that the SDK speaks.

import assert from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { scripted } from "./sdk.mjs";

const SIZE = 50_000_000;
// Of the SDK, in bytes.
const PIECE = 8 << 20;
// After so many bytes of requests the connection breaks: in the middle of the third piece.
const CUT = 20_000_000;

/** Passes bytes on between a client and the server until it has passed so many, then breaks for good. */
async function breakingProxy(most) {
  const { hostname, port } = new URL(process.env.ANTIPHON_SCRIPTED_URL);
  const proxy = { passed: 0, upload: undefined };
  const sockets = new Set();
  const listener = createServer((client) => {
    const server = connect(Number(port), hostname);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    client.on("data", (content) => {
      const found = /POST (\/upload\/\S+upload_id=\S+) HTTP/.exec(content.subarray(0, 1 << 12).toString("latin1"));
      proxy.upload = found?.[1] ?? proxy.upload;
      proxy.passed += content.length;
      if (proxy.passed > most) {
        listener.close();
        for (const socket of sockets) socket.destroy();
      } else if (!server.write(content)) {
        client.pause();
        server.once("drain", () => client.resume());
      }
    });
    server.on("data", (content) => client.write(content));
    client.on("end", () => server.end());
    server.on("end", () => client.end());
  });
  await new Promise((listening) => listener.listen(0, "127.0.0.1", listening));
  proxy.url = `http://127.0.0.1:${listener.address().port}`;
  return proxy;
}

async function piece(url, command, offset, body) {
  const headers = { "X-Goog-Upload-Command": command };
  if (offset !== undefined) headers["X-Goog-Upload-Offset"] = String(offset);
  const answer = await fetch(url, { method: "POST", headers, body });
  assert.equal(answer.status, 200);
  return answer;
}

async function names(field) {
  const found = [];
  for await (const file of await scripted.files.list()) found.push(file[field]);
  return found;
}

test("an upload of 50 MB that is cut goes on where it was", async () => {
  const whole = randomFillSync(Buffer.alloc(SIZE));
  const proxy = await breakingProxy(CUT);
  const cut = new GoogleGenAI({ apiKey: process.env.ANTIPHON_SCRIPTED_KEY, httpOptions: { baseUrl: proxy.url } });
  const config = { mimeType: "application/octet-stream", displayName: "large-js.bin" };
  await assert.rejects(cut.files.upload({ file: new Blob([whole]), config }), (error) => !error.status);
  assert.ok(proxy.passed > CUT && proxy.upload);
  assert.ok(!(await names("displayName")).includes("large-js.bin"));

  const url = process.env.ANTIPHON_SCRIPTED_URL + proxy.upload;
  let answer = await piece(url, "query");
  assert.equal(answer.headers.get("x-goog-upload-status"), "active");
  // What was acknowledged is there, and nothing else.
  let offset = Number(answer.headers.get("x-goog-upload-size-received"));
  assert.equal(offset, Math.floor(CUT / PIECE) * PIECE);
  while (offset < SIZE) {
    const content = whole.subarray(offset, offset + PIECE);
    const last = offset + content.length === SIZE;
    answer = await piece(url, last ? "upload, finalize" : "upload", offset, content);
    offset += content.length;
  }
  assert.equal(answer.headers.get("x-goog-upload-status"), "final");

  const { name } = (await answer.json()).file;
  const file = await scripted.files.get({ name });
  assert.deepEqual([file.state, file.sizeBytes, file.displayName], ["ACTIVE", String(SIZE), "large-js.bin"]);
  assert.equal(file.sha256Hash, createHash("sha256").update(whole).digest("base64"));
  assert.ok((await names("name")).includes(name));
  await scripted.files.delete({ name });
  await assert.rejects(scripted.files.get({ name }), { status: 404 });
});
