variable "company" {
  description = "First part of the buckets' names (VENDING_COMPANY)."
  type        = string
}

variable "environment" {
  description = "staging or prod."
  type        = string
}

variable "airflow_version" {
  description = "One that make mwaa-check is green for."
  type        = string
  default     = "3.2.1"
}

variable "environment_class" {
  description = "Size of scheduler and workers."
  type        = string
  default     = "mw1.small"

  validation {
    condition     = contains(["mw1.small", "mw1.medium", "mw1.large"], var.environment_class)
    error_message = "Name mw1.small, mw1.medium or mw1.large."
  }
}

variable "max_workers" {
  description = "Workers that the service may start."
  type        = number
  default     = 4
}

variable "vpc_id" {
  description = "The network of the environment."
  type        = string
}

variable "subnet_ids" {
  description = "Two private subnets in two zones, with a way out to Snowflake and the vendors' APIs."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) == 2
    error_message = "MWAA takes exactly two subnets."
  }
}

variable "lake_bucket_arn" {
  description = "The lake's bucket."
  type        = string
}

variable "key_arn" {
  description = "The key of the lake, which encrypts the environment too."
  type        = string
}

variable "access_log_bucket" {
  description = "Where reads of the source bucket are logged."
  type        = string
}

variable "email" {
  description = "Who is told about alarms."
  type        = string
}

variable "pager_endpoint" {
  description = "HTTPS address of the pager's SNS integration; none in staging."
  type        = string
  default     = null
}

variable "settings" {
  description = "Further variables of docs/environments.md, by their name: VENDING_..."
  type        = map(string)
  default     = {}
}

variable "assumable_roles" {
  description = "ARNs of roles that the tasks may assume: in prod the one that reads staging's nights and writes its export."
  type        = list(string)
  default     = []
}

variable "route_table_ids" {
  description = "Route tables of the subnets, for the gateway endpoint of S3; none: there is one already."
  type        = list(string)
  default     = []
}

variable "interface_endpoints" {
  description = "Services with an endpoint in the subnets; those that the network has already are left out."
  type        = list(string)
  default     = ["kms", "logs", "monitoring", "secretsmanager", "sns", "sqs"]
}
