terraform {
  required_version = ">= 1.9"

  required_providers {
    snowflake = {
      source  = "snowflakedb/snowflake"
      version = "~> 2.12"
    }
  }

  # In the AWS account of the environment, as that of deploy/terraform/aws.
  backend "s3" {
    key          = "vending-data/snowflake.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

# Account, user and key come from SNOWFLAKE_ORGANIZATION_NAME, SNOWFLAKE_ACCOUNT_NAME, SNOWFLAKE_USER
# and SNOWFLAKE_PRIVATE_KEY: one login, and of each object the role that owns it.
provider "snowflake" {
  role          = "SYSADMIN"
  authenticator = "SNOWFLAKE_JWT"

  preview_features_enabled = ["snowflake_stage_resource"]
}

provider "snowflake" {
  alias         = "security"
  role          = "SECURITYADMIN"
  authenticator = "SNOWFLAKE_JWT"
}

provider "snowflake" {
  alias         = "account"
  role          = "ACCOUNTADMIN"
  authenticator = "SNOWFLAKE_JWT"

  preview_features_enabled = ["snowflake_storage_integration_resource"]
}
