# Two ways to describe a distribution whose certificate is rotated. Both are complete; take one.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0" # before 6: no `region` in data sources, use a provider alias of us-east-1
    }
  }
}

# 1. The certificate is looked up by the tag that every new certificate inherits.

data "aws_acm_certificate" "www" {
  region      = "us-east-1"
  tags        = { "cert-rotation:source" = "tls/www" }
  types       = ["IMPORTED"]
  key_types   = ["RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1"]
  most_recent = true # while both are there: the one whose validity began last
}

resource "aws_cloudfront_distribution" "www" {
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  aliases         = ["www.example.com"]

  origin {
    origin_id   = "origin"
    domain_name = "origin.example.com"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  default_cache_behavior {
    target_origin_id       = "origin"
    viewer_protocol_policy = "redirect-to-https"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    cache_policy_id        = "658327ea-f89d-4fab-a63d-7e88639e58f6" # Managed-CachingOptimized
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    acm_certificate_arn      = data.aws_acm_certificate.www.arn
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }
}

# 2. The certificate of the first apply is given once; afterwards Terraform leaves it alone.

variable "first_certificate_arn" {
  description = "The certificate that the distribution is created with."
  type        = string
}

resource "aws_cloudfront_distribution" "shop" {
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  aliases         = ["shop.example.com"]

  origin {
    origin_id   = "origin"
    domain_name = "origin.example.com"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  default_cache_behavior {
    target_origin_id       = "origin"
    viewer_protocol_policy = "redirect-to-https"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    cache_policy_id        = "658327ea-f89d-4fab-a63d-7e88639e58f6" # Managed-CachingOptimized
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    acm_certificate_arn      = var.first_certificate_arn
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }

  lifecycle {
    ignore_changes = [viewer_certificate[0].acm_certificate_arn]
  }
}
