# The role that Snowflake's storage integration assumes: it reads what was conformed and what was
# rejected, never raw files.

data "aws_iam_policy_document" "snowflake_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type = "AWS"
      # Until the integration exists nobody knows who it is; then nobody has the external id either.
      identifiers = [try(var.snowflake_trust.user_arn, data.aws_caller_identity.current.account_id)]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [try(var.snowflake_trust.external_id, "not-known-yet")]
    }
  }
}

data "aws_iam_policy_document" "snowflake" {
  statement {
    sid       = "Read"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = [for folder in local.snowflake_folders : "${aws_s3_bucket.lake.arn}/${folder}/*"]
  }

  statement {
    sid       = "List"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = [aws_s3_bucket.lake.arn]
    condition {
      # The location of a bucket has no prefix.
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = [for folder in local.snowflake_folders : "${folder}/*"]
    }
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.lake.arn]
  }
}

locals {
  snowflake_folders = ["processed-data", "quarantine"]
}

resource "aws_iam_role" "snowflake" {
  name               = "vending-data-${var.environment}-snowflake"
  assume_role_policy = data.aws_iam_policy_document.snowflake_trust.json
}

resource "aws_iam_role_policy" "snowflake" {
  name   = "lake"
  role   = aws_iam_role.snowflake.id
  policy = data.aws_iam_policy_document.snowflake.json
}
