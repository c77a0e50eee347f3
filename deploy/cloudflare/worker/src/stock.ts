import { answerOf, read, requireOneSource, sourceOf } from "./marts";
import type { Handler } from "./types";

const SLOTS = `
SELECT plan.source, plan.machine_id, plan.as_of_date, plan.slot_number, plan.product_id,
  product.product_name, plan.current_stock, plan.slot_capacity, plan.average_daily_units,
  plan.days_of_cover, plan.recommended_units, plan.priority, plan.reason
FROM fct_replenishment_plan AS plan
LEFT JOIN dim_products AS product
  ON product.product_id = plan.product_id AND product.source = plan.source
  AND product.is_current = 1
WHERE plan.machine_id = ?1 AND (?2 IS NULL OR plan.source = ?2)
ORDER BY plan.source, plan.slot_number`;

/** GET /v1/machines/{machine_id}/stock: what each slot holds, and what to bring to it. */
export const stock: Handler = async (marts, [machineId = ""], asked) => {
  const { rows, version } = await read(
    marts,
    ["fct_replenishment_plan", "dim_products"],
    [{ sql: SLOTS, values: [machineId, sourceOf(asked)] }],
  );
  const found = rows[0] ?? [];
  const source = requireOneSource(found, machineId);
  const slots = found.map(({ source: _s, machine_id: _m, as_of_date: _a, ...slot }) => slot);
  const content = { source, machine_id: machineId, as_of_date: found[0]?.as_of_date, slots };
  return answerOf(content, version);
};
