"""The same system on a real AWS account, opt-in: `make acceptance`. docs/acceptance.md says what it does and costs."""
