variable "account_id" {
  description = "The account that this may be applied to, and no other."
  type        = string
}

variable "region" {
  description = "Where everything is made."
  type        = string
  default     = "ap-northeast-1"
}

variable "company" {
  description = "First part of the buckets' names."
  type        = string
}

variable "vpc_id" {
  description = "The network of the environment."
  type        = string
}

variable "subnet_ids" {
  description = "Two private subnets in two zones."
  type        = list(string)
}

variable "readers_of_raw" {
  description = "ARNs of roles beside MWAA's that may read raw-data/, such as the administrators'."
  type        = list(string)
  default     = []
}

variable "email" {
  description = "Who is told about alarms."
  type        = string
}

variable "pager_endpoint" {
  description = "HTTPS address of the pager's SNS integration."
  type        = string
}

variable "settings" {
  description = "Further variables of docs/environments.md, by their name: VENDING_..."
  type        = map(string)
  default     = {}
}

variable "assumable_roles" {
  description = "ARN of the role in staging's account that may read dbt-artifacts/nights/ and write raw-data/anonymised/ there."
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

variable "snowflake_trust" {
  description = "Who Snowflake's integration is: the outputs of deploy/terraform/snowflake; null before."
  type        = object({ user_arn = string, external_id = string })
  default     = null
}
