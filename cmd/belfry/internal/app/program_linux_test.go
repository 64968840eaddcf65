package app

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMappingsOfTheKernel(t *testing.T) {
	for line, want := range map[string]mapping{
		"00402000-02dc8000 r-xp 00002000 fd:00 1234 /usr/bin/belfry": {0x402000, 0x2dc8000, false, "/usr/bin/belfry"},
		"05eb0000-06000000 rw-p 05aae000 fd:00 1234 /opt/a b/belfry": {0x5eb0000, 0x6000000, true, "/opt/a b/belfry"},
	} {
		m, ok := parseMapping(line)
		require.True(t, ok, line)
		require.Equal(t, want, m)
	}
	for _, line := range []string{"", "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ", "x-y r--p 0 0 0 /bin/sh"} {
		_, ok := parseMapping(line)
		require.False(t, ok, line)
	}
}

// TestWhatTheLoaderWroteIsKept: a mapping that was written to before it became
// read-only would come back as the file has it.
func TestWhatTheLoaderWroteIsKept(t *testing.T) {
	smaps := `00400000-02dc8000 r-xp 00000000 fd:00 1234 /usr/bin/belfry
Size:              42784 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
05eb0000-05ec0000 r--p 05aae000 fd:00 1234 /usr/bin/belfry
Size:                 64 kB
Anonymous:            64 kB
05ec0000-05f00000 rw-p 05abe000 fd:00 1234 /usr/bin/belfry
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fd:00 99 /lib/libc.so.6
Anonymous:             0 kB
7f0000001000-7f0000002000 rw-p 00000000 00:00 0
Anonymous:             0 kB
`
	list, err := fileMappings(strings.NewReader(smaps), "/usr/bin/belfry")
	require.NoError(t, err)
	require.Equal(t, []mapping{{0x400000, 0x2dc8000, false, "/usr/bin/belfry"}}, list)
}

func TestAProgramRunsOnWithoutItsResidentPages(t *testing.T) {
	require.NoError(t, releaseProgram())
	exe, err := os.Executable()
	require.NoError(t, err)
	require.NotEmpty(t, exe)
}
