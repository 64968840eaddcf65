package store

import (
	"context"
	"encoding/binary"
	"sync"

	"belfry/internal/columnar"
	"belfry/internal/columnar/encoding"
	"belfry/traces"
)

var _ traces.Outliner = (*Store)(nil)

// maxServices is of how many bytes the services of a trace are kept beside its first span; those of
// traces with more are counted when they are asked for.
const maxServices = 4 << 10

// appendServices appends the value of :services.
func appendServices(dst []byte, services []traces.ServiceSpans) []byte {
	for i := range services {
		dst = encoding.AppendBytes(dst, services[i].Name)
		dst = binary.AppendUvarint(dst, uint64(services[i].Spans))
	}
	return dst
}

// appendServiceErrors appends the value of :service_errors, nothing if there are no errors.
func appendServiceErrors(dst []byte, services []traces.ServiceSpans) []byte {
	for i := range services {
		if services[i].Errors > 0 {
			dst = binary.AppendUvarint(dst, uint64(i))
			dst = binary.AppendUvarint(dst, uint64(services[i].Errors))
		}
	}
	return dst
}

// parseServices reads what appendServices and appendServiceErrors wrote; nil if it cannot be.
func parseServices(services, errors []byte) []traces.ServiceSpans {
	var out []traces.ServiceSpans
	for d := (encoding.Reader{B: services}); len(d.B) > 0; {
		s := traces.ServiceSpans{Name: string(d.Bytes()), Spans: d.Count(1 << 31)}
		if d.Bad() {
			return nil
		}
		out = append(out, s)
	}
	for d := (encoding.Reader{B: errors}); len(d.B) > 0; {
		i, n := d.Count(len(out)), d.Count(1<<31)
		if d.Bad() || i >= len(out) {
			return nil
		}
		out[i].Errors = n
	}
	return out
}

// Outlines hands over the outlines of traces that one part has joined; see traces.Outliner.
func (s *Store) Outlines(ctx context.Context, tenant string, ids []traces.TraceID, visit func(traces.Outline)) (traces.Stats, error) {
	q := columnar.HeadQuery{Tenant: tenant, IDs: make([][]byte, len(ids))}
	for i := range ids {
		q.IDs[i] = ids[i][:]
	}
	var mu sync.Mutex
	stats, err := s.db.Heads(ctx, q, func() columnar.Worker {
		return columnar.WorkerFunc(func(b *columnar.Block) error {
			outlines, err := readOutlines(b)
			mu.Lock()
			defer mu.Unlock()
			for _, o := range outlines {
				visit(o)
			}
			return err
		})
	})
	return statsOf(stats), err
}

// readOutlines reads the outlines of traces from their first spans.
func readOutlines(b *columnar.Block) ([]traces.Outline, error) {
	var v [6]*columnar.Vector
	for i, key := range [...]columnar.ColumnKey{
		{Name: nameTraceID, Kind: columnar.KindID},
		{Name: nameTraceDuration, Kind: columnar.KindInt},
		{Name: nameRootName, Kind: columnar.KindString},
		{Name: nameRootService, Kind: columnar.KindString},
		{Name: nameServices, Kind: columnar.KindBytes},
		{Name: nameServiceErrors, Kind: columnar.KindBytes},
	} {
		var err error
		if v[i], err = b.Column(key); err != nil {
			return nil, err
		}
		if v[i] == nil && key.Name != nameServiceErrors {
			return nil, nil // of an earlier release, or without roots
		}
	}
	id, duration, name, service, services, errors := v[0], v[1], v[2], v[3], v[4], v[5]
	var out []traces.Outline
	for i, start := range b.Times() {
		if !duration.Has(i) || !name.Has(i) || !services.Has(i) {
			continue
		}
		o := traces.Outline{RootService: string(service.Bytes(i)), RootName: string(name.Bytes(i)), Start: start, Duration: duration.Int(i)}
		copyID(o.ID[:], id.Bytes(i))
		var failed []byte
		if errors != nil && errors.Has(i) {
			failed = errors.Bytes(i)
		}
		if o.Services = parseServices(services.Bytes(i), failed); o.Services != nil {
			out = append(out, o)
		}
	}
	return out, nil
}
