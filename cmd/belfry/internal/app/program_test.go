package app

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyPagesThatAreTheFilesAreGivenBack(t *testing.T) {
	const smaps = `00100000-00102000 r--p 00000000 fe:00 41         /opt/usr/bin/belfry
Anonymous:             0 kB
00400000-00402000 r--p 00000000 fe:00 42         /usr/bin/belfry
Size:                  8 kB
Rss:                   8 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
00402000-02f3b000 r-xp 00002000 fe:00 42         /usr/bin/belfry
Anonymous:             4 kB
02f3b000-06193000 r--p 02b3b000 fe:00 42         /usr/bin/belfry
Anonymous:             0 kB
06193000-06194000 r--p 05d93000 fe:00 42         /usr/bin/belfry
Anonymous:             4 kB
06194000-063ae000 rw-p 05d94000 fe:00 42         /usr/bin/belfry
Anonymous:             0 kB
7f1cd000-7f1ce000 r--p 00000000 fe:00 43         /usr/lib/libc.so.6
Anonymous:             0 kB
7f1ce000-7f1cf000 r--p 00000000 fe:00 42         /usr/bin/belfry
Anonymous:             0 kB
7f2cd000-7f2ce000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
`
	require.Equal(t, []mapping{{0x400000, 0x402000}, {0x2f3b000, 0x6193000}}, unchanged(strings.NewReader(smaps), "/usr/bin/belfry"))
}

// TestProgramRunsOnWithoutItsPages gives them back while other code runs.
func TestProgramRunsOnWithoutItsPages(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	done := make(chan int)
	go func() {
		n := 0
		for word := range strings.FieldsSeq(strings.Repeat("some work to do ", 100_000)) {
			n += len(word)
		}
		done <- n
	}()
	for range 20 {
		releasePages(program)
	}
	require.Equal(t, 1_200_000, <-done)
}

func BenchmarkReleasePages(b *testing.B) {
	program, err := os.Executable()
	require.NoError(b, err)
	for b.Loop() {
		releasePages(program)
	}
}
