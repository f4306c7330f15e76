"""The AWS services a rotation meets, on one machine. See docs/local-aws.md."""
