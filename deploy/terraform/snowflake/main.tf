# What loads and dbt need of Snowflake and never make themselves: the objects of
# deploy/snowflake/*.sql, for who keeps infrastructure in Terraform. A test holds both to each other.

locals {
  suffix    = { staging = "STG", prod = "PROD" }[var.environment]
  database  = "VENDING_DATA_${local.suffix}"
  warehouse = "COMPUTE_WH_${local.suffix}"
  bucket    = "${var.company}-vending-data-${var.environment}"

  roles = {
    LOADER      = "Loads conformed files and writes the ledger."
    TRANSFORMER = "Runs dbt."
    REPORTER    = "Reads the marts."
  }

  # Raw rows can be loaded again from the lake; the ledger cannot.
  schemas = {
    STAGING      = { transient = true, retention_days = 1 }
    OPS          = { transient = false, retention_days = 1 }
    INTERMEDIATE = { transient = true, retention_days = 0 }
    MARTS        = { transient = false, retention_days = 1 }
  }

  # The stages that the loader names, by the folder of the lake that each sees.
  stages = {
    PROCESSED_DATA  = "processed-data"
    QUARANTINE_DATA = "quarantine"
  }

  file_format = "${snowflake_schema.schema["OPS"].fully_qualified_name}.\"PARQUET_ROWS\""

  schema_grants = {
    loader_staging           = { role = "LOADER", schema = "STAGING", privileges = ["USAGE", "CREATE TABLE"] }
    loader_ops               = { role = "LOADER", schema = "OPS", privileges = ["USAGE", "CREATE TABLE"] }
    transformer_staging      = { role = "TRANSFORMER", schema = "STAGING", privileges = ["USAGE", "CREATE TABLE", "CREATE VIEW"] }
    transformer_ops          = { role = "TRANSFORMER", schema = "OPS", privileges = ["USAGE"] }
    transformer_intermediate = { role = "TRANSFORMER", schema = "INTERMEDIATE", privileges = ["USAGE", "CREATE TABLE", "CREATE VIEW"] }
    transformer_marts        = { role = "TRANSFORMER", schema = "MARTS", privileges = ["USAGE", "CREATE TABLE", "CREATE VIEW"] }
    reporter_marts           = { role = "REPORTER", schema = "MARTS", privileges = ["USAGE"] }
  }

  # Tables that others make later too.
  select_grants = {
    transformer_staging = { role = "TRANSFORMER", schema = "STAGING" }
    transformer_ops     = { role = "TRANSFORMER", schema = "OPS" }
    reporter_marts      = { role = "REPORTER", schema = "MARTS" }
  }

  # What dbt calls a timestamp has no zone, whatever the account's parameter says.
  users = {
    LOADER_SERVICE      = { role = "LOADER", key = var.loader_key, comment = "The ingest DAGs.", timestamps = null }
    TRANSFORMER_SERVICE = { role = "TRANSFORMER", key = var.transformer_key, comment = "The transform DAG.", timestamps = "TIMESTAMP_NTZ" }
  }
}

resource "snowflake_account_role" "role" {
  provider = snowflake.security
  for_each = local.roles
  name     = each.key
  comment  = each.value
}

# Without this nobody but ACCOUNTADMIN could look after what the roles own.
resource "snowflake_grant_account_role" "to_sysadmin" {
  provider         = snowflake.security
  for_each         = snowflake_account_role.role
  role_name        = each.value.name
  parent_role_name = "SYSADMIN"
}

# A runaway query costs a known amount at most.
resource "snowflake_resource_monitor" "warehouse" {
  provider                  = snowflake.account
  name                      = "${local.warehouse}_MONITOR"
  credit_quota              = var.credits
  frequency                 = "MONTHLY"
  start_timestamp           = "IMMEDIATELY"
  notify_triggers           = [80]
  suspend_trigger           = 100
  suspend_immediate_trigger = 110
}

resource "snowflake_warehouse" "compute" {
  provider                            = snowflake.account
  name                                = local.warehouse
  warehouse_size                      = "XSMALL"
  initially_suspended                 = true
  auto_suspend                        = 60
  auto_resume                         = "true"
  statement_timeout_in_seconds        = 3600
  statement_queued_timeout_in_seconds = 1800
  resource_monitor                    = snowflake_resource_monitor.warehouse.fully_qualified_name
}

resource "snowflake_grant_privileges_to_account_role" "warehouse" {
  provider          = snowflake.security
  for_each          = snowflake_account_role.role
  account_role_name = each.value.name
  privileges        = ["USAGE"]
  on_account_object {
    object_type = "WAREHOUSE"
    object_name = snowflake_warehouse.compute.name
  }
}

resource "snowflake_database" "data" {
  name    = local.database
  comment = "Vending data, ${var.environment}."

  lifecycle {
    prevent_destroy = true
  }
}

resource "snowflake_schema" "schema" {
  for_each                    = local.schemas
  database                    = snowflake_database.data.name
  name                        = each.key
  is_transient                = each.value.transient
  data_retention_time_in_days = each.value.retention_days
}

