variable "company" {
  description = "First part of the buckets' names (VENDING_COMPANY)."
  type        = string
}

variable "environment" {
  description = "staging or prod."
  type        = string

  validation {
    condition     = contains(["staging", "prod"], var.environment)
    error_message = "Name staging or prod."
  }
}

variable "encryption" {
  description = "AES256 (staging) or aws:kms (prod), as include/settings.py has it."
  type        = string

  validation {
    condition     = contains(["AES256", "aws:kms"], var.encryption)
    error_message = "Name AES256 or aws:kms."
  }
}

variable "readers_of_raw" {
  description = "ARNs, wildcards allowed, of the roles that may read raw-data/: MWAA's, Snowflake's."
  type        = list(string)
}

variable "snowflake_trust" {
  description = "Who Snowflake's integration is: the outputs of deploy/terraform/snowflake; null before."
  type        = object({ user_arn = string, external_id = string })
  default     = null
}
