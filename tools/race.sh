#!/bin/sh
# Prints -race where the race detector works: a C compiler that links, on a platform that Go has it for.
cc=$(go env CC)
command -v "${cc%% *}" >/dev/null || exit 0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf 'module race\n' >go.mod
printf 'package main\n\nimport "C"\n\nfunc main() {}\n' >main.go
CGO_ENABLED=1 GOWORK=off GOFLAGS= go run -race . 2>/dev/null && echo -race
exit 0
