#!/usr/bin/env bash
# Builds the plugin's backend into dist/ for the platforms given as os/arch.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p dist
for platform in "$@"; do
  os=${platform%/*} arch=${platform#*/} suffix=""
  [ "$os" != windows ] || suffix=.exe
  echo "  gpx_belfry_${os}_${arch}${suffix}"
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch ${GO:-go} build -trimpath -ldflags '-s -w' -o "dist/gpx_belfry_${os}_${arch}${suffix}" ./pkg
  chmod 0755 "dist/gpx_belfry_${os}_${arch}${suffix}"
done
