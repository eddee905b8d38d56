// Publish through a Node library on PostgreSQL: on_postgres.mjs TOOLS LIBRARY URL SECONDS; prints how many and the p99.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [tools, library, url, seconds] = process.argv.slice(2);
const require = createRequire(`${tools}/package.json`);
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const payload = { x: "x".repeat(300) };
const atOnce = 64;

async function measure(one) {
  const took = [];
  const end = performance.now() + 1000 * Number(seconds);
  const caller = async () => {
    for (let began = performance.now(); began < end; began = performance.now()) {
      await one();
      took.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  took.sort((a, b) => a - b);
  console.log(took.length, took[Math.floor(took.length * 0.99)]);
}

const programs = {
  "pg-boss": async () => {
    const found = await load("pg-boss");
    const Boss = found.default?.PgBoss ?? found.PgBoss ?? found.default;
    const boss = new Boss({ connectionString: url, max: atOnce, supervise: false, schedule: false });
    boss.on("error", console.error);
    await boss.start();
    await boss.createQueue("bench").catch(() => {});
    await measure(() => boss.send("bench", payload));
    await boss.stop({ graceful: false });
  },
  "graphile-worker": async () => {
    const { makeWorkerUtils } = await load("graphile-worker");
    const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: atOnce });
    await utils.migrate();
    await measure(() => utils.addJob("bench", payload));
    await utils.release();
  },
};

await programs[library]();
process.exit(0);