# Snowflake reads the lake by assuming a role of its AWS account: conformed rows and rejected ones,
# never raw files. Replaced, it would have another external id and the trust would be broken.
resource "snowflake_storage_integration" "lake" {
  provider                  = snowflake.account
  name                      = "VENDING_LAKE_${local.suffix}"
  type                      = "EXTERNAL_STAGE"
  enabled                   = true
  storage_provider          = "S3"
  storage_aws_role_arn      = var.aws_role
  storage_allowed_locations = [for folder in values(local.stages) : "s3://${local.bucket}/${folder}/"]

  lifecycle {
    prevent_destroy = true
  }
}

resource "snowflake_grant_privileges_to_account_role" "integration" {
  provider          = snowflake.account
  account_role_name = "SYSADMIN"
  privileges        = ["USAGE"]
  on_account_object {
    object_type = "INTEGRATION"
    object_name = snowflake_storage_integration.lake.name
  }
}

resource "snowflake_stage" "lake" {
  for_each            = local.stages
  database            = snowflake_database.data.name
  schema              = snowflake_schema.schema["OPS"].name
  name                = each.key
  url                 = "s3://${local.bucket}/${each.value}/"
  storage_integration = snowflake_storage_integration.lake.name
  depends_on          = [snowflake_grant_privileges_to_account_role.integration]
}

# As a statement: the provider's file format has no logical types, without which timestamps come as
# numbers. No text stands for null: by default the text \N would be read as null, and a value be lost.
resource "snowflake_execute" "file_format" {
  execute = <<-SQL
    CREATE FILE FORMAT IF NOT EXISTS ${local.file_format}
    TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE NULL_IF = ()
  SQL
  revert  = "DROP FILE FORMAT IF EXISTS ${local.file_format}"
}

resource "snowflake_grant_privileges_to_account_role" "database" {
  provider          = snowflake.security
  for_each          = snowflake_account_role.role
  account_role_name = each.value.name
  privileges        = ["USAGE"]
  on_account_object {
    object_type = "DATABASE"
    object_name = snowflake_database.data.name
  }
}

resource "snowflake_grant_privileges_to_account_role" "schema" {
  provider          = snowflake.security
  for_each          = local.schema_grants
  account_role_name = snowflake_account_role.role[each.value.role].name
  privileges        = each.value.privileges
  on_schema {
    schema_name = snowflake_schema.schema[each.value.schema].fully_qualified_name
  }
}

resource "snowflake_grant_privileges_to_account_role" "present_tables" {
  provider          = snowflake.security
  for_each          = local.select_grants
  account_role_name = snowflake_account_role.role[each.value.role].name
  privileges        = ["SELECT"]
  on_schema_object {
    all {
      object_type_plural = "TABLES"
      in_schema          = snowflake_schema.schema[each.value.schema].fully_qualified_name
    }
  }
}

resource "snowflake_grant_privileges_to_account_role" "future_tables" {
  provider          = snowflake.security
  for_each          = local.select_grants
  account_role_name = snowflake_account_role.role[each.value.role].name
  privileges        = ["SELECT"]
  on_schema_object {
    future {
      object_type_plural = "TABLES"
      in_schema          = snowflake_schema.schema[each.value.schema].fully_qualified_name
    }
  }
}

resource "snowflake_grant_privileges_to_account_role" "stage" {
  provider          = snowflake.security
  for_each          = snowflake_stage.lake
  account_role_name = snowflake_account_role.role["LOADER"].name
  privileges        = ["USAGE"]
  on_schema_object {
    object_type = "STAGE"
    object_name = each.value.fully_qualified_name
  }
}

resource "snowflake_grant_privileges_to_account_role" "file_format" {
  provider          = snowflake.security
  account_role_name = snowflake_account_role.role["LOADER"].name
  privileges        = ["USAGE"]
  on_schema_object {
    object_type = "FILE FORMAT"
    object_name = local.file_format
  }
  depends_on = [snowflake_execute.file_format]
}

# A stolen key is of no use elsewhere. People are not touched by this policy.
resource "snowflake_network_policy" "services" {
  provider        = snowflake.security
  name            = "VENDING_SERVICES_${local.suffix}"
  comment         = "Service users of the vending platform, ${var.environment}."
  allowed_ip_list = var.egress
}

# Users of type SERVICE have no password and cannot log in to the console.
resource "snowflake_service_user" "user" {
  provider               = snowflake.security
  for_each               = local.users
  name                   = each.key
  comment                = each.value.comment
  default_role           = each.value.role
  default_warehouse      = snowflake_warehouse.compute.name
  rsa_public_key         = each.value.key
  network_policy         = snowflake_network_policy.services.name
  timestamp_type_mapping = each.value.timestamps
  timezone               = each.value.timestamps == null ? null : "UTC"
}

resource "snowflake_grant_account_role" "to_user" {
  provider  = snowflake.security
  for_each  = local.users
  role_name = snowflake_account_role.role[each.value.role].name
  user_name = snowflake_service_user.user[each.key].name
}
