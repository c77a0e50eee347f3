import { exports } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createMarts, publish, run } from "./marts";

// The Worker keeps answers for a minute, so that each test asks about a machine of its own.
let machine = "";
let count = 0;

const get = (path: string, headers: Record<string, string> = {}) =>
  exports.default.fetch(`https://edge${path}`, {
    headers: { authorization: "Bearer new-token", ...headers },
  });

async function problemOf(response: Response) {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.get("cache-control")).toBe("no-store");
  const body = await response.json<{ status: number; detail: string }>();
  expect(body.status).toBe(response.status);
  return body.detail;
}

beforeEach(async () => {
  machine = `M${++count}`;
  await createMarts();
  await publish(`a${count}`);
  await run(
    `INSERT INTO dim_machines (machine_key, source, machine_id, is_current, is_inferred, machine_name)
     VALUES ('old${count}', 'fleet', '${machine}', 0, 0, 'Old'),
            ('now${count}', 'fleet', '${machine}', 1, 0, '公園前')`,
    `INSERT INTO fct_machine_health VALUES
       ('fleet', '${machine}', '2026-11-19', NULL, 4, 0, NULL, 'healthy', 'Nothing unusual.'),
       ('fleet', '${machine}', '2026-11-20', NULL, 20, 0, NULL, 'critical', 'On average 20.00.')`,
    `INSERT INTO fct_replenishment_plan VALUES
       ('fleet', '${machine}', 2, '2026-11-20', 'TEA', 0, 10, 4, 0, 10, 'urgent', 'Empty.'),
       ('fleet', '${machine}', 1, '2026-11-20', 'GONE', 9, 10, 1, 9, 0, 'none', 'Can wait.')`,
    `INSERT OR REPLACE INTO dim_products VALUES ('T', 'fleet', 'TEA', 'Green tea', 1)`,
  );
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a token", () => {
  it.each<Record<string, string>>([{}, { authorization: "" }, { authorization: "Bearer wrong-one" }, { authorization: "Basic x" }])(
    "is asked for where there is none or a wrong one: %o",
    async (headers) => {
      const response = await exports.default.fetch("https://edge/v1/machines/M1", { headers });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain("Bearer");
      await problemOf(response);
    },
  );

  it("may be any of those that are set, so that one can be replaced", async () => {
    for (const token of ["old-token", "new-token"]) {
      const response = await get(`/v1/machines/${machine}`, { authorization: `Bearer ${token}` });
      expect(response.status).toBe(200);
    }
  });
});

describe("a machine", () => {
  it("is shown as it is now, with its last day's health", async () => {
    const response = await get(`/v1/machines/${machine}`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      machine_id: machine,
      machine_name: "公園前",
      is_inferred: false,
      health: { business_date: "2026-11-20", health_status: "critical" },
    });
  });

  it("that nobody knows is a problem of status 404", async () => {
    expect(await problemOf(await get("/v1/machines/NOBODY"))).toContain("NOBODY");
  });

  it("of two sources needs a source", async () => {
    await run(
      `INSERT INTO dim_machines (machine_key, source, machine_id, is_current, is_inferred, machine_name)
       VALUES ('other${count}', 'shop', '${machine}', 1, 1, 'Shop')`,
    );
    const response = await get(`/v1/machines/${machine}`);
    expect(response.status).toBe(409);
    expect(await problemOf(response)).toContain("fleet, shop");
    const shop = await get(`/v1/machines/${machine}?source=shop`);
    expect(await shop.json()).toMatchObject({ source: "shop", is_inferred: true, health: null });
  });

  it("is not shown where a parameter is misspelt", async () => {
    expect(await problemOf(await get(`/v1/machines/${machine}?sauce=shop`))).toContain("sauce");
  });

  it("whose source is no name is a problem of status 400", async () => {
    expect((await get(`/v1/machines/${machine}?source=';--`)).status).toBe(400);
  });
});

describe("stock", () => {
  it("lists the slots in order, with the product's name where one is known", async () => {
    const response = await get(`/v1/machines/${machine}/stock`);
    expect(await response.json()).toMatchObject({
      as_of_date: "2026-11-20",
      slots: [
        { slot_number: 1, product_name: null, priority: "none" },
        { slot_number: 2, product_name: "Green tea", recommended_units: 10 },
      ],
    });
  });
});

