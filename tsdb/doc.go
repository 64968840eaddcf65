// Package tsdb is the metrics signal: what is appended, how it is asked, and
// how both are configured. It holds contracts and configuration only; the
// engine is in tsdb/store, and the protocols around it in tsdb/otlp,
// tsdb/remotewrite, tsdb/scraper and tsdb/api.
//
// Data is Prometheus' own: series of float or native histogram samples under a
// set of labels, with exemplars and metadata. Every append and every query
// belongs to one tenant, which the context carries (internal/tenant); tenants
// never see each other's series.
//
// What is promised to writers: a successful append survives kill -9, and power
// loss after at most Config.SyncInterval (at once with durability "fsync").
// Samples that are bad on their own are refused one by one with a reason, and
// never take the good ones of the same request with them. A limit that is
// reached refuses new series and keeps the ones that exist.
//
// What is promised to readers: a query sees every sample whose append returned
// before the query began, and none of a request that is still being appended.
package tsdb
