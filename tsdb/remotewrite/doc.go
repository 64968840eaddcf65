// Package remotewrite receives Prometheus remote write, versions 1.0
// (https://prometheus.io/docs/specs/prw/remote_write_spec/) and 2.0
// (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/).
//
// A request is decoded one series at a time, so that the memory it costs is
// that of its decompressed body and of one series, whatever it says it
// contains. What names a series, as it came, is the key under which the store's
// seriescache.Cache has its reference; labels are made for series that are not
// there. Good samples are kept when others of the request are bad; the
// answer is then 400, which no sender repeats, and names the reasons. An answer
// of 5xx or 429 means that nothing was kept.
package remotewrite
