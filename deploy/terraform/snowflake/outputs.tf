# Both belong into the trust policy of the role: snowflake_trust of deploy/terraform/aws.
output "storage_aws_iam_user_arn" {
  value = snowflake_storage_integration.lake.storage_aws_iam_user_arn
}

output "storage_aws_external_id" {
  value = snowflake_storage_integration.lake.storage_aws_external_id
}
