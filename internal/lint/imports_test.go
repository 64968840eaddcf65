package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "belfry"

// contracts are the packages of the stores that others may know: types and
// interfaces, no engine.
var contracts = []string{"logs", "traces", "tsdb"}

// arrows says, for every top-level folder, which other folders its packages may
// reach, directly or through others. Data runs from the collector down to the
// stores; stores are siblings that do not know each other; alerting asks
// through interfaces of its own; only the app knows everybody.
var arrows = map[string][]string{
	"internal":  {"internal"},
	"tsdb":      {"tsdb", "internal"},
	"logs":      {"logs", "internal"},
	"traces":    {"traces", "internal"},
	"alerting":  {"alerting", "internal"},
	"ui":        {"ui", "internal"},
	"collector": append([]string{"collector", "internal"}, contracts...),
}

// exactly names folders of which only the package at the top may be reached.
var exactly = map[string][]string{"collector": contracts}

// app is the one package that may import everything, and cmd the folder around
// it; test/e2e drives the whole from outside.
var unrestricted = []string{"cmd", "test"}

type goPackage struct {
	ImportPath string
	Imports    []string
	Doc        string
	GoFiles    []string
	Dir        string
}

func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Doc,GoFiles,Dir", module+"/...")
	out, err := cmd.Output()
	require.NoError(t, err)
	packages := map[string]goPackage{}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else {
			require.NoError(t, err)
		}
		packages[p.ImportPath] = p
	}
}

func folder(importPath string) string {
	rest := strings.TrimPrefix(importPath, module+"/")
	top, _, _ := strings.Cut(rest, "/")
	return top
}

func TestImportArrows(t *testing.T) {
	packages := listPackages(t)
	for path := range packages {
		from := folder(path)
		if slices.Contains(unrestricted, from) {
			continue
		}
		allowed, known := arrows[from]
		require.True(t, known, "folder %s is not in the table of arrows", from)
		for reached, chain := range reach(packages, path) {
			to := folder(reached)
			switch {
			case !slices.Contains(allowed, to):
				t.Errorf("%s may not reach %s: %s", path, reached, strings.Join(chain, " -> "))
			case slices.Contains(exactly[from], to) && reached != module+"/"+to:
				t.Errorf("%s may reach only the contract of %s: %s", path, to, strings.Join(chain, " -> "))
			}
		}
	}
}

// reach returns the module's packages that start reaches, each with a chain of
// imports that leads there.
func reach(packages map[string]goPackage, start string) map[string][]string {
	chains := map[string][]string{}
	queue := []string{start}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range packages[at].Imports {
			if _, seen := chains[next]; seen || next == start || !strings.HasPrefix(next, module+"/") {
				continue
			}
			chains[next] = append(slices.Clone(chains[at]), next)
			queue = append(queue, next)
		}
	}
	return chains
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for path, p := range listPackages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("package %s has no package comment", path)
		}
	}
}
