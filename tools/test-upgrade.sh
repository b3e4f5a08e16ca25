#!/bin/sh
# Runs this version beside another one, both ways, under load: old ingests with new writers, new ones with old writers, and back. The other
# version is the tag or commit given, by default the newest tag before this commit, or where there is none the oldest commit that reads what this
# version commits to Kafka. It is built in a work tree of its own.
set -eu
cd "$(dirname "$0")/.."
ref=${1:-$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null || echo a08cade)}
commit=$(git rev-parse --verify --quiet "$ref^{commit}") || { echo "make test-upgrade: $ref is no commit of this repository" >&2; exit 1; }
dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/source" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
git worktree add --quiet --detach "$dir/source" "$commit"
echo "building $ref ($(git log -1 --format='%h of %cd, %s' --date=short "$commit"))"
(cd "$dir/source" && CGO_ENABLED=0 go build -trimpath -o "$dir/bin/" ./services/writer/cmd/writer ./services/ingest/cmd/ingest)
bin/upgrade --old-bin "$dir/bin" --old-source "$dir/source" --ref "$ref"
