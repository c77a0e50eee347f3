// Cloudflare's public REST API over the real D1 and KV of workerd: what the publisher calls, and no
// more. Simulated here, because workerd has none of it: the envelope and its error codes, the
// token, an import as one transaction, the signed address of an upload, the 10,000 keys of a bulk,
// the purge, and all of Pages (pages.mjs). Statements, limits of SQL and of keys, and transactions are workerd's own.

import * as pages from "./pages.mjs";

const ACCOUNT = /^\/client\/v4\/accounts\/([^/]+)\/(.*)$/;
const BULK_KEYS = 10_000;
const FAULT_HEADER = "x-local-fault";

const uploads = new Map(); // file name -> text
const imports = new Map(); // bookmark -> what a poll answers
const purges = []; // what was asked to be purged, by zone
const journal = []; // every call, for tests that count them
let faults = []; // answers that the next calls get instead

class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/__local/")) return await control(request, url);
    if (url.pathname.startsWith("/upload/")) return await receiveUpload(request, url);
    if (!url.pathname.startsWith("/client/v4/")) return await env.EDGE.fetch(request);
    try {
      journal.push({ method: request.method, path: url.pathname });
      const fault = faults.shift();
      if (fault) return faulty(fault);
      // Wrangler sends the upload token there, which stands for the project's own.
      if (pages.isUpload(url)) return answer(await pages.uploaded(request, url));
      if (request.headers.get("authorization") !== `Bearer ${env.API_TOKEN}`) {
        throw new ApiError(403, 10000, "Authentication error");
      }
      return await route(request, url, env);
    } catch (error) {
      const { status = 400, code = 7500, message } = error;
      const errors = [{ code, message: String(message).replace(/^D1_ERROR: /, "") }];
      return Response.json({ success: false, errors, messages: [], result: null }, { status });
    }
  },
};

// Of the tests alone: what was called, and which answers come next.
async function control(request, url) {
  if (url.pathname === "/__local/journal") return Response.json(journal);
  if (url.pathname === "/__local/purges") return Response.json(purges);
  if (url.pathname.startsWith("/__local/pages/")) {
    return pages.served(url) ?? new Response(null, { status: 404 });
  }
  if (url.pathname === "/__local/faults") faults = await request.json();
  return Response.json({ ok: true });
}

function faulty({ status, code = status, message = "Simulated", headers = {} }) {
  const body = { success: false, errors: [{ code, message }], messages: [], result: null };
  return Response.json(body, { status, headers: { ...headers, [FAULT_HEADER]: "1" } });
}

function answer(result, more = {}) {
  return Response.json({ success: true, errors: [], messages: [], result, ...more });
}

async function route(request, url, env) {
  const purge = url.pathname.match(/^\/client\/v4\/zones\/([^/]+)\/purge_cache$/);
  if (purge) {
    purges.push({ zone: purge[1], ...(await request.json()) });
    return answer({ id: purge[1] });
  }
  const [, , path] = url.pathname.match(ACCOUNT) ?? [];
  const site = await pages.project(request, url, path);
  if (site) return answer(site);
  const d1 = path?.match(/^d1\/database\/([^/]+)(?:\/(query|import))?$/);
  if (d1) return await database(request, url, binding(env, `D1_${d1[1]}`, 7404), d1[2]);
  const kv = path?.match(/^storage\/kv\/namespaces\/([^/]+)\/(.*)$/);
  if (kv) return await namespace(request, url, binding(env, `KV_${kv[1]}`, 10013), kv[2]);
  throw new ApiError(404, 7003, `No route for ${request.method} ${url.pathname}`);
}

function binding(env, name, code) {
  if (!(name in env)) throw new ApiError(404, code, `${name} not found`);
  return env[name];
}

// ---- D1

async function database(request, url, db, action) {
  if (action === "query") return answer(await query(db, await request.json()));
  if (action === "import") return answer(await importSql(db, url, await request.json()));
  const [{ meta }] = await db.batch([db.prepare("SELECT 1")]);
  return answer({ uuid: url.pathname.split("/").pop(), file_size: meta.size_after });
}

async function query(db, { sql, params = [], batch = [{ sql, params }] }) {
  return await db.batch(batch.map((one) => db.prepare(one.sql).bind(...(one.params ?? []))));
}

