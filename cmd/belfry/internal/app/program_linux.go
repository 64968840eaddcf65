package app

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram takes the program's own code and constants out of the resident
// set, so that only what runs from now on comes back. The kernel maps 64 KiB around
// every page that a start touches, and the initialisers of some hundred packages
// touch nearly all of the file: 90 MB, most of which is never looked at again.
//
// Nothing is lost: these mappings cannot be written to, their pages stay in the
// kernel's page cache, and a touch maps them again (madvise(2), MADV_DONTNEED).
func releaseProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		mapping, ok := parseMapping(lines.Text())
		if !ok || mapping.path != program || mapping.writable {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, mapping.start, mapping.end-mapping.start, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return lines.Err()
}

// mapping is a line of /proc/PID/maps (proc_pid_maps(5)).
type mapping struct {
	start, end uintptr
	writable   bool
	path       string
}

func parseMapping(line string) (m mapping, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 {
		return m, false // memory without a file
	}
	if _, err := fmt.Sscanf(fields[0], "%x-%x", &m.start, &m.end); err != nil {
		return m, false
	}
	m.writable = strings.Contains(fields[1], "w")
	m.path = strings.Join(fields[5:], " ")
	return m, true
}
