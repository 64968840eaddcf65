#!/usr/bin/env bash
# Builds the plugin's backend into dist/ for the platforms given as os/arch.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p dist
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
info='{"pluginID":"belfry-belfry-datasource","version":"'$version'"}'
for platform in "$@"; do
  os=${platform%/*} arch=${platform#*/} suffix=""
  [ "$os" != windows ] || suffix=.exe
  echo "  gpx_belfry_${os}_${arch}${suffix}"
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch "${GO:-go}" build -trimpath \
    -ldflags "-s -w -X 'github.com/grafana/grafana-plugin-sdk-go/build/buildinfo.buildInfoJSON=$info'" \
    -o "dist/gpx_belfry_${os}_${arch}${suffix}" ./pkg
  chmod 0755 "dist/gpx_belfry_${os}_${arch}${suffix}"
done
