package part

import (
	"encoding/binary"
	"slices"

	"belfry/internal/columnar/encoding"
)

// Groups says what is known of the groups that the rows of a part belong to: the
// rows that share a value of an indexed column.
type Groups struct {
	// Joined: every row has the columns that were derived from its group.
	Joined bool
	// Apart are the hashes (encoding.HashValue) of groups of which this part is not known
	// to have all rows, or whose derived columns must not be used, ascending.
	Apart []uint64
}

// SetGroups says what Finish records of the part's groups. Apart need not be sorted.
func (w *Writer) SetGroups(g Groups) {
	slices.Sort(g.Apart)
	g.Apart = slices.Compact(g.Apart)
	w.groups = &g
}

func (g *Groups) append(dst []byte) []byte {
	joined := byte(0)
	if g.Joined {
		joined = 1
	}
	dst = append(dst, joined)
	dst = binary.AppendUvarint(dst, uint64(len(g.Apart)))
	prev := uint64(0)
	for _, h := range g.Apart {
		dst = binary.AppendUvarint(dst, h-prev)
		prev = h
	}
	return dst
}

func (r *Reader) parseGroups(raw []byte) error {
	if raw == nil {
		return nil
	}
	d := encoding.Reader{B: raw}
	g := Groups{Joined: d.Byte() == 1}
	g.Apart = make([]uint64, d.Count(len(raw)))
	prev := uint64(0)
	for i := range g.Apart {
		prev += d.Uvarint()
		g.Apart[i] = prev
	}
	if d.Bad() || len(d.B) > 0 || !slices.IsSorted(g.Apart) {
		return corrupt("groups")
	}
	r.Groups = g
	return nil
}
