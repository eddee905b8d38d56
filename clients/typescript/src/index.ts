/** Client of a Mainspring server; for Node.js 20 or newer, and browsers. */

export { MainspringClient, InfraiClient, type ClientOptions } from "./client.js";
export { MainspringError, type ErrorCode, type ErrorFacts } from "./errors.js";
export { ROUTES, type HttpMethod, type PlainName, type Route, type RouteName } from "./routes.js";
export { each } from "./pages.js";
export { verifyWebhook, VerificationError } from "./verify.js";
export type { IncomingHeaders, Verified, VerifyOptions } from "./verify.js";
export type { Context, Handler, Verdict, WorkDone, WorkOptions } from "./work.js";
export type { CallOptions, Patience } from "./transport.js";
export type { Capabilities, Capability, Input, Output } from "./capabilities.js";
export type * from "./types/wire.js";
export type * from "./types/cron.js";
export type * from "./types/queues.js";
export type * from "./types/account.js";
export type * from "./types/webhooks.js";
export type * from "./types/discovery.js";
