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

variable "settings" {
  description = "Further variables of docs/environments.md, by their name: VENDING_..."
  type        = map(string)
  default     = {}
}
