output "connection" {
  description = "The Airflow connection that VENDING_CLOUDFLARE_CONNECTION names, as JSON."
  sensitive   = true

  value = jsonencode({
    conn_type = "generic"
    login     = var.account_id
    password  = cloudflare_account_token.publisher.value
    extra = {
      d1_database_id  = cloudflare_d1_database.marts.id
      kv_namespace_id = cloudflare_workers_kv_namespace.marts.id
      zone_id         = var.zone_id == "" ? null : var.zone_id
      iceberg = {
        uri       = "https://catalog.cloudflarestorage.com/${var.account_id}/${cloudflare_r2_bucket.copy.name}"
        warehouse = "${var.account_id}_${cloudflare_r2_bucket.copy.name}"
        token     = cloudflare_account_token.catalog.value
      }
    }
  })
}

output "d1_database_id" {
  description = "For the Worker's wrangler.jsonc."
  value       = cloudflare_d1_database.marts.id
}

output "lake_bucket" {
  description = "VENDING_LAKE_BUCKET."
  value       = cloudflare_r2_bucket.lake.name
}

output "copy_bucket" {
  description = "VENDING_LAKE_COPY_BUCKET."
  value       = cloudflare_r2_bucket.copy.name
}

output "events_queue_id" {
  description = "Of the queue of events. No DAG reads it yet."
  value       = cloudflare_queue.events.queue_id
}
