package app

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
)

// memoryShare of what the machine or container has is where the garbage
// collector begins to work harder, so that a peak of queries gives back what it
// took instead of standing beside the next one. What logs and traces have outside of the
// Go heap (belfry_columnar_slab_used_bytes) is not counted: it is bounded by their memtables, merges and caches.
const memoryShare = 0.6

// limitMemory sets the Go runtime's soft limit and how much garbage it allows at
// first, unless GOMEMLIMIT and GOGC say it.
func limitMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(mostGarbage)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if total := availableMemory(); total > 0 {
		debug.SetMemoryLimit(int64(float64(total) * memoryShare))
	}
}

// availableMemory is the cgroup's limit or the machine's memory, whichever is
// less, in bytes; zero if it cannot be told.
func availableMemory() int64 {
	total := int64(math.MaxInt64)
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil {
			total = n
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int64
		if n, _ := fmt.Sscanf(string(text), "MemTotal: %d kB", &kb); n == 1 {
			total = min(total, kb<<10)
		}
	}
	if total == math.MaxInt64 {
		return 0
	}
	return total
}
