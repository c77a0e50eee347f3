locals {
  publisher_permissions = concat(
    ["D1 Write", "Workers KV Storage Write"],
    length(var.pages_projects) > 0 ? ["Pages Write"] : [],
  )

  name    = "${var.company}-vending"
  account = "com.cloudflare.api.account.${var.account_id}"

  # How policies name the objects of a bucket.
  copy_objects = join("_", [
    "com.cloudflare.edge.r2.bucket.${var.account_id}", var.jurisdiction,
    cloudflare_r2_bucket.copy.name,
  ])

  # R2 counts ages in seconds.
  day = 24 * 60 * 60
}

# ---- what marts are published to

resource "cloudflare_d1_database" "marts" {
  account_id            = var.account_id
  name                  = "${local.name}-marts-${var.environment}"
  primary_location_hint = var.location

  lifecycle {
    prevent_destroy = true
  }
}

resource "cloudflare_workers_kv_namespace" "marts" {
  account_id = var.account_id
  title      = "${local.name}-marts-${var.environment}"
}

resource "cloudflare_pages_project" "site" {
  for_each = var.pages_projects

  account_id        = var.account_id
  name              = each.key
  production_branch = "main"
}

# ---- the lake on R2, as VENDING_LAKE_STORE=r2 uses it

resource "cloudflare_r2_bucket" "lake" {
  account_id   = var.account_id
  name         = "${local.name}-data-${var.environment}"
  location     = var.location
  jurisdiction = var.jurisdiction

  lifecycle {
    prevent_destroy = true
  }
}

resource "cloudflare_r2_bucket_lifecycle" "lake" {
  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.lake.name
  jurisdiction = var.jurisdiction

  rules = [
    {
      id         = "Uploads that broke off"
      enabled    = true
      conditions = { prefix = "" }
      abort_multipart_uploads_transition = {
        condition = { type = "Age", max_age = 7 * local.day }
      }
    },
    {
      id         = "Rejected rows"
      enabled    = true
      conditions = { prefix = "quarantine/" }
      delete_objects_transition = {
        condition = { type = "Age", max_age = var.quarantine_days * local.day }
      }
    },
    {
      # A rebuild reads raw once; the rest of the time nobody does.
      id         = "Versions of files"
      enabled    = true
      conditions = { prefix = "raw-data/versions/" }
      storage_class_transitions = [{
        condition     = { type = "Age", max_age = 30 * local.day }
        storage_class = "InfrequentAccess"
      }]
    },
  ]
}

# ---- a copy of the lake, as the DAG copy_lake keeps it, and the catalog of Iceberg tables

resource "cloudflare_r2_bucket" "copy" {
  account_id   = var.account_id
  name         = "${local.name}-copy-${var.environment}"
  location     = var.location
  jurisdiction = var.jurisdiction

  lifecycle {
    prevent_destroy = true
  }
}

resource "cloudflare_r2_bucket_lifecycle" "copy" {
  account_id   = var.account_id
  bucket_name  = cloudflare_r2_bucket.copy.name
  jurisdiction = var.jurisdiction

  rules = [
    {
      id         = "Uploads that broke off"
      enabled    = true
      conditions = { prefix = "" }
      abort_multipart_uploads_transition = {
        condition = { type = "Age", max_age = 7 * local.day }
      }
    },
    {
      # Read once, to bring a lake back.
      id         = "Bronze"
      enabled    = true
      conditions = { prefix = "bronze/" }
      storage_class_transitions = [{
        condition     = { type = "Age", max_age = 30 * local.day }
        storage_class = "InfrequentAccess"
      }]
    },
  ]
}

resource "cloudflare_r2_data_catalog" "copy" {
  account_id  = var.account_id
  bucket_name = cloudflare_r2_bucket.copy.name
}

# ---- where machines and vendors send events; they wait here until something reads them

resource "cloudflare_queue" "events" {
  account_id = var.account_id
  queue_name = "${local.name}-events-${var.environment}"
}

# ---- the publisher's token: these permissions on this account and nothing else

data "cloudflare_account_api_token_permission_groups_list" "publisher" {
  for_each = toset(local.publisher_permissions)

  account_id = var.account_id
  name       = each.key
}

data "cloudflare_account_api_token_permission_groups_list" "purge" {
  account_id = var.account_id
  name       = "Cache Purge"
}

resource "cloudflare_account_token" "publisher" {
  account_id = var.account_id
  name       = "${local.name}-publisher-${var.environment}"

  policies = concat(
    [{
      effect = "allow"
      permission_groups = [
        for group in data.cloudflare_account_api_token_permission_groups_list.publisher :
        { id = one([for found in group.result : found.id]) }
      ]
      # A JSON text since provider 5.13.
      resources = jsonencode({ (local.account) = "*" })
    }],
    var.zone_id == "" ? [] : [{
      effect = "allow"
      permission_groups = [
        for found in data.cloudflare_account_api_token_permission_groups_list.purge.result :
        { id = found.id }
      ]
      resources = jsonencode({ "com.cloudflare.api.account.zone.${var.zone_id}" = "*" })
    }],
  )
}

# ---- the token of the Iceberg catalog: the catalog, and the objects of its one bucket

data "cloudflare_account_api_token_permission_groups_list" "catalog" {
  for_each = toset([var.catalog_permission, "Workers R2 Storage Bucket Item Write"])

  account_id = var.account_id
  name       = each.key
}

resource "cloudflare_account_token" "catalog" {
  account_id = var.account_id
  name       = "${local.name}-catalog-${var.environment}"

  policies = [
    for permission, resource in {
      (var.catalog_permission)               = local.account
      "Workers R2 Storage Bucket Item Write" = local.copy_objects
      } : {
      effect = "allow"
      permission_groups = [{
        id = one([
          for found in data.cloudflare_account_api_token_permission_groups_list.catalog[permission].result :
          found.id
        ])
      }]
      resources = jsonencode({ (resource) = "*" })
    }
  ]
}
