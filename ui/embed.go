package ui

import (
	"embed"
	"io/fs"
)

// dist is the Vite build, or an empty folder but for .gitkeep.
//
//go:embed all:dist
var dist embed.FS

//go:embed placeholder
var placeholder embed.FS

// indexName is the page every route of the app starts from.
const indexName = "index.html"

// Built reports whether the web app is in this binary.
func Built() bool {
	_, err := fs.Stat(dist, "dist/"+indexName)
	return err == nil
}

// embedded returns the build, or the placeholder where there is none.
func embedded() (fs.FS, error) {
	if Built() {
		return fs.Sub(dist, "dist")
	}
	return fs.Sub(placeholder, "placeholder")
}
