// Receivers that verify with packages of others: what the server sends to a registered endpoint is genuine to them too.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

import { MainspringClient } from "@mainspring/client";

import { KEY, startServer, startSink, until } from "./rig.js";

let server, sink, client;
before(async () => {
  [server, sink] = await Promise.all([startServer(), startSink()]);
  client = new MainspringClient({ apiKey: KEY, baseUrl: server.url });
});
after(() => Promise.all([server?.stop(), sink?.stop()]));

let endpoints = 0;
const WHSEC = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

async function sent(path, ask) {
  await ask();
  return until(`a call of ${path}`, () => sink.seen.find((got) => got.path === path));
}

/** Every way in which the server sends something signed: the request, the secret it is signed with. */
const SENT = {
  "a cron job": async () => {
    const job = await client.job.cron.create({ schedule: "@yearly", url: `${sink.url}/cron`, secret: WHSEC, payload: { n: 1 } });
    return [await sent("/cron", () => client.job.cron.trigger(job.id)), WHSEC];
  },
  "a webhook": async () => {
    const webhook = { url: `${sink.url}/webhook`, payload: { n: 2 }, secret: WHSEC };
    return [await sent("/webhook", () => client.call("webhook.send", webhook)), WHSEC];
  },
  "an endpoint with a secret of the server's": async () => {
    const path = `/endpoint-${(endpoints += 1)}`;
    const endpoint = await client.call("account.webhooks.register", { url: sink.url + path });
    return [await sent(path, () => client.call("webhook.emit", { event: "order.paid", payload: { n: 3 } })), endpoint.secret];
  },
};

for (const [what, ask] of Object.entries(SENT)) {
  for (const [name, Webhook] of Object.entries({ standardwebhooks: Standard, svix: Svix })) {
    test(`${what} is genuine to ${name}`, async () => {
      const [request, secret] = await ask();
      const text = request.body.toString("utf8");
      assert.deepEqual(new Webhook(secret).verify(text, request.headers), JSON.parse(text));
      assert.throws(() => new Webhook(secret).verify(text.replace("n", "m"), request.headers));
      sink.seen.length = 0;
    });
  }
}
