#!/bin/sh
# `make needs`: checks for what the project cannot install itself, before anything is built, and says how to install it.
# PY is the Python that make uses. Prints a sentence for each missing tool, and fails if there is any.
cd "$(dirname "$0")/../.." || exit 1
lacking=0
lacks() {
  printf 'Missing: %s\n' "$1" >&2
  lacking=1
}
# Whether the first version is at least the second, by the first two numbers.
at_least() {
  [ "$(printf '%s\n' "$1" "$2" | sort -t. -k1,1n -k2,2n | head -n 1)" = "$2" ]
}

rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
if [ -z "$found" ]; then
  lacks "Rust $rust. Install it: curl https://sh.rustup.rs -sSf | sh -s -- --default-toolchain $rust"
elif ! at_least "$found" "$rust"; then
  lacks "Rust $rust; this is $found. Install it: rustup toolchain install $rust && rustup default $rust"
fi
command -v cc >/dev/null || lacks 'a C compiler, which Rust links with. Install it: apt-get install gcc libc6-dev'

found=$("${PY:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
if [ -z "$found" ] || ! at_least "$found" 3.11; then
  lacks "Python 3.11 or later${found:+; ${PY:-python3} is $found}. Install it: apt-get install python3 python3-venv, or name another one: make PY=python3.11"
elif ! "${PY:-python3}" -c 'import ensurepip, venv' 2>/dev/null; then
  lacks "Python's module venv. Install it: apt-get install python3-venv"
fi

found=$(node --version 2>/dev/null | tr -d v)
if [ -z "$found" ] || ! at_least "$found" 20.0; then
  lacks "Node 20 or later${found:+; this is $found}. Install it: https://nodejs.org/en/download, or nvm install 20"
elif ! command -v npm >/dev/null; then
  lacks 'npm. Install it: apt-get install npm'
fi

command -v bash >/dev/null || lacks 'bash. Install it: apt-get install bash'
# The npm package of the browser supports only this system and architecture.
case "$(uname -sm)" in
  'Linux x86_64') ;;
  Linux*)
    [ -n "$CHROMIUM" ] || lacks "a browser for $(uname -m), which no package brings. Install it and name it: apt-get install chromium && export CHROMIUM=/usr/bin/chromium" ;;
  *) lacks "Linux: the functions run on this machine, and they are programs for Linux. Use a virtual machine or a container" ;;
esac
exit $lacking
