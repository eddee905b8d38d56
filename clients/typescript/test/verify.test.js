// Signatures: those of a real server, those of the standard's own example, and those that are none.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";

import { MainspringClient, VerificationError, verifyWebhook } from "@mainspring/client";

import { KEY, startServer, startSink, until } from "./rig.js";

let server, sink, client;
before(async () => {
  [server, sink] = await Promise.all([startServer(), startSink()]);
  client = new MainspringClient({ apiKey: KEY, baseUrl: server.url });
});
after(() => Promise.all([server?.stop(), sink?.stop()]));

const WHSEC = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

/** The request with which the server calls a target, signed with `secret`. */
async function signedRequest(name, secret, signature_style) {
  const url = `${sink.url}/${name}`;
  const fields = { schedule: "@yearly", url, secret, signature_style, payload: { greeting: "grüße" } };
  const job = await client.job.cron.create(fields);
  await client.job.cron.trigger(job.id);
  return until("the request", () => sink.seen.find((got) => got.path === `/${name}`));
}

test("what the server signs is genuine, under every scheme and kind of secret", async () => {
  for (const [at, secret] of [WHSEC, "plain secret ß"].entries()) {
    const whole = await signedRequest(`body-${at}`, secret, "body");
    const stamped = await signedRequest(`stamped-${at}`, secret, "timestamp.body");
    for (const [request, scheme] of [
      [whole, "standard"],
      [whole, "body"],
      [stamped, "standard"],
      [stamped, "timestamp.body"],
    ]) {
      const found = await verifyWebhook(request.body, request.headers, secret, { scheme });
      assert.deepEqual(found.payload, { greeting: "grüße" });
      assert.equal(found.id, request.headers["webhook-id"]);
      assert.equal(found.timestamp.getTime() / 1000, Number(request.headers["webhook-timestamp"]));
    }
    await assert.rejects(verifyWebhook(whole.body, whole.headers, secret, { scheme: "timestamp.body" }));
    await assert.rejects(verifyWebhook(stamped.body, stamped.headers, secret, { scheme: "body" }));
  }
});

test("headers and bodies may come in any form", async () => {
  const { body, headers } = await signedRequest("forms", WHSEC);
  const shouted = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]));
  for (const form of [headers, new Headers(headers), shouted]) {
    for (const text of [body, new Uint8Array(body), body.toString("utf8")]) await verifyWebhook(text, form, WHSEC);
  }
});

/** Headers as a server would send them. */
function sign(body, secret, { id = "msg_1", stamp = Math.floor(Date.now() / 1000) } = {}) {
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : secret;
  const signature = createHmac("sha256", key).update(`${id}.${stamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": String(stamp), "webhook-signature": `v1,${signature}` };
}

test("the published example of Standard Webhooks is genuine", async () => {
  const headers = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  const options = { nowSeconds: 1614265330 };
  await verifyWebhook('{"test": 2432232314}', headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", options);
});

test("one of several signatures and one of several secrets are enough", async () => {
  const headers = sign("{}", WHSEC);
  const more = { ...headers, "webhook-signature": `v1a,xyz v1,AAAA ${headers["webhook-signature"]}` };
  await verifyWebhook("{}", more, ["another secret", WHSEC]);
});

test("what was changed, is old, or is not signed is refused", async () => {
  const now = Math.floor(Date.now() / 1000);
  const good = sign("{}", WHSEC);
  const without = (name) => Object.fromEntries(Object.entries(good).filter(([each]) => each !== name));
  const bad = {
    "another body": ["{ }", good],
    "another id": ["{}", { ...good, "webhook-id": "msg_2" }],
    "another time": ["{}", { ...good, "webhook-timestamp": String(now - 1) }],
    "too old": ["{}", sign("{}", WHSEC, { stamp: now - 301 })],
    "too new": ["{}", sign("{}", WHSEC, { stamp: now + 302 })],
    "another version": ["{}", { ...good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,") }],
    "no base64": ["{}", { ...good, "webhook-signature": "v1,é" }],
    "a time that is no number": ["{}", { ...good, "webhook-timestamp": `${now}.0` }],
    "two signatures headers": ["{}", { ...good, "Webhook-Signature": good["webhook-signature"] }],
    "no signature": ["{}", without("webhook-signature")],
    "no time": ["{}", without("webhook-timestamp")],
    "nothing": ["{}", {}],
  };
  for (const [what, [body, headers]] of Object.entries(bad)) {
    await assert.rejects(verifyWebhook(body, headers, WHSEC), VerificationError, what);
  }
  await assert.rejects(verifyWebhook("{}", good, "another secret"), VerificationError);
  const hex = createHmac("sha256", "s").update("{}").digest("hex");
  const prefixed = { "x-infrai-timestamp": String(now), "x-infrai-signature": `sha256=${hex}` };
  await assert.rejects(verifyWebhook("{}", prefixed, "s", { scheme: "body" }), VerificationError);
  await verifyWebhook("{}", { ...prefixed, "x-infrai-signature": hex }, "s", { scheme: "body" });
});

test("a secret that is none is not taken for one", async () => {
  for (const secret of ["", "whsec_", "whsec_AAAA", "whsec_*", "x".repeat(257), []]) {
    await assert.rejects(verifyWebhook("{}", sign("{}", "x"), secret), TypeError);
  }
});
