package columnar

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"belfry/internal/columnar/column"
	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

// The toy signal of the tests: a payload is a JSON array of rows.
type toyRow struct {
	Time   int64
	Stream map[string]string
	Fields []toyField
	Reject string `json:",omitempty"`
}

type toyField struct {
	Name  string
	Kind  Kind
	Bytes []byte `json:",omitempty"`
	Num   uint64 `json:",omitempty"`
}

const (
	colBody ColRef = iota
	colTrace
	colStatus
)

func toyColumns() []ColumnDef {
	return []ColumnDef{
		{Name: "body", Kind: KindString},
		{Name: "trace", Kind: KindID, Indexed: true},
		{Name: "status", Kind: KindInt},
		{Name: "user", Kind: KindString, NoWordFilter: true},
	}
}

func toyDecode(payload []byte, _ time.Time, w *RowWriter) error {
	var rows []toyRow
	if err := json.Unmarshal(payload, &rows); err != nil {
		return errors.New("not a toy payload")
	}
	for _, r := range rows {
		raw, err := json.Marshal(r.Stream)
		if err != nil {
			return err
		}
		if !w.SelectStream(raw) {
			for k, v := range r.Stream {
				w.StreamField(k, String(v))
			}
			w.DefineStream()
		}
		w.Begin(r.Time)
		for _, f := range r.Fields {
			c := w.Ref([]byte(f.Name), f.Kind)
			switch f.Kind {
			case KindString:
				w.SetString(c, f.Bytes)
			case KindBytes:
				w.SetBytes(c, f.Bytes)
			case KindID:
				w.SetID(c, f.Bytes)
			case KindJSON:
				w.SetJSON(c, f.Bytes)
			case KindInt:
				w.SetInt(c, int64(f.Num))
			case KindFloat:
				w.SetFloat(c, column.NumValue(KindFloat, f.Num).Float())
			case KindBool:
				w.SetBool(c, f.Num != 0)
			}
		}
		if r.Reject != "" {
			w.Reject(r.Reject)
			continue
		}
		w.End()
	}
	return nil
}

func toyPayload(t testing.TB, rows ...toyRow) []byte {
	t.Helper()
	b, err := json.Marshal(rows)
	require.NoError(t, err)
	return b
}

func field(name string, v Value) toyField {
	f := toyField{Name: name, Kind: v.Kind()}
	if v.Kind().VarWidth() {
		f.Bytes = []byte(v.Str())
	} else {
		f.Num = v.Bits()
	}
	return f
}

func (f toyField) value() Value {
	if f.Kind.VarWidth() {
		return column.VarValue(f.Kind, string(f.Bytes))
	}
	return column.NumValue(f.Kind, f.Num)
}

func toyOptions(fs vfs.FS) Options {
	return Options{
		Dir: "data", FS: fs, Signal: "toy", Decode: toyDecode, Columns: toyColumns(),
		MergeConcurrency: -1, SyncInterval: time.Hour, FlushAge: time.Hour, MaxWait: -1,
		Now: func() time.Time { return time.Unix(0, toyNow) },
	}
}

const toyNow = int64(1_700_000_000_000_000_000)

