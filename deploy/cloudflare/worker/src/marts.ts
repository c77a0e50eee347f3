import { BadRequest, Conflict, NotFound, NotPublished } from "./errors";
import type { Answer, Row } from "./types";

export interface Query {
  sql: string;
  values: (string | number | null)[];
}

export interface Read {
  /** The rows of each query. */
  rows: Row[][];
  /** Which versions of the marts they are of. */
  version: string;
}

/**
 * Run queries over published marts as one transaction with the look at their versions, so that an
 * answer is of one version of each. Throws NotPublished if a mart has none.
 */
export async function read(db: D1Database, marts: string[], queries: Query[]): Promise<Read> {
  const marks = marts.map(() => "?").join(", ");
  const versions = db
    .prepare(`SELECT mart, version FROM publications WHERE mart IN (${marks}) ORDER BY mart`)
    .bind(...marts);
  const statements = queries.map(({ sql, values }) => db.prepare(sql).bind(...values));
  let results: D1Result<Row>[];
  try {
    results = await db.batch<Row>([versions, ...statements]);
  } catch (error) {
    if (String(error).includes("no such table")) throw new NotPublished("Nothing is published yet.");
    throw error;
  }
  const [published, ...rest] = results;
  if (published === undefined || published.results.length < marts.length) {
    throw new NotPublished("A mart of this answer is not published yet.");
  }
  const version = published.results.map((row) => row.version).join("-");
  return { rows: rest.map((result) => result.results), version };
}

export function answerOf(content: object, version: string): Answer {
  return { body: JSON.stringify(content), etag: `"${version}"` };
}

/** The source that a request names, null for none. */
export function sourceOf(asked: URLSearchParams): string | null {
  const source = asked.get("source");
  if (source !== null && !/^[a-z][a-z0-9_]{0,49}$/.test(source)) {
    throw new BadRequest("source is lower-case letters, digits and underscores.");
  }
  return source;
}

/** The one source of some rows: a machine's id is unique within its source only. */
export function requireOneSource(rows: Row[], machineId: string): string {
  const sources = new Set(rows.map((row) => String(row.source)));
  const [first] = sources;
  if (first === undefined) throw new NotFound(`No machine ${machineId} is known.`);
  if (sources.size > 1) {
    const names = [...sources].sort().join(", ");
    throw new Conflict(`Several sources have a machine ${machineId}; add source, one of ${names}.`);
  }
  return first;
}
