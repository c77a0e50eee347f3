import { BadRequest, Conflict } from "./errors";
import { answerOf, read, sourceOf } from "./marts";
import type { Handler, Row } from "./types";

const KEY = ["business_date", "source", "machine_id", "currency"] as const;
const LIMIT = { default: 100, most: 500 };

interface Cursor {
  version: string;
  after: string[];
}

/**
 * GET /v1/sales/daily: days of machines in the order of KEY, a page at a time. A cursor belongs to
 * the version that its page was read from, so that pages of two versions are never put together.
 */
export const daily: Handler & { parameters: string[] } = Object.assign(
  (async (marts, _path, asked) => {
    const cursor = cursorOf(asked.get("cursor"));
    const limit = limitOf(asked.get("limit"));
    const { sql, values } = query(asked, cursor, limit);
    const { rows, version } = await read(marts, ["fct_daily_machine_sales"], [{ sql, values }]);
    if (cursor !== null && cursor.version !== version) {
      throw new Conflict("The sales were published anew since the first page; begin again.");
    }
    const found = rows[0] ?? [];
    const items = found.slice(0, limit);
    const last = found.length > limit ? items.at(-1) : undefined;
    return answerOf({ items, next: last ? encoded(version, last) : null }, version);
  }) satisfies Handler,
  { parameters: ["from", "to", "machine_id", "source", "currency", "limit", "cursor"] },
);

function query(asked: URLSearchParams, cursor: Cursor | null, limit: number) {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const add = (condition: string, ...given: string[]) => {
    conditions.push(condition);
    values.push(...given);
  };
  const [from, to] = [dateOf(asked, "from"), dateOf(asked, "to")];
  if (from !== null) add("business_date >= ?", from);
  if (to !== null) add("business_date <= ?", to);
  const machine = asked.get("machine_id");
  if (machine !== null) add("machine_id = ?", machine);
  const source = sourceOf(asked);
  if (source !== null) add("source = ?", source);
  const currency = asked.get("currency");
  if (currency !== null && !/^[A-Z]{3}$/.test(currency)) {
    throw new BadRequest("currency is three capital letters (ISO 4217).");
  }
  if (currency !== null) add("currency = ?", currency);
  if (cursor !== null) add(`(${KEY.join(", ")}) > (?, ?, ?, ?)`, ...cursor.after);
  const where = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
  const sql = `
SELECT business_date, source, machine_id, currency, revenue, sales_amount, refund_amount, units_sold,
  transactions, refund_lines
FROM fct_daily_machine_sales ${where} ORDER BY ${KEY.join(", ")} LIMIT ?`;
  // One more than asked tells whether there is a next page.
  return { sql, values: [...values, limit + 1] };
}

function dateOf(asked: URLSearchParams, name: string): string | null {
  const value = asked.get(name);
  if (value === null) return null;
  const date = /^\d{4}-\d{2}-\d{2}$/.test(value) ? new Date(`${value}T00:00:00Z`) : null;
  // JavaScript takes the 31st of June for the 1st of July.
  if (date === null || Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== value) {
    throw new BadRequest(`${name} is a date such as 2026-11-20.`);
  }
  return value;
}

function limitOf(value: string | null): number {
  if (value === null) return LIMIT.default;
  const limit = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  if (limit < 1 || limit > LIMIT.most) throw new BadRequest(`limit is 1 to ${LIMIT.most}.`);
  return limit;
}

function encoded(version: string, last: Row): string {
  const bytes = new TextEncoder().encode(JSON.stringify([version, ...KEY.map((name) => last[name])]));
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function cursorOf(value: string | null): Cursor | null {
  if (value === null) return null;
  try {
    const text = atob(value.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const parts: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
    if (Array.isArray(parts) && parts.length === KEY.length + 1) {
      if (parts.every((part): part is string => typeof part === "string")) {
        const [version = "", ...after] = parts;
        return { version, after };
      }
    }
  } catch {
    // Told below with every other cursor that is none of ours.
  }
  throw new Conflict("cursor is not the next of an earlier page; begin again.");
}
