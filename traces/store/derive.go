package store

import (
	"bytes"
	"cmp"
	"slices"

	"belfry/internal/columnar"
	"belfry/internal/columnar/slab"
	"belfry/traces"
)

// What a part knows of each span's place in its trace:
//
//	:trace         number of the trace within the part
//	:left, :right  nested set of the span (traces.Nesting)
//	:parent_left   left number of its parent; missing at tops
//	:child_count   missing where there is none
//	:self_time     missing where there are no children: the duration then
//
// and, at the first span of each trace (by start, then ID) only, what is one for all its spans:
//
//	:trace_duration
//	:root_name, :root_service   missing where the trace has no root
//	:services                   with the number of their spans; see appendServices
//	:service_errors             and of those with an error; missing where there are none
//
// They are right where the part has all spans of the trace; the engine knows where.

// joinedSpan is what deriving looks at.
type joinedSpan struct {
	start, duration int64
	id, parent      traces.SpanID
	block           int32
	row             uint32
}

// derive fills the derived columns of the spans of a part.
func derive(rows *columnar.JoinRows) {
	d := newDeriver(rows)
	var nesting traces.Nesting
	var ids, parents []traces.SpanID
	var starts, durations []int64
	var services []traces.ServiceSpans
	for group := range rows.Groups {
		spans := d.spans[d.starts[group]:d.starts[group+1]]
		slices.SortFunc(spans, func(a, b joinedSpan) int {
			return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]))
		})
		ids, parents, starts, durations, services = ids[:0], parents[:0], starts[:0], durations[:0], services[:0]
		end := spans[0].start
		for i := range spans {
			s := &spans[i]
			if i > 0 && s.id == spans[i-1].id && s.start == spans[i-1].start {
				rows.Apart(group) // sent twice, or ambiguous: to be looked at as a whole
			}
			ids, parents = append(ids, s.id), append(parents, s.parent)
			starts, durations = append(starts, s.start), append(durations, s.duration)
			end = max(end, s.start+s.duration)
			services = traces.AddSpan(services, d.service(rows, s), d.failed(s))
		}
		nesting.Nest(ids, parents)
		self := nesting.SelfTimes(starts, durations)
		for i := range spans {
			s := &spans[i]
			out := &d.out[s.block]
			out.left[s.row], out.right[s.row] = uint32(nesting.Left[i]), uint32(nesting.Right[i])
			out.children[s.row], out.parent[s.row], out.self[s.row] = uint32(nesting.ChildCount[i]), 0, self[i]
			if p := nesting.Parent[i]; p >= 0 {
				out.parent[s.row] = uint32(nesting.Left[p])
			}
		}
		h := head{at: spans[0], duration: max(0, end-spans[0].start)}
		if nesting.Root >= 0 {
			root := &spans[nesting.Root]
			h.hasRoot, h.name, h.service = true, d.name(root), d.service(rows, root)
		}
		h.services, h.errors = d.counts(services)
		d.heads[h.at.block] = append(d.heads[h.at.block], h)
	}
	d.set(rows)
}

// head is the first span of a trace, with what is one for all of them.
type head struct {
	at       joinedSpan
	duration int64
	hasRoot  bool
	name     string
	service  string
	services string // as they are stored; "" if they are too many
	errors   string
}

type deriver struct {
	spans    []joinedSpan       // by trace
	starts   []int              // of each trace in spans
	names    []*columnar.Vector // by block, as are those that follow
	statuses []*columnar.Vector
	out      []placed
	heads    [][]head
	services map[*columnar.Stream]string

	room   []byte
	values map[string]string // of :services and :service_errors: traces are alike
}

// placed are the derived numbers of the rows of a block that are in a trace.
type placed struct {
	left, right, parent, children []uint32
	self                          []int64
}

func newDeriver(rows *columnar.JoinRows) *deriver {
	d := &deriver{
		starts: make([]int, rows.Groups+2), names: make([]*columnar.Vector, len(rows.Blocks)), statuses: make([]*columnar.Vector, len(rows.Blocks)),
		out: make([]placed, len(rows.Blocks)), heads: make([][]head, len(rows.Blocks)),
		services: map[*columnar.Stream]string{}, values: map[string]string{},
	}
	n := 0
	for i := range rows.Blocks {
		for _, g := range rows.Blocks[i].Group {
			if g != columnar.NoGroup {
				d.starts[g+2]++
				n++
			}
		}
	}
	for g := 2; g < len(d.starts); g++ {
		d.starts[g] += d.starts[g-1]
	}
	mem := rows.Memory()
	d.spans = slab.Make[joinedSpan](mem, n)[:n]
	for i := range rows.Blocks {
		b := &rows.Blocks[i]
		d.names[i], d.statuses[i] = b.Column(colName), b.Column(colStatus)
		size := len(b.Times)
		all := slab.Make[uint32](mem, 4*size)[:4*size]
		self := slab.Make[int64](mem, size)[:size]
		d.out[i] = placed{all[:size:size], all[size : 2*size : 2*size], all[2*size : 3*size : 3*size], all[3*size:], self}
		ids, parents, durations := b.Column(colSpanID), b.Column(colParentID), b.Column(colDuration)
		for row, g := range b.Group {
			if g == columnar.NoGroup {
				continue
			}
			s := joinedSpan{start: int64(b.Times[row]), block: int32(i), row: uint32(row)}
			if durations != nil {
				s.duration = durations.Int(row)
			}
			if ids != nil {
				copyID(s.id[:], ids.Bytes(row))
			}
			if parents != nil && parents.Has(row) {
				copyID(s.parent[:], parents.Bytes(row))
			}
			d.spans[d.starts[g+1]] = s
			d.starts[g+1]++
		}
	}
	return d
}

