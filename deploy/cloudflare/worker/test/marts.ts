import { env } from "cloudflare:test";

/** The tables that the Worker reads, as `publish_cloudflare` makes them. */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS publications (mart TEXT PRIMARY KEY, version TEXT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS dim_machines (machine_key TEXT PRIMARY KEY, source TEXT,
    machine_id TEXT, is_current INTEGER, is_inferred INTEGER, machine_name TEXT, prefecture TEXT,
    site_name TEXT, site_type TEXT, latitude REAL, longitude REAL, machine_model TEXT,
    slot_count INTEGER, slot_capacity INTEGER, status TEXT, installed_on TEXT)`,
  `CREATE TABLE IF NOT EXISTS dim_products (product_key TEXT PRIMARY KEY, source TEXT,
    product_id TEXT, product_name TEXT, is_current INTEGER)`,
  `CREATE TABLE IF NOT EXISTS fct_machine_health (source TEXT, machine_id TEXT,
    business_date TEXT, last_reading_at TEXT, temperature_avg_c REAL, error_readings INTEGER,
    last_error_code TEXT, health_status TEXT, health_reason TEXT)`,
  `CREATE TABLE IF NOT EXISTS fct_replenishment_plan (source TEXT, machine_id TEXT,
    slot_number INTEGER, as_of_date TEXT, product_id TEXT, current_stock INTEGER,
    slot_capacity INTEGER, average_daily_units REAL, days_of_cover REAL,
    recommended_units INTEGER, priority TEXT, reason TEXT)`,
  `CREATE TABLE IF NOT EXISTS fct_daily_machine_sales (source TEXT, machine_id TEXT,
    business_date TEXT, currency TEXT, revenue REAL, sales_amount REAL, refund_amount REAL,
    units_sold INTEGER, transactions INTEGER, refund_lines INTEGER)`,
];
const MARTS = TABLES.map((sql) => /EXISTS (\w+)/.exec(sql)?.[1] ?? "").slice(1);

export async function createMarts(): Promise<void> {
  await run(...TABLES);
}

/** Publish every mart under a version. */
export async function publish(version: string): Promise<void> {
  await run(...MARTS.map((m) => `INSERT OR REPLACE INTO publications VALUES ('${m}', '${version}')`));
}

export async function run(...statements: string[]): Promise<void> {
  await env.MARTS.batch(statements.map((sql) => env.MARTS.prepare(sql)));
}

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof import("../src/index");
    }
    interface Env {
      MARTS: D1Database;
      API_TOKENS: string;
    }
  }
}
