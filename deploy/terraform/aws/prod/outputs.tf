output "environment_name" {
  value = module.mwaa.environment_name
}

output "lake_bucket" {
  value = module.lake.bucket.name
}

output "snowflake_role_arn" {
  value = module.lake.snowflake_role_arn
}
