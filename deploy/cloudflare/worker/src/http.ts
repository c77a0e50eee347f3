/** Seconds for which an answer may be kept, here and by the client. */
export const MAX_AGE = 60;

// private: an answer to a token must not be kept by a cache between us and its owner.
const CACHED = { "cache-control": `private, max-age=${MAX_AGE}`, vary: "authorization" };
const ALWAYS = { "x-content-type-options": "nosniff" };

/** An answer as it is sent, again and again: encoded once. */
export interface Encoded {
  body: Uint8Array;
  headers: Headers;
  etag: string;
}

const encoder = new TextEncoder();

export function encoded({ body, etag = "" }: { body: string; etag?: string }): Encoded {
  const type = { "content-type": "application/json; charset=utf-8" };
  const headers = new Headers({ ...type, ...CACHED, ...ALWAYS, ...(etag && { etag }) });
  return { body: encoder.encode(body), headers, etag };
}

export function answer({ body, headers }: Encoded): Response {
  return new Response(body, { headers });
}

export function notModified(etag: string): Response {
  return new Response(null, { status: 304, headers: { etag, ...CACHED } });
}

/** Whether If-None-Match names an entity tag (RFC 9110, 13.1.2: compared weakly). */
export function matches(header: string | null, etag: string): boolean {
  if (header === null) return false;
  return header.split(",").some((tag) => ["*", etag, `W/${etag}`].includes(tag.trim()));
}

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  503: "Service Unavailable",
};

/** An error as RFC 9457 has it. */
export function problem(
  status: number,
  detail: string,
  headers: Record<string, string> = {},
): Response {
  const body = { type: "about:blank", title: TITLES[status], status, detail };
  const type = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new Response(JSON.stringify(body), { status, headers: { ...type, ...ALWAYS, ...headers } });
}
