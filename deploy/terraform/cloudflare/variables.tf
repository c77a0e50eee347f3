variable "account_id" {
  description = "The account that everything is made in."
  type        = string
}

variable "company" {
  description = "First part of the names."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.company))
    error_message = "company is lower-case letters, digits and dashes, such as acme."
  }
}

variable "environment" {
  description = "staging or prod; each has a state of its own."
  type        = string

  validation {
    condition     = contains(["staging", "prod"], var.environment)
    error_message = "environment is staging or prod."
  }
}

variable "location" {
  description = "Where D1 and R2 put the data if they can: apac, weur, eeur, wnam, enam or oc."
  type        = string
  default     = "apac"
}

variable "jurisdiction" {
  description = "R2's jurisdiction, which binds: default, eu or fedramp. It is part of the endpoint."
  type        = string
  default     = "default"
}

variable "quarantine_days" {
  description = "Days after which rejected rows are deleted from the lake's copy."
  type        = number
  default     = 400
}

variable "pages_projects" {
  description = "The sites of include/publish/sites.yaml."
  type        = set(string)
  default     = []
}

variable "zone_id" {
  description = "The zone whose cache shows those sites; empty where none does."
  type        = string
  default     = ""
}

variable "catalog_permission" {
  description = "What lets a token use the Iceberg catalog; Cloudflare is renaming it."
  type        = string
  default     = "Workers R2 Data Catalog Write"
}
