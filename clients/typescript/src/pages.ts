/** Lists as one sequence. */

import type { Page, PageQuery } from "./types/wire.js";

/** Every item of a list, page after page: `for await (const job of each((page) => client.job.cron.list(page)))`. */
export async function* each<T>(list: (page: PageQuery) => Promise<Page<T>>, limit?: number): AsyncGenerator<T, void> {
  let cursor: string | null | undefined;
  do {
    const page = await list({ cursor: cursor ?? undefined, limit });
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor);
}