func (d *deriver) name(s *joinedSpan) string {
	if v := d.names[s.block]; v != nil {
		return string(v.Bytes(int(s.row)))
	}
	return ""
}

func (d *deriver) failed(s *joinedSpan) bool {
	v := d.statuses[s.block]
	return v != nil && v.Has(int(s.row)) && traces.Status(v.Int(int(s.row))) == traces.StatusError
}

func (d *deriver) service(rows *columnar.JoinRows, s *joinedSpan) string {
	stream := rows.Blocks[s.block].Stream(int(s.row))
	name, known := d.services[stream]
	if !known {
		name = resourceOf(stream).Service()
		d.services[stream] = name
	}
	return name
}

// counts returns the values of :services and :service_errors.
func (d *deriver) counts(services []traces.ServiceSpans) (counts, errors string) {
	d.room = appendServices(d.room[:0], services)
	if len(d.room) > maxServices {
		return "", ""
	}
	counts = d.value(d.room)
	d.room = appendServiceErrors(d.room[:0], services)
	return counts, d.value(d.room)
}

// value returns bytes as a string, the same one for equal ones.
func (d *deriver) value(b []byte) string {
	v, known := d.values[string(b)]
	if !known {
		v = string(b)
		d.values[v] = v
	}
	return v
}

// set hands the columns over.
func (d *deriver) set(rows *columnar.JoinRows) {
	for i := range rows.Blocks {
		b, out := &rows.Blocks[i], &d.out[i]
		// Rows in a trace; with a parent; with children.
		mem, n := rows.Memory(), len(b.Group)
		with, below, above := slab.Make[uint32](mem, n), slab.Make[uint32](mem, n), slab.Make[uint32](mem, n)
		for row, g := range b.Group {
			if g == columnar.NoGroup {
				continue
			}
			with = append(with, uint32(row))
			if out.parent[row] > 0 {
				below = append(below, uint32(row))
			}
			if out.children[row] > 0 {
				above = append(above, uint32(row))
			}
		}
		set := func(c columnar.ColRef, of, rows []uint32) {
			b.SetInts(c, rows, func(i int) uint64 { return uint64(of[rows[i]]) })
		}
		set(colLeft, out.left, with)
		set(colRight, out.right, with)
		set(colParentLeft, out.parent, below)
		set(colChildCount, out.children, above)
		b.SetInts(colSelfTime, above, func(i int) uint64 { return uint64(out.self[above[i]]) })
		for _, done := range [...][]uint32{with, below, above} {
			slab.Free(mem, done)
		}
		d.setHeads(b, d.heads[i])
	}
}

func (d *deriver) setHeads(b *columnar.JoinBlock, heads []head) {
	slices.SortFunc(heads, func(x, y head) int { return cmp.Compare(x.at.row, y.at.row) })
	rows, durations := make([]uint32, len(heads)), make([]uint64, len(heads))
	var names, services, counts, errors sparse
	for i := range heads {
		h := &heads[i]
		row := h.at.row
		rows[i], durations[i] = row, uint64(h.duration)
		if h.hasRoot {
			names.add(row, h.name)
			services.add(row, h.service)
		}
		if h.services != "" {
			counts.add(row, h.services)
		}
		if h.errors != "" {
			errors.add(row, h.errors)
		}
	}
	b.SetInts(colTraceDuration, rows, func(i int) uint64 { return durations[i] })
	names.set(b, colRootName)
	services.set(b, colRootService)
	counts.set(b, colServices)
	errors.set(b, colServiceErrors)
}

// sparse are the values of some rows.
type sparse struct {
	rows   []uint32
	values []string
}

func (s *sparse) add(row uint32, v string) {
	s.rows, s.values = append(s.rows, row), append(s.values, v)
}

func (s *sparse) set(b *columnar.JoinBlock, c columnar.ColRef) { b.SetStrings(c, s.rows, s.values) }
