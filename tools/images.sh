#!/bin/sh
# Builds an image of each service into bin/images, without an engine: NAME.tar, an OCI layout that `docker load`, `podman load`, `skopeo` and `crane`
# take; NAME.cdx.json, what is in it; NAME.digest. Where an engine responds, it gets them too. By variables: VERSION, IMAGE, ARCH;
# SOURCE_DATE_EPOCH instead of the commit's time; CHECK=1 builds twice, the second time from another folder, and fails unless the digests are
# the same; CHECK=cold has nothing in Go's cache the second time.
set -eu
cd "$(dirname "$0")/.."
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
out=bin/images
(cd tools/images && GOWORK=off CGO_ENABLED=0 go build -trimpath -o "$PWD/../../bin/images-build" .)
# build FOLDER OUT: the images of the source in a folder.
build() {
	bin/images-build -source "$1" -out "$2" -sbom-tool bin/cyclonedx-gomod -image "${IMAGE:-waybill}" -arch "${ARCH:-$(go env GOARCH)}" \
		-version "${VERSION:-development}" -commit "$commit" -epoch "$epoch"
}
build . "$out"
if [ -n "${CHECK:-}" ]; then
	dir=$(mktemp -d)
	trap 'chmod -R u+w "$dir" && rm -rf "$dir"' EXIT
	mkdir "$dir/elsewhere" "$dir/out"
	git ls-files -z --cached --others --exclude-standard -- proto pkg services sandbox | tar -c --null --files-from=- | tar -x -C "$dir/elsewhere"
	[ "$CHECK" != cold ] || export GOCACHE="$dir/cache"
	build "$dir/elsewhere" "$dir/out" >/dev/null
	for file in "$out"/*.digest; do
		name=$(basename "$file" .digest)
		cmp "$file" "$dir/out/$name.digest" || { echo "images: $name: two builds of the same source differ" >&2; exit 1; }
		cmp "$out/$name.tar" "$dir/out/$name.tar"
		echo "$name: the same digest from another folder"
	done
fi
if docker info >/dev/null 2>&1; then
	for file in "$out"/*.tar; do docker load --quiet --input "$file"; done
else
	echo "no Docker engine responds: load $out/*.tar where one does"
fi
