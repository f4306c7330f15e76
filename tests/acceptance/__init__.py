"""The acceptance suite on a real AWS account, opt-in: `make acceptance`. docs/acceptance.md has steps and cost."""
