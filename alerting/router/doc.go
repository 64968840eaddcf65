// Package router is Prometheus Alertmanager inside Belfry: its configuration
// language, routing tree, grouping, inhibition, silences, mute times,
// deduplication, retries, templates, receivers and API v2, assembled from
// Alertmanager's own packages and not forked.
package router
