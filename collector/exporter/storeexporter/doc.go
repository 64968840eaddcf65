// Package storeexporter is the one door from the collector to Belfry's stores:
// an exporter named belfry over the append contracts of logs, traces and tsdb.
//
// It has no queue and no retries. When it returns without an error, the records
// are in the store's write-ahead log; an error goes back up the pipeline to the
// receiver, whose sender then knows that nothing was kept and whether to send
// again. Rejected records are reported to the request's Outcome where there is
// one, counted always, and logged where nobody else would hear of them.
package storeexporter
