package api

import (
	"net/http"

	"belfry/internal/deletion"
)

// DeletionsPath is where Belfry's own deletion API is.
const DeletionsPath = "/api/belfry/v1/logs/deletions"

// deletions is Belfry's own deletion API, on which Loki's stands as well.
func (a *API) deletions() deletion.API {
	return deletion.API{
		Path: DeletionsPath, Keeper: a.o.Store, CancelWindow: a.o.CancelWindow, Now: a.o.Now,
		Accept: a.deleteEntries, Audit: a.o.Audit, Action: "logs.delete.cancel",
	}
}

// Deletions serves Belfry's own deletion API.
func (a *API) Deletions() http.Handler { return a.deletions().Handler() }
