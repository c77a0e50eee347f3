# The account of prod. State lies in a bucket of that account: see the page in the folder above.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }

  backend "s3" {
    key          = "vending-data/prod.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = { application = "vending-data", environment = "prod" }
  }
}

module "lake" {
  source          = "../modules/lake"
  company         = var.company
  environment     = "prod"
  encryption      = "aws:kms"
  readers_of_raw  = concat(["arn:aws:iam::${var.account_id}:role/vending-data-prod-execution"], var.readers_of_raw)
  snowflake_trust = var.snowflake_trust
}

module "mwaa" {
  source              = "../modules/mwaa"
  company             = var.company
  environment         = "prod"
  vpc_id              = var.vpc_id
  subnet_ids          = var.subnet_ids
  lake_bucket_arn     = module.lake.bucket.arn
  key_arn             = module.lake.key_arn
  access_log_bucket   = module.lake.access_log_bucket
  route_table_ids     = var.route_table_ids
  interface_endpoints = var.interface_endpoints
  email               = var.email
  settings            = var.settings
  assumable_roles     = var.assumable_roles
  pager_endpoint      = var.pager_endpoint
  environment_class   = "mw1.medium"
}
