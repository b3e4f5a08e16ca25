#!/bin/sh
# Fails when the .proto files break those of main; on main itself, those of the commit before. Without history there is nothing to break.
set -eu
base=$(git rev-parse --quiet --verify main) || base=
if [ -z "$base" ] || { [ "$base" = "$(git rev-parse HEAD)" ] && git diff --quiet HEAD -- proto; }; then
	base=$(git rev-parse --quiet --verify HEAD~1) || base=
fi
if [ -z "$base" ] || ! git cat-file -e "$base:buf.yaml" 2>/dev/null; then
	echo 'buf breaking: no earlier commit to compare with'
	exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
git archive "$base" buf.yaml proto | tar -x -C "$dir"
bin/buf breaking --against "$dir"
