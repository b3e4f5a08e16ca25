#!/bin/sh
# Installs Debian's Chromium for the tests of the status page, where that is possible and quick. It never fails: without
# Chromium those tests are skipped with a message.
set -u
if command -v chromium >/dev/null; then
	echo "chromium: $(chromium --version 2>/dev/null | head -1)"
	exit 0
fi
without() {
	echo "chromium: $1: the tests of the status page in a browser are skipped"
	exit 0
}
command -v apt-get >/dev/null || without 'there is no apt-get to install it with'
[ "$(id -u)" = 0 ] || without 'it is not installed, and only root may do that (apt-get install chromium)'
export DEBIAN_FRONTEND=noninteractive
get='apt-get -q -y -o Acquire::Retries=1 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 -o DPkg::Lock::Timeout=30'
# What needs the network has a bound in time; unpacking has none, for half a package is worse than none.
if ! timeout 120 $get install --no-install-recommends --download-only chromium >/dev/null 2>&1; then
	timeout 60 $get update >/dev/null 2>&1 || without 'the lists of packages cannot be fetched'
	timeout 120 $get install --no-install-recommends --download-only chromium >/dev/null 2>&1 || without 'it cannot be fetched'
fi
$get install --no-install-recommends --no-download chromium >/dev/null 2>&1 || without 'it cannot be installed'
echo "chromium: installed $(chromium --version 2>/dev/null | head -1)"
