// A Cloudflare on the loopback interface: D1, KV and R2 of workerd, the REST API of api.mjs, and the
// edge Worker. Prints one line of JSON with its addresses when it is ready, and ends with its input.
//
//   node server.mjs <folder> [--stays]    keeps its data below the folder; stays until it is killed

import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";

const HERE = import.meta.dirname;
const COMPATIBILITY_DATE = "2026-08-01";
const [folder, stays] = process.argv.slice(2);
if (!folder) throw new Error("Name the folder that keeps the data.");

const d1 = { marts: "marts" };
const kv = { marts: "marts" };
const s3Credentials = { accessKeyId: "local", secretAccessKey: process.env.LOCAL_S3_SECRET };
const bucket = { id: "lake", s3Credentials };
const EMPTY = "export default { fetch: () => new Response('{}') };";

const bound = (prefix, names) =>
  Object.fromEntries(Object.entries(names).map(([name, id]) => [`${prefix}_${name}`, id]));

async function bundled(...path) {
  const entryPoints = [join(HERE, ...path)];
  const options = { bundle: true, format: "esm", target: "es2023", write: false };
  return (await build({ entryPoints, ...options })).outputFiles[0].text;
}

const worker = (name, script, more) => ({
  name,
  modules: true,
  script,
  compatibilityDate: COMPATIBILITY_DATE,
  unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  ...more,
});

const server = new Miniflare(
  convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    defaultPersistRoot: folder,
    d1Persist: join(folder, "d1"),
    kvPersist: join(folder, "kv"),
    r2Persist: join(folder, "r2"),
    cachePersist: join(folder, "cache"),
    workers: [
      worker("api", await bundled("api.mjs"), {
        bindings: { API_TOKEN: process.env.LOCAL_API_TOKEN },
        d1Databases: bound("D1", d1),
        kvNamespaces: bound("KV", kv),
        r2Buckets: { LAKE: bucket },
        serviceBindings: { EDGE: "edge" },
      }),
      worker("edge", await bundled("..", "worker", "src", "index.ts"), {
        bindings: { API_TOKENS: process.env.LOCAL_EDGE_TOKEN },
        d1Databases: { MARTS: d1.marts },
        kvNamespaces: { PIPELINE: kv.marts },
      }),
      worker("empty", EMPTY, {}),
    ],
  }),
);

const ready = await server.ready;
const direct = async (name) => (await server.unsafeGetDirectURL(name)).origin;
console.log(
  JSON.stringify({
    api: ready.origin,
    edge: await direct("edge"),
    empty: await direct("empty"),
    s3: `${ready.origin}/cdn-cgi/local/r2/s3`,
  }),
);

async function end() {
  await server.dispose();
  process.exit(0);
}

process.on("SIGTERM", end);
if (stays) {
  // Whoever started it has gone, and nobody reads its output any more.
  process.stdout.on("error", () => {});
} else {
  process.stdin.resume();
  process.stdin.on("end", end);
}
