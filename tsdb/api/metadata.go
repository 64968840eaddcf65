package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"belfry/internal/fault"
)

// metadata answers /api/v1/metadata from the store, which has the metadata of
// pushed and scraped metrics alike, where Prometheus knows scraped ones only.
func (a *API) metadata(w http.ResponseWriter, r *http.Request) {
	limit, err := optionalInt(r, "limit")
	if err != nil {
		respondError(w, err)
		return
	}
	perMetric, err := optionalInt(r, "limit_per_metric")
	if err != nil {
		respondError(w, err)
		return
	}
	families, err := a.o.Store.Metadata(r.Context(), r.FormValue("metric"))
	if err != nil {
		respondError(w, err)
		return
	}
	if limit >= 0 && len(families) > limit {
		for _, name := range slices.Sorted(maps.Keys(families))[limit:] {
			delete(families, name)
		}
	}
	if perMetric > 0 {
		for name, known := range families {
			families[name] = known[:min(perMetric, len(known))]
		}
	}
	respond(w, families)
}

// optionalInt returns a parameter's value, -1 if it is not given.
func optionalInt(r *http.Request, name string) (int, error) {
	s := r.FormValue(name)
	if s == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fault.Invalidf("%s must be a number", name)
	}
	return n, nil
}
