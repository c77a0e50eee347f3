// The edge API: published marts, read from D1, for people and machines with a token.
//
// A request is answered from this isolate's memory if the same was asked in the last minute
// (memory.ts), else from D1. What the marts hold is decided by the pipeline; nothing is computed here.

import openapi from "../openapi.json";
import { isAllowed } from "./auth";
import { BadRequest, Conflict, NotFound, NotPublished } from "./errors";
import { answer, matches, notModified, problem } from "./http";
import { machine } from "./machines";
import { Memory } from "./memory";
import { daily } from "./sales";
import { stock } from "./stock";
import type { Answer, Env, Handler } from "./types";

const ROUTES: [RegExp, string[], Handler][] = [
  [/^\/v1\/machines\/([^/]+)$/, ["source"], machine],
  [/^\/v1\/machines\/([^/]+)\/stock$/, ["source"], stock],
  [/^\/v1\/sales\/daily$/, daily.parameters, daily],
];

const DOCUMENT = JSON.stringify(openapi);
const memory = new Memory();

export default {
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return problem(405, "Only GET and HEAD are answered here.", { allow: "GET, HEAD" });
    }
    if (url.pathname === "/openapi.json") return answer(DOCUMENT, {});
    if (!isAllowed(request.headers.get("authorization"), env.API_TOKENS)) {
      const challenge = { "www-authenticate": 'Bearer realm="vending"' };
      return problem(401, "Send a token of this API as Authorization: Bearer.", challenge);
    }
    try {
      return respond(request, await find(url, env));
    } catch (error) {
      return explain(error);
    }
  },
} satisfies ExportedHandler<Env>;

async function find(url: URL, env: Env): Promise<Answer> {
  for (const [pattern, parameters, handler] of ROUTES) {
    const path = pattern.exec(url.pathname);
    if (path === null) continue;
    const asked = new URLSearchParams();
    for (const name of parameters) {
      const value = url.searchParams.get(name);
      if (value !== null) asked.set(name, value);
    }
    return await memory.get(`${url.pathname}?${asked}`, () =>
      handler(env.MARTS, path.slice(1).map(decoded), asked),
    );
  }
  throw new NotFound("There is nothing at this address; /openapi.json lists what there is.");
}

function respond(request: Request, found: Answer): Response {
  if (matches(request.headers.get("if-none-match"), found.etag)) return notModified(found.etag);
  return answer(found.body, { etag: found.etag });
}

function explain(error: unknown): Response {
  if (error instanceof BadRequest) return problem(400, error.message);
  if (error instanceof NotFound) return problem(404, error.message);
  if (error instanceof Conflict) return problem(409, error.message);
  const published = !(error instanceof NotPublished);
  if (published) console.error(error);
  const detail = published ? "The marts cannot be read just now." : error.message;
  return problem(503, detail, { "retry-after": "60" });
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new BadRequest("The address is not UTF-8.");
  }
}
