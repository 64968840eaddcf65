// Package cache keeps the results of range queries, so that a dashboard that is
// refreshed computes only the steps that are new.
//
// An entry holds the steps of one query of one tenant, from its first to its
// last without a hole. It is used again as far as the store says that nothing
// has changed in what its steps were computed from (tsdb.ChangeTracker): late
// samples and deletions end it where they fall, and so do the newest samples,
// which every step near the present was still waiting for. There is therefore no
// window near the present that is left out, and nothing that is served from the
// cache differs from what would be computed.
//
// Only queries each of whose steps depends on the data around it, and on nothing
// else of the request, are kept: Locality tells which, and how far a step looks
// back and ahead.
package cache
