package columnar

import (
	"math"
	"slices"
)

// hidden are the rows of one part or memtable that no query may see although
// they are still there: those of owed deletions, and those past their retention rule.
type hidden struct {
	root  *node
	facts *streamFacts
}

// concealer builds what a query must hide, once for each set of reasons.
type concealer struct {
	expiry *expiry // nil without retention rules
	known  map[concealKey]*node
}

type concealKey struct {
	deletions string // their numbers
	expired   uint64 // classes of retention
}

// reasons says why rows of a part or memtable are to be hidden.
type reasons struct {
	deletions []*deletion
	expired   uint64
}

func (r reasons) none() bool { return len(r.deletions) == 0 && r.expired == 0 }

// root returns the condition for all of the reasons.
func (c *concealer) root(r reasons) (*node, error) {
	var ids []byte
	for _, d := range r.deletions {
		for id := d.ID; id > 0; id >>= 8 {
			ids = append(ids, byte(id))
		}
		ids = append(ids, '/', '/')
	}
	key := concealKey{string(ids), r.expired}
	if n, ok := c.known[key]; ok {
		return n, nil
	}
	var any Or
	for _, d := range r.deletions {
		any = append(any, d.cond)
	}
	if r.expired != 0 {
		any = append(any, c.expiry.condition(r.expired))
	}
	cond := Filter(any)
	if len(any) == 1 {
		cond = any[0]
	}
	n, err := compile(cond)
	if err != nil {
		return nil, err
	}
	if c.known == nil {
		c.known = map[concealKey]*node{}
	}
	c.known[key] = n
	return n, nil
}

// hide returns what is hidden of so many streams, nil if nothing is.
func (c *concealer) hide(r reasons, streams int, stream func(i int) *streamDef) (*hidden, error) {
	if r.none() {
		return nil, nil
	}
	root, err := c.root(r)
	if err != nil {
		return nil, err
	}
	facts := factsOf(root, streams, stream)
	if facts.none {
		return nil, nil
	}
	return &hidden{root: root, facts: facts}, nil
}

// reasonsOf returns why rows of a part are to be hidden. DB.mu is held.
func (db *DB) reasonsOf(h *partHandle, x *expiry) reasons {
	return reasons{db.owed(h), x.before(h.min) &^ h.expired}
}

// reasonsOfMem returns why rows of a memtable are to be hidden. DB.mu is held.
func (db *DB) reasonsOfMem(m *memTable, tenant string, x *expiry) reasons {
	var r reasons
	for _, d := range db.deletions.pending {
		if d.ID > m.clean && d.Tenant == tenant {
			r.deletions = append(r.deletions, d)
		}
	}
	if x != nil {
		first := int64(math.MaxInt64)
		for _, b := range m.tenants[tenant].blocks {
			first = min(first, b.min)
		}
		r.expired = x.before(first)
	}
	return r
}

// conceal takes the hidden rows of a block out of mask.
func (h *hidden) conceal(v *blockView, mask bitmap) error {
	e := evaluator{view: v, facts: h.facts}
	verdict := e.prune(h.root, false)
	if verdict == maybe && v.blk != nil {
		verdict = e.prune(h.root, true)
	}
	if e.err != nil {
		return e.err
	}
	switch verdict {
	case never:
		return nil
	case always:
		clear(mask)
		return nil
	}
	gone, err := e.eval(h.root, mask)
	if err != nil {
		return err
	}
	mask.andNot(gone)
	return nil
}

// streamsHidden returns which streams are wholly hidden; nil if none is known to be.
func (r reasons) streamsHidden(min, max int64, streams int, stream func(i int) *streamDef) []bool {
	var out []bool
	for _, d := range r.deletions {
		if d.From > min || max >= d.To {
			continue
		}
		root, err := compile(d.cond[1:])
		if err != nil || !root.onlyStreams() {
			continue
		}
		facts := factsOf(root, streams, stream)
		if out == nil {
			out = make([]bool, streams)
		}
		for i := range out {
			out[i] = out[i] || root.ofStream(facts, i) == always
		}
	}
	if !slices.Contains(out, true) {
		return nil
	}
	return out
}
