// Package extract holds what LogQL's stages do to one line, each without
// knowledge of queries: JSON, logfmt and pattern extraction, IP matching,
// templates, and the units of numbers.
package extract
