package memstore

import (
	"context"
	"slices"
	"strconv"

	"belfry/internal/deletion"
	"belfry/internal/fault"
	"belfry/logs"
)

// accepted is a deletion with what it took, as long as it may be canceled.
type accepted struct {
	deletion.Deletion
	kept []logs.Entry
}

// Delete implements logs.Deleter. Entries that a canceled deletion gives back
// come behind those that arrived meanwhile.
func (s *Store) Delete(ctx context.Context, r logs.DeleteRequest) (deletion.Deletion, error) {
	if r.From >= r.To {
		return deletion.Deletion{}, fault.Invalidf("deletion of an empty time range")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[r.Tenant]
	if t == nil {
		t = &tenantData{streams: map[logs.StreamID]*logs.Stream{}, types: map[string]logs.FieldType{}}
		s.tenants[r.Tenant] = t
	}
	now := s.o.Now().UTC()
	d := &accepted{Deletion: deletion.Deletion{
		ID: strconv.Itoa(len(t.deletions) + 1), Label: r.Label, From: r.From, To: r.To,
		State: deletion.Waiting, Created: now, Due: now.Add(max(r.Delay, 0)),
	}}
	t.deletions = append(t.deletions, d)
	t.entries = slices.DeleteFunc(t.entries, func(e logs.Entry) bool {
		hit := e.Time >= r.From && e.Time < r.To && streamMatches(r.Streams, e.Stream) && holds(r.Filter, &e)
		if hit {
			d.kept = append(d.kept, e)
		}
		return hit
	})
	return s.settled(d), ctx.Err()
}

// settled ends a deletion that is due.
func (s *Store) settled(d *accepted) deletion.Deletion {
	if now := s.o.Now().UTC(); d.State == deletion.Waiting && !d.Due.After(now) {
		d.State, d.Ended, d.Records, d.Progress, d.kept = deletion.Done, now, int64(len(d.kept)), 1, nil
	}
	return d.Deletion
}

// Deletions implements logs.Deleter.
func (s *Store) Deletions(ctx context.Context, tenant string) ([]deletion.Deletion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []deletion.Deletion
	if t := s.tenants[tenant]; t != nil {
		for _, d := range slices.Backward(t.deletions) {
			out = append(out, s.settled(d))
		}
	}
	return out, ctx.Err()
}

func (s *Store) find(tenant, id string) (*tenantData, *accepted, error) {
	if t := s.tenants[tenant]; t != nil {
		for _, d := range t.deletions {
			if d.ID == id {
				return t, d, nil
			}
		}
	}
	return nil, nil, fault.NotFoundf("there is no deletion %s", id)
}

// Deletion implements logs.Deleter.
func (s *Store) Deletion(ctx context.Context, tenant, id string) (deletion.Deletion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, d, err := s.find(tenant, id)
	if err != nil {
		return deletion.Deletion{}, err
	}
	return s.settled(d), ctx.Err()
}

// CancelDeletion implements logs.Deleter.
func (s *Store) CancelDeletion(ctx context.Context, tenant, id string, _ bool) (deletion.Deletion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, d, err := s.find(tenant, id)
	if err != nil {
		return deletion.Deletion{}, err
	}
	if state := s.settled(d).State; state != deletion.Waiting {
		return deletion.Deletion{}, fault.New(fault.Conflict, "deletion %s is %s", id, state)
	}
	t.entries = append(t.entries, d.kept...)
	d.State, d.Ended, d.kept = deletion.Canceled, s.o.Now().UTC(), nil
	return d.Deletion, ctx.Err()
}