async function importSql(db, url, { action, etag, filename, current_bookmark }) {
  if (action === "init") {
    const name = `${crypto.randomUUID()}.${etag}.sql`;
    return { success: true, filename: name, upload_url: `${url.origin}/upload/${name}` };
  }
  if (action === "poll") return imports.get(current_bookmark) ?? { success: false, error: "Not currently importing anything." };
  const text = uploads.get(filename);
  if (text === undefined) throw new ApiError(400, 7400, "The upload was not found");
  uploads.delete(filename);
  const bookmark = crypto.randomUUID();
  imports.set(bookmark, await ingest(db, text));
  return { success: true, type: "import", at_bookmark: bookmark, messages: ["Started"] };
}

async function ingest(db, text) {
  const done = { success: true, type: "import", messages: [] };
  try {
    const statements = split(text);
    const results = await db.batch(statements.map((sql) => db.prepare(sql)));
    const meta = { ...results.at(-1).meta, rows_written: 0 };
    for (const result of results) meta.rows_written += result.meta.rows_written;
    return { ...done, status: "complete", result: { num_queries: statements.length, meta } };
  } catch (error) {
    return { ...done, status: "error", error: String(error.message) };
  }
}

// Statements end with a semicolon outside of quotes; a comment is a line of its own.
function split(text) {
  const tokens = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*\n|;/g;
  const statements = [];
  let from = 0;
  for (let token = tokens.exec(text); token; token = tokens.exec(text)) {
    if (token[0] !== ";") continue;
    statements.push(text.slice(from, token.index).replace(/^(\s*--[^\n]*\n)+/, ""));
    from = tokens.lastIndex;
  }
  if (text.slice(from).trim()) statements.push(text.slice(from));
  return statements;
}

async function receiveUpload(request, url) {
  const body = await request.arrayBuffer();
  const name = url.pathname.slice("/upload/".length);
  const digest = new Uint8Array(await crypto.subtle.digest("MD5", body));
  const etag = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (name.split(".")[1] !== etag) return new Response("BadDigest", { status: 400 });
  uploads.set(name, new TextDecoder().decode(body));
  return new Response(null, { headers: { etag: `"${etag}"` } });
}

// ---- KV

async function namespace(request, url, kv, path) {
  if (path === "bulk" && request.method === "PUT") return await putAll(kv, await request.json());
  if (path === "bulk/delete") return await deleteAll(kv, await request.json());
  if (path === "keys") return await listKeys(kv, url);
  const key = decodeURIComponent(path.replace(/^values\//, ""));
  if (request.method === "PUT") return await putOne(request, kv, key, url);
  const value = await kv.get(key);
  if (value === null) throw new ApiError(404, 10009, "get: 'key not found'");
  return new Response(value);
}

async function putAll(kv, pairs) {
  bounded(pairs);
  await inGroups(pairs, ({ key, value, expiration_ttl }) =>
    kv.put(key, value, expiration_ttl ? { expirationTtl: expiration_ttl } : {}),
  );
  return answer({ successful_key_count: pairs.length, unsuccessful_keys: [] });
}

async function deleteAll(kv, keys) {
  bounded(keys);
  await inGroups(keys, (key) => kv.delete(key));
  return answer({ successful_key_count: keys.length, unsuccessful_keys: [] });
}

async function putOne(request, kv, key, url) {
  const ttl = Number(url.searchParams.get("expiration_ttl"));
  const form = request.headers.get("content-type")?.startsWith("multipart/");
  const value = form ? (await request.formData()).get("value") : await request.text();
  await kv.put(key, value, ttl ? { expirationTtl: ttl } : {});
  return answer({});
}

async function listKeys(kv, url) {
  const { searchParams: asked } = url;
  const page = await kv.list({
    prefix: asked.get("prefix"),
    cursor: asked.get("cursor") || undefined,
    limit: Number(asked.get("limit") ?? 1000),
  });
  const result_info = { count: page.keys.length, cursor: page.cursor ?? "" };
  return answer(page.keys, { result_info });
}

async function inGroups(list, act) {
  for (let at = 0; at < list.length; at += 50) await Promise.all(list.slice(at, at + 50).map(act));
}

function bounded(list) {
  if (list.length > BULK_KEYS) throw new ApiError(400, 10023, "too many keys in a bulk");
}
