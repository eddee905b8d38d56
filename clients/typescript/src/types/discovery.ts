/** What the server can do, told by itself. */

import type { Instant } from "./wire.js";

/** One capability, with its id as in `ROUTES`. */
export interface CapabilityEntry {
  id: string;
  method: string;
  path: string;
  summary: string;
  idempotent: boolean;
  available: boolean;
  regions: string[];
  vendors: string[];
  billing: { is_billable: boolean; free: boolean; unit: string; price_usd: number; currency: string };
}

export interface Discovered {
  version: string;
  generated_at: Instant;
  capabilities: CapabilityEntry[];
}

/** One capability whole; `parameters` and `result` are JSON Schema. */
export interface CapabilityDescription extends CapabilityEntry {
  paths: string[];
  public: boolean;
  scopes: string[];
  parameters: Record<string, unknown>;
  result: Record<string, unknown>;
  errors: { code: string; status: number; retryable: boolean; description: string }[];
  examples: { curl: string; python: string; typescript: string };
}
