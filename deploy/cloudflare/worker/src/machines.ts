import { answerOf, read, requireOneSource, sourceOf } from "./marts";
import type { Handler } from "./types";

const MACHINE = `
SELECT source, machine_id, machine_name, prefecture, site_name, site_type, latitude, longitude,
  machine_model, slot_count, slot_capacity, status, installed_on, is_inferred
FROM dim_machines
WHERE machine_id = ?1 AND is_current = 1 AND (?2 IS NULL OR source = ?2)
ORDER BY source LIMIT 10`;

const HEALTH = `
SELECT source, business_date, last_reading_at, temperature_avg_c, error_readings, last_error_code,
  health_status, health_reason
FROM fct_machine_health
WHERE machine_id = ?1 AND (?2 IS NULL OR source = ?2)
ORDER BY business_date DESC, source LIMIT 10`;

/** GET /v1/machines/{machine_id}: the master record that holds now, and the last day's health. */
export const machine: Handler = async (marts, [machineId = ""], asked) => {
  const values = [machineId, sourceOf(asked)];
  const { rows, version } = await read(
    marts,
    ["dim_machines", "fct_machine_health"],
    [
      { sql: MACHINE, values },
      { sql: HEALTH, values },
    ],
  );
  const [machines = [], healths = []] = rows;
  const source = requireOneSource(machines, machineId);
  const found = healths.find((health) => health.source === source);
  const { source: _, ...health } = found ?? { source };
  const record = { ...machines[0], is_inferred: machines[0]?.is_inferred === 1 };
  return answerOf({ ...record, health: found ? health : null }, version);
};
