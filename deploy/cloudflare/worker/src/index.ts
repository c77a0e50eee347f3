// The edge API: published marts, read from D1, for people and machines with a token.
//
// A request is answered from this isolate's memory if the same was asked in the last minute
// (memory.ts), else from D1. What the marts hold is decided by the pipeline; nothing is computed here.

import openapi from "../openapi.json";
import { isAllowed } from "./auth";
import { BadRequest, Conflict, NotFound, NotPublished } from "./errors";
import { type Encoded, answer, encoded, matches, notModified, problem } from "./http";
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

const DOCUMENT_PATH = "/openapi.json";
const DOCUMENT = encoded({ body: JSON.stringify(openapi) });
const memory = new Memory();

export default {
  fetch(request, env): Response | Promise<Response> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return problem(405, "Only GET and HEAD are answered here.", { allow: "GET, HEAD" });
    }
    if (isAllowed(request.headers.get("authorization"), env.API_TOKENS)) {
      // Mostly it is: then neither a promise nor a look at the address is needed.
      const kept = memory.find(request.url);
      return kept === undefined ? make(request, env) : respond(request, kept);
    }
    if (new URL(request.url).pathname === DOCUMENT_PATH) return answer(DOCUMENT);
    const challenge = { "www-authenticate": 'Bearer realm="vending"' };
    return problem(401, "Send a token of this API as Authorization: Bearer.", challenge);
  },
} satisfies ExportedHandler<Env>;

async function make(request: Request, env: Env): Promise<Response> {
  const url = new URL(request.url);
  if (url.pathname === DOCUMENT_PATH) return answer(DOCUMENT);
  try {
    const found = encoded(await find(url, env));
    memory.keep(request.url, found);
    return respond(request, found);
  } catch (error) {
    return explain(error);
  }
}

async function find(url: URL, env: Env): Promise<Answer> {
  for (const [pattern, parameters, handler] of ROUTES) {
    const path = pattern.exec(url.pathname);
    if (path === null) continue;
    // Misspelt, a filter would be passed over in silence.
    for (const name of url.searchParams.keys()) {
      if (!parameters.includes(name)) {
        throw new BadRequest(`There is no parameter ${name}; give ${parameters.join(", ")}.`);
      }
    }
    return await handler(env.MARTS, path.slice(1).map(decoded), url.searchParams);
  }
  throw new NotFound("There is nothing at this address; /openapi.json lists what there is.");
}

function respond(request: Request, found: Encoded): Response {
  if (matches(request.headers.get("if-none-match"), found.etag)) return notModified(found.etag);
  return answer(found);
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
