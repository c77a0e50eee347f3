# An MWAA environment with the bucket that it reads its bundle from. `make mwaa-deploy` fills the
# bucket and sets the versions of requirements, plugins and start-up script.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  name    = "vending-data-${var.environment}"
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region

  # What fits into a worker of each class: tasks at once, and DuckDB's memory (MB) in a conform task.
  # A task's interpreter with Airflow takes about 150 MB, dbt in one of them about 500 MB.
  classes = {
    "mw1.small"  = { tasks = 5, conform_memory_mb = 128, dbt_threads = 4 }
    "mw1.medium" = { tasks = 10, conform_memory_mb = 192, dbt_threads = 4 }
    "mw1.large"  = { tasks = 20, conform_memory_mb = 256, dbt_threads = 8 }
  }
  class = local.classes[var.environment_class]

  secrets = jsonencode({
    connections_prefix = "vending/${var.environment}/connections"
    variables_prefix   = "vending/${var.environment}/variables"
    config_prefix      = null
    # Others come from no secret, and each look-up costs a request.
    connections_lookup_pattern = "^(lake|restricted_lake|staging_lake|snowflake|snowflake_transform|privacy|privacy_vault|privacy_export|slack(_[a-z_]+)?|fleet_api|weather_api|cloudflare|lake_copy)$"
    variables_lookup_pattern   = "^$"
  })

  lake     = split(":::", var.lake_bucket_arn)[1]
  settings = { for name, value in var.settings : "vending.${lower(trimprefix(name, "VENDING_"))}" => value }

  log_kinds = ["DAGProcessing", "Scheduler", "Task", "WebServer", "Worker"]
}

resource "aws_s3_bucket" "source" {
  #checkov:skip=CKV2_AWS_62: nothing listens to events
  #checkov:skip=CKV_AWS_144: everything in it is built again from the repository
  bucket = "${var.company}-mwaa-${var.environment}"
}

resource "aws_s3_bucket_versioning" "source" {
  bucket = aws_s3_bucket.source.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
    bucket_key_enabled = true
  }
}

resource "aws_s3_bucket_public_access_block" "source" {
  bucket                  = aws_s3_bucket.source.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_logging" "source" {
  bucket        = aws_s3_bucket.source.id
  target_bucket = var.access_log_bucket
  target_prefix = "mwaa/"
}

resource "aws_s3_bucket_lifecycle_configuration" "source" {
  bucket     = aws_s3_bucket.source.id
  depends_on = [aws_s3_bucket_versioning.source]

  # The versions that the environment names are the present ones; releases/ keeps whole bundles.
  rule {
    id     = "versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_security_group" "environment" {
  name        = local.name
  description = "MWAA ${var.environment}: its parts among themselves, and out by HTTPS"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "itself" {
  security_group_id            = aws_security_group.environment.id
  description                  = "The environment's parts talk to each other"
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.environment.id
}

resource "aws_vpc_security_group_egress_rule" "itself" {
  security_group_id            = aws_security_group.environment.id
  description                  = "The environment's parts talk to each other"
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.environment.id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.environment.id
  description       = "S3, Snowflake, the vendors' APIs, Slack"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_mwaa_environment" "this" {
  name              = local.name
  airflow_version   = var.airflow_version
  environment_class = var.environment_class
  min_workers       = 1
  max_workers       = var.max_workers

  source_bucket_arn = aws_s3_bucket.source.arn
  # Also where `make mwaa-deploy` writes; requirements, plugins and start-up script are its own.
  dag_s3_path        = "dags"
  execution_role_arn = aws_iam_role.execution.arn
  kms_key            = var.key_arn

  webserver_access_mode           = "PRIVATE_ONLY"
  weekly_maintenance_window_start = "SUN:12:00"

  airflow_configuration_options = merge(local.settings, {
    # startup.sh turns these into the variables of docs/environments.md.
    "vending.env"               = var.environment
    "vending.company"           = var.company
    "vending.kms_key_id"        = var.key_arn
    "vending.sns_topic_arn"     = aws_sns_topic.alarms.arn
    "vending.conform_memory_mb" = local.class.conform_memory_mb
    "vending.dbt_threads"       = local.class.dbt_threads

    # Read by the health page (plugins/README.md).
    "vending.health_snapshot"   = "s3://${local.lake}/monitoring/health.json"
    "vending.dbt_documentation" = "s3://${local.lake}/dbt-artifacts/documentation"

    "celery.worker_autoscale"                 = "${local.class.tasks},${local.class.tasks}"
    "core.dags_are_paused_at_creation"        = "True"
    "secrets.backend"                         = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    "secrets.backend_kwargs"                  = local.secrets
    "workers.secrets_backend"                 = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend" # pragma: allowlist secret
    "workers.secrets_backend_kwargs"          = local.secrets
    "dag_processor.min_file_process_interval" = "60"
  })

  network_configuration {
    security_group_ids = [aws_security_group.environment.id]
    subnet_ids         = var.subnet_ids
  }

  logging_configuration {
    dag_processing_logs {
      enabled   = true
      log_level = "INFO"
    }
    scheduler_logs {
      enabled   = true
      log_level = "INFO"
    }
    task_logs {
      enabled   = true
      log_level = "INFO"
    }
    webserver_logs {
      enabled   = true
      log_level = "INFO"
    }
    worker_logs {
      enabled   = true
      log_level = "INFO"
    }
  }

  lifecycle {
    # Set by `make mwaa-deploy`, with the versions of the bundle.
    ignore_changes = [
      plugins_s3_object_version,
      plugins_s3_path,
      requirements_s3_object_version,
      requirements_s3_path,
      startup_script_s3_object_version,
      startup_script_s3_path,
    ]
  }

  depends_on = [aws_cloudwatch_log_group.environment, aws_iam_role_policy.execution]
}

# Made here, because the service makes them without an end.
resource "aws_cloudwatch_log_group" "environment" {
  for_each          = toset(local.log_kinds)
  name              = "airflow-${local.name}-${each.key}"
  retention_in_days = 365
  kms_key_id        = var.key_arn
}
