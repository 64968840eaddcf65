// Package httpserver runs an HTTP server the way every listener of Belfry's
// should run: bounded headers and bodies, panics answered and logged, request
// metrics by route, graceful shutdown, and no address beyond loopback without
// TLS or authentication unless somebody said so aloud.
package httpserver