describe("daily sales", () => {
  beforeEach(async () => {
    const days = Array.from({ length: 5 }, (_, day) => `2026-11-${10 + day}`);
    await run(
      ...days.map(
        (day) =>
          `INSERT INTO fct_daily_machine_sales
           VALUES ('fleet', '${machine}', '${day}', 'JPY', 150, 150, 0, 1, 1, 0)`,
      ),
    );
  });

  interface Page {
    items: { business_date: string }[];
    next: string | null;
  }
  const page = async (query: string) => {
    const response = await get(`/v1/sales/daily?machine_id=${machine}&${query}`);
    expect(response.status).toBe(200);
    return await response.json<Page>();
  };

  it("come in pages that hold every row once", async () => {
    const seen: string[] = [];
    let next: string | null = "";
    while (next !== null) {
      const found: Page = await page(`limit=2${next && `&cursor=${next}`}`);
      seen.push(...found.items.map((item) => item.business_date));
      next = found.next;
    }
    expect(seen).toEqual([10, 11, 12, 13, 14].map((day) => `2026-11-${day}`));
  });

  it("are bounded by dates, both included", async () => {
    const { items } = await page("from=2026-11-11&to=2026-11-12");
    expect(items.map((item) => item.business_date)).toEqual(["2026-11-11", "2026-11-12"]);
  });

  it("of a cursor of another version begin again", async () => {
    const { next } = await page("limit=2");
    await publish("bbb");
    const response = await get(`/v1/sales/daily?machine_id=${machine}&limit=2&cursor=${next}`);
    expect(response.status).toBe(409);
  });

  it.each(["xyz", "WzFd", ""])("of a cursor that is none begin again: %s", async (cursor) => {
    expect((await get(`/v1/sales/daily?cursor=${cursor}`)).status).toBe(409);
  });

  it.each([
    "from=2026-06-31",
    "from=yesterday",
    "currency=yen",
    "limit=0",
    "limit=501",
    "limit=1.5",
  ])("refuse %s", async (query) => {
    const response = await get(`/v1/sales/daily?${query}`);
    expect(response.status).toBe(400);
    await problemOf(response);
  });
});

describe("an answer", () => {
  it("may be kept for a minute by its owner alone", async () => {
    const { headers } = await get(`/v1/machines/${machine}`);
    expect(headers.get("cache-control")).toBe("private, max-age=60");
    expect(headers.get("vary")).toBe("authorization");
  });

  it("is not sent again to who has it", async () => {
    const first = await get(`/v1/machines/${machine}`);
    const etag = first.headers.get("etag") ?? "";
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const again = await get(`/v1/machines/${machine}`, { "if-none-match": tag });
      expect(again.status).toBe(304);
      expect(await again.text()).toBe("");
    }
    expect((await get(`/v1/machines/${machine}`, { "if-none-match": '"x"' })).status).toBe(200);
  });

  it("comes from memory for a minute and then has the new version", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const first = await get(`/v1/machines/${machine}`);
    await publish("ccc");
    const kept = await get(`/v1/machines/${machine}`);
    expect(kept.headers.get("etag")).toBe(first.headers.get("etag"));
    vi.setSystemTime(Date.now() + 61_000);
    const fresh = await get(`/v1/machines/${machine}`);
    expect(fresh.headers.get("etag")).toBe('"ccc-ccc"');
  });

  it("is not given before the marts are published", async () => {
    await run("DELETE FROM publications WHERE mart = 'dim_machines'");
    const response = await get(`/v1/machines/${machine}`);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("60");
    await problemOf(response);
  });
});

describe("anything else", () => {
  it("is a problem of status 404 or 405", async () => {
    expect((await get("/v2")).status).toBe(404);
    const response = await exports.default.fetch("https://edge/v1/machines/M1", { method: "POST" });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    expect((await get("/v1/machines/%FF")).status).toBe(400);
  });

  it("is told by the OpenAPI document, which needs no token", async () => {
    const response = await exports.default.fetch("https://edge/openapi.json");
    expect(await response.json()).toMatchObject({ openapi: "3.1.0" });
  });
});
