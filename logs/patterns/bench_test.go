package patterns

import (
	"fmt"
	"testing"
	"time"

	"belfry/internal/vfs"
	"belfry/logs"
)

func BenchmarkSignature(b *testing.B) {
	c := newClasses()
	line := []byte("handled request /cart for user 48213 in 311 ms, cache 1 of 734003 bytes")
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		c.signature(line)
	}
}

// BenchmarkBatch reports the time of one line of a request of a thousand.
func BenchmarkBatch(b *testing.B) {
	m, err := New(Options{FS: vfs.NewMem(), Dir: "p"})
	if err != nil {
		b.Fatal(err)
	}
	lines := make([][]byte, 1000)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, "handled request %s for user %d in %d ms, cache %d of %d bytes",
			[]string{"/cart", "/pay", "/login", "/search"}[i%4], i*7919, i%900, i%2, i*104729)
	}
	batch := m.NewBatch()
	at := time.Now().UnixNano()

	for n := 0; b.Loop(); n += len(lines) {
		_ = batch.Stream([]byte("stream"), func() ([]logs.Label, error) { return []logs.Label{{Name: "service_name", Value: "s"}}, nil })
		for i := range lines {
			batch.Add(at+int64(i)*1e6, "info", lines[i])
		}
		m.Take("t", batch)
	}
}
