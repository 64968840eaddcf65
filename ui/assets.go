package ui

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// An asset is one file of the build with the compressed forms that lie beside
// it (name.br, name.gz).
type asset struct {
	contentType string
	immutable   bool
	plain       variant
	brotli      variant
	gzip        variant
}

// A variant is one encoding of an asset; its entity tag differs from that of
// the other encodings, as RFC 9110 section 8.8.3 wants. Zero means absent.
type variant struct {
	body []byte
	etag string
}

// loadAssets reads every file of fsys into a table by slash-separated name.
func loadAssets(fsys fs.FS) (map[string]*asset, error) {
	assets := make(map[string]*asset)
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasPrefix(path.Base(name), ".") || strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz") {
			return nil
		}
		a := &asset{
			contentType: contentType(name),
			immutable:   strings.HasPrefix(name, "assets/"),
		}
		if a.plain, err = loadVariant(fsys, name); err != nil {
			return err
		}
		if _, statErr := fs.Stat(fsys, name+".br"); statErr == nil {
			if a.brotli, err = loadVariant(fsys, name+".br"); err != nil {
				return err
			}
		}
		if _, statErr := fs.Stat(fsys, name+".gz"); statErr == nil {
			if a.gzip, err = loadVariant(fsys, name+".gz"); err != nil {
				return err
			}
		}
		assets[name] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the web app: %w", err)
	}
	if assets[indexName] == nil {
		return nil, fmt.Errorf("reading the web app: no %s in it", indexName)
	}
	return assets, nil
}

func loadVariant(fsys fs.FS, name string) (variant, error) {
	body, err := fs.ReadFile(fsys, name)
	if err != nil {
		return variant{}, err
	}
	sum := sha256.Sum256(body)
	return variant{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

// contentType knows the kinds of file a build has. The system's MIME table is
// not asked, because it differs between machines.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".txt":
		return "text/plain; charset=utf-8"
	default:
		return "application/octet-stream"
	}
}
