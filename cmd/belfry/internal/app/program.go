package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// releaseProgramEvery is how long pages of the program that are not used stay in
// the resident set. What is used comes back in parts of 64 KiB, in some
// microseconds each: about a thousandth of the time of a process at work.
const releaseProgramEvery = 2 * time.Second

// releaseProgram gives back, again and again, the pages of the program's own file
// that the kernel has mapped, until ctx ends. Starting passes through the
// initialisation of everything that is linked, and what runs once in a while
// maps more, always with what lies around it: without this, most of the
// program's 100 MB stay in the resident set for good. A system without
// /proc/self/smaps keeps them.
func releaseProgram(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	tick := time.NewTicker(releaseProgramEvery)
	defer tick.Stop()
	for {
		releasePages(program)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// releasePages gives back the pages of a file that are mapped here.
func releasePages(file string) {
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	for _, m := range unchanged(smaps, file) {
		// An error means that the mapping is gone, or cannot be given back.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// mapping is a part of the address space.
type mapping struct{ start, end uintptr }

// unchanged returns the mappings of a file that can be given back without loss:
// nothing may write to them, and no page of them differs from the file, as
// addresses do that the loader has filled in, and code where a debugger or a
// probe has put its breakpoints. smaps is what Linux tells in /proc/PID/smaps; it is read up to the
// end of the program, whose mappings lie side by side: what Linux tells of the others takes it longer.
func unchanged(smaps io.Reader, file string) []mapping {
	var list []mapping
	var m mapping
	seen, ours := false, false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.Contains(name, "-"): // the line that begins a mapping
			var permissions string
			n, _ := fmt.Sscanf(line, "%x-%x %s", &m.start, &m.end, &permissions)
			of := n == 3 && strings.HasSuffix(line, " "+file)
			if seen && !of {
				return list
			}
			seen, ours = of, of && !strings.Contains(permissions, "w")
		case ours && name == "Anonymous" && strings.TrimSpace(value) == "0 kB":
			list = append(list, m)
		}
	}
	return list
}
