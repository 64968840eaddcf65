package cold

import (
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
)

// The section of names:
//
//	uvarint  number of names
//	           uvarint, bytes  name; sorted
//	           uvarint         number of values
//	           uvarint, bytes  values, sorted, front-coded: for each
//	                             uvarint         bytes in common with the one before
//	                             uvarint, bytes  the rest
//	           uvarint, bytes  for each value, uvarint: length of its postings
//
// Postings are in a section of their own, in the same order.

// label is a name and a value by their places among the sorted names and the
// sorted values of that name.
type label struct{ name, value uint32 }

// names are the label names of a block.
type names struct {
	names []string
	of    []values
}

// values are the values of a name. Their strings are made when they are first
// wanted.
type values struct {
	n        int
	coded    []byte // front-coded
	lengths  []byte // of their postings
	postings []byte

	once    sync.Once
	err     error
	strings []string
	ends    []uint32 // where the postings of each end
}

func parseNames(section, postings []byte) (*names, error) {
	s := scanner(section)
	n := s.Count()
	out := &names{names: make([]string, n), of: make([]values, n)}
	for i := range n {
		out.names[i] = string(s.Sized())
		v := &out.of[i]
		v.n = int(min(s.Uvarint(), 1<<31))
		v.coded, v.lengths = s.Sized(), s.Sized()
		if v.n > len(v.lengths) { // each takes a byte or more
			s.Fail("values")
		}
		if s.Err() != nil {
			return nil, s.Err()
		}
		size := uint64(0)
		for l := scanner(v.lengths); l.Len() > 0; {
			size += min(l.Uvarint(), 1<<40)
		}
		if size > uint64(len(postings)) {
			return nil, corruptf("postings of %s", out.names[i])
		}
		v.postings, postings = postings[:size:size], postings[size:]
	}
	if !slices.IsSorted(out.names) {
		return nil, corruptf("names are not sorted")
	}
	return out, nil
}

// load makes the strings.
func (v *values) load() error {
	v.once.Do(func() {
		var text strings.Builder
		starts := make([]uint32, v.n+1)
		v.ends = make([]uint32, v.n)
		coded, lengths := scanner(v.coded), scanner(v.lengths)
		last, end := "", uint64(0)
		for i := range v.n {
			common, rest := coded.Uvarint(), coded.Sized()
			end += lengths.Uvarint()
			if coded.Err() != nil || lengths.Err() != nil || common > uint64(len(last)) || end > uint64(len(v.postings)) {
				v.err = corruptf("values of a label")
				return
			}
			last = last[:common] + string(rest)
			text.WriteString(last)
			starts[i+1] = uint32(text.Len())
			v.ends[i] = uint32(end)
		}
		all := text.String()
		v.strings = make([]string, v.n)
		for i := range v.strings {
			v.strings[i] = all[starts[i]:starts[i+1]]
		}
	})
	return v.err
}

// find returns the values of a name, nil if no series has it.
func (n *names) find(name string) *values {
	i, ok := slices.BinarySearch(n.names, name)
	if !ok {
		return nil
	}
	return &n.of[i]
}

// index returns the place of a value, -1 if no series has it.
func (v *values) index(value string) int {
	if i := sort.SearchStrings(v.strings, value); i < len(v.strings) && v.strings[i] == value {
		return i
	}
	return -1
}

// addTo adds the series that have the i-th value to a set.
func (v *values) addTo(set *roaring.Bitmap, i int) error {
	start := uint32(0)
	if i > 0 {
		start = v.ends[i-1]
	}
	return addPostings(set, v.postings[start:v.ends[i]])
}

// nameTable collects names and values while a block is written. A value's place
// among its sorted siblings is known only at the end.
type nameTable struct {
	ids   map[string]uint32
	names []string
	of    []valueTable
}

type valueTable struct {
	ids      map[string]uint32
	values   []string
	postings [][]uint32
}

func newNameTable() *nameTable { return &nameTable{ids: map[string]uint32{}} }

// add notes that a series has a label.
func (t *nameTable) add(name, value string, series uint32) label {
	n, ok := t.ids[name]
	if !ok {
		n = uint32(len(t.names))
		name = strings.Clone(name)
		t.ids[name] = n
		t.names = append(t.names, name)
		t.of = append(t.of, valueTable{ids: map[string]uint32{}})
	}
	of := &t.of[n]
	v, ok := of.ids[value]
	if !ok {
		v = uint32(len(of.values))
		value = strings.Clone(value)
		of.ids[value] = v
		of.values = append(of.values, value)
		of.postings = append(of.postings, nil)
	}
	of.postings[v] = append(of.postings[v], series)
	return label{n, v}
}

// ranks returns, for each string, its place among them sorted, and which string
// is at each place.
func ranks(all []string) (rank, at []uint32) {
	at = make([]uint32, len(all))
	for i := range at {
		at[i] = uint32(i)
	}
	slices.SortFunc(at, func(a, b uint32) int { return strings.Compare(all[a], all[b]) })
	rank = make([]uint32, len(all))
	for place, i := range at {
		rank[i] = uint32(place)
	}
	return rank, at
}

// encode returns the sections of names and postings, and for each name and value
// its place.
func (t *nameTable) encode() (section, postings []byte, nameRank []uint32, valueRank [][]uint32) {
	nameRank, order := ranks(t.names)
	valueRank = make([][]uint32, len(t.names))
	section = binary.AppendUvarint(section, uint64(len(order)))
	var enc postingsEncoder
	for _, n := range order {
		of := &t.of[n]
		rank, at := ranks(of.values)
		valueRank[n] = rank
		var coded, lengths []byte
		last := ""
		for _, v := range at {
			value := of.values[v]
			common := commonPrefix(last, value)
			coded = binary.AppendUvarint(coded, uint64(common))
			coded = appendSized(coded, value[common:])
			last = value
			before := len(postings)
			postings = enc.append(postings, of.postings[v])
			lengths = binary.AppendUvarint(lengths, uint64(len(postings)-before))
		}
		section = appendSized(section, t.names[n])
		section = binary.AppendUvarint(section, uint64(len(at)))
		section = appendSized(section, coded)
		section = appendSized(section, lengths)
	}
	return section, postings, nameRank, valueRank
}

func appendSized[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