func openToy(t testing.TB, o Options) *DB {
	t.Helper()
	db, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// The model: rows in a slice, conditions decided one row after the other.

func (r *toyRow) refValues(ref Ref) []Value {
	var out []Value
	add := func(name string, v Value) {
		if (ref.Every || ref.Name == name) && (ref.Kind == KindAny || ref.Kind == v.Kind()) {
			out = append(out, v)
		}
	}
	if ref.Stream {
		for k, v := range r.Stream {
			add(k, String(v))
		}
		return out
	}
	seen := map[ColumnKey]bool{}
	for _, f := range r.Fields {
		key := ColumnKey{f.Name, f.Kind}
		if !seen[key] {
			add(f.Name, f.value())
		}
		seen[key] = true
	}
	return out
}

func numeric(v Value) bool { return v.Kind() == KindInt || v.Kind() == KindFloat }

// modelCompare compares numbers exactly; nothing compares with NaN.
func modelCompare(v, w Value) (int, bool) {
	exact := func(v Value) *big.Float {
		if v.Kind() == KindInt {
			return new(big.Float).SetInt64(v.Int())
		}
		return new(big.Float).SetFloat64(v.Float())
	}
	if v.Float() != v.Float() || w.Float() != w.Float() {
		return 0, false
	}
	return exact(v).Cmp(exact(w)), true
}

func modelEqual(v, w Value, asText bool) bool {
	if asText {
		return v.Text() == w.Text()
	}
	if numeric(v) && numeric(w) {
		c, ok := modelCompare(v, w)
		return ok && c == 0
	}
	return v == w
}

func modelWords(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool {
		return r != '_' && r < 0x80 && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

func modelMatch(f Filter, r *toyRow) bool {
	anyOf := func(ref Ref, ok func(Value) bool) bool { return slices.ContainsFunc(r.refValues(ref), ok) }
	switch f := f.(type) {
	case nil:
		return true
	case And:
		for _, c := range f {
			if !modelMatch(c, r) {
				return false
			}
		}
		return true
	case Or:
		for _, c := range f {
			if modelMatch(c, r) {
				return true
			}
		}
		return false
	case Not:
		return !modelMatch(f.Of, r)
	case Equal:
		return anyOf(f.Ref, func(v Value) bool { return modelEqual(v, f.Value, f.AsText) })
	case In:
		return anyOf(f.Ref, func(v Value) bool {
			return slices.ContainsFunc(f.Values, func(w Value) bool { return modelEqual(v, w, f.AsText) })
		})
	case Range:
		return anyOf(f.Ref, func(v Value) bool {
			c := func(b Value) (int, bool) {
				switch {
				case numeric(v) && numeric(b):
					return modelCompare(v, b)
				case v.Kind() == b.Kind() && v.Kind().VarWidth():
					return strings.Compare(v.Str(), b.Str()), true
				}
				return 0, false
			}
			if !f.Min.IsZero() {
				if n, ok := c(f.Min); !ok || n < 0 || n == 0 && f.ExcludeMin {
					return false
				}
			}
			if !f.Max.IsZero() {
				if n, ok := c(f.Max); !ok || n > 0 || n == 0 && f.ExcludeMax {
					return false
				}
			}
			return true
		})
	case Contains:
		return anyOf(f.Ref, func(v Value) bool {
			if f.Fold {
				return strings.Contains(strings.ToLower(v.Text()), strings.ToLower(f.Text))
			}
			return strings.Contains(v.Text(), f.Text)
		})
	case HasPrefix:
		return anyOf(f.Ref, func(v Value) bool { return strings.HasPrefix(v.Text(), f.Text) })
	case Words:
		return anyOf(f.Ref, func(v Value) bool {
			have := modelWords(v.Text())
			for _, w := range f.Words {
				for _, part := range modelWords(w) {
					if !slices.ContainsFunc(have, func(h string) bool { return h == part || f.Fold && strings.EqualFold(h, part) }) {
						return false
					}
				}
			}
			return true
		})
	case Regexp:
		return anyOf(f.Ref, func(v Value) bool { return f.Re.MatchString(v.Text()) })
	case Exists:
		return len(r.refValues(f.Ref)) > 0
	case Func:
		return anyOf(f.Ref, f.Match)
	case TimeRange:
		return r.Time >= f.From && r.Time < f.To
	case InStreams:
		return slices.Contains(f.IDs, r.streamID())
	}
	panic("unknown filter")
}

func (r *toyRow) streamID() StreamID {
	var fields []Field
	for k, v := range r.Stream {
		fields = append(fields, Field{k, String(v)})
	}
	return newStreamDef(fields).ID
}

// text renders a row for comparison.
func (r *toyRow) text() string {
	fields := map[ColumnKey]Value{}
	for _, f := range r.Fields {
		key := ColumnKey{f.Name, f.Kind}
		if _, ok := fields[key]; !ok {
			fields[key] = f.value()
		}
	}
	keys := make([]ColumnKey, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	var sb bytes.Buffer
	id := r.streamID()
	sb.WriteString(time.Unix(0, r.Time).UTC().Format(time.RFC3339Nano) + " " + id.String())
	for _, k := range keys {
		sb.WriteString(" " + k.Name + ":" + k.Kind.String() + "=" + fields[k].Text())
	}
	return sb.String()
}

func rowText(r *Row) string {
	var sb bytes.Buffer
	sb.WriteString(time.Unix(0, r.Time).UTC().Format(time.RFC3339Nano) + " " + r.Stream.ID.String())
	for _, f := range r.Fields {
		sb.WriteString(" " + f.Name + ":" + f.Value.Kind().String() + "=" + f.Value.Text())
	}
	return sb.String()
}
