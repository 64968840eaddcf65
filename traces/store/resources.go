package store

import (
	"sync"

	"belfry/internal/columnar"
	"belfry/traces"
)

// resources turns streams into resources, each once. It is one query's.
type resources struct {
	mu    sync.Mutex
	known map[columnar.StreamID]*traces.Resource
	store *keptResources
}

func (s *Store) newResources() *resources {
	return &resources{known: map[columnar.StreamID]*traces.Resource{}, store: &s.resources}
}

func (r *resources) of(s *columnar.Stream) *traces.Resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.known[s.ID]
	if out == nil {
		out = r.store.of(s)
		r.known[s.ID] = out
	}
	return out
}

// maxResources bounds the resources that a store keeps.
const maxResources = 4096

// keptResources keeps resources for the queries to come, those asked for lately.
type keptResources struct {
	mu       sync.RWMutex
	now, old map[columnar.StreamID]*traces.Resource // old: from before now was full
}

func (k *keptResources) of(s *columnar.Stream) *traces.Resource {
	k.mu.RLock()
	out := k.now[s.ID]
	k.mu.RUnlock()
	if out != nil {
		return out
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if out = k.old[s.ID]; out == nil {
		out = resourceOf(s)
	}
	if len(k.now) >= maxResources/2 {
		k.now, k.old = nil, k.now
	}
	if k.now == nil {
		k.now = map[columnar.StreamID]*traces.Resource{}
	}
	k.now[s.ID] = out
	return out
}
