output "bucket" {
  value = { name = aws_s3_bucket.lake.id, arn = aws_s3_bucket.lake.arn }
}

output "access_log_bucket" {
  value = aws_s3_bucket.access_log.id
}

output "key_arn" {
  value = aws_kms_key.lake.arn
}

output "snowflake_role_arn" {
  value = aws_iam_role.snowflake.arn
}
