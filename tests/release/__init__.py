"""`make release`: what a release page holds, in target/release-X.Y.Z/."""
