#!/bin/sh
# Fails when generated files are not those of the .proto files. Takes the command that builds the descriptors; changes nothing.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bin/buf generate --output "$dir"
mkdir -p "$dir/proto/image"
$1 -o "$dir/proto/image/image.binpb"
stale=0
for file in $(cd "$dir" && find . -type f | sort); do
	cmp -s "$dir/$file" "$file" || { echo "${file#./} is not that of the .proto files" >&2; stale=1; }
done
for file in $(find proto -name '*.pb.go' | sort); do
	[ -f "$dir/$file" ] || { echo "$file has no .proto file" >&2; stale=1; }
done
[ $stale = 0 ] || { echo 'run `make gen` and commit what it changes' >&2; exit 1; }
