terraform {
  required_version = ">= 1.9"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 5.19"
    }
  }
}

# The token comes from CLOUDFLARE_API_TOKEN: docs/cloudflare.md lists what it may do.
provider "cloudflare" {}
