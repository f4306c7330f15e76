"""The AWS services that a rotation calls, on one machine. See docs/local-aws.md."""
