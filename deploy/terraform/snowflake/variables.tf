variable "environment" {
  description = "staging or prod."
  type        = string

  validation {
    condition     = contains(["staging", "prod"], var.environment)
    error_message = "Name staging or prod."
  }
}

variable "company" {
  description = "First part of the lake's name (VENDING_COMPANY)."
  type        = string
}

variable "aws_role" {
  description = "ARN of the role that Snowflake assumes to read the lake: snowflake_role of deploy/terraform/aws."
  type        = string
}

variable "egress" {
  description = "Addresses of the environment's NAT gateways, the only ones that services come from."
  type        = list(string)

  validation {
    condition     = length(var.egress) > 0
    error_message = "Name at least one address, or the services could not log in."
  }
}

variable "loader_key" {
  description = "Public key of LOADER_SERVICE: the base64 lines of the PEM in one, without header."
  type        = string
}

variable "transformer_key" {
  description = "Public key of TRANSFORMER_SERVICE, likewise."
  type        = string
}

variable "credits" {
  description = "Credits a month after which the warehouse is suspended."
  type        = number
  default     = 100
}
