export interface Env {
  /** The database that `publish_cloudflare` writes. */
  MARTS: D1Database;
  /** Secret: the tokens that are let in, separated by commas, so that one can be replaced. */
  API_TOKENS: string;
}

/** A body as JSON text, and the entity tag of the version it was made from. */
export interface Answer {
  body: string;
  etag: string;
}

export type Handler = (
  marts: D1Database,
  path: string[],
  asked: URLSearchParams,
) => Promise<Answer>;

export type Row = Record<string, string | number | null>;
