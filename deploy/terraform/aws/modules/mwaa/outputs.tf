output "environment_name" {
  value = aws_mwaa_environment.this.name
}

output "execution_role_arn" {
  value = aws_iam_role.execution.arn
}

output "source_bucket" {
  value = aws_s3_bucket.source.id
}
