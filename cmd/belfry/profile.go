package main

import (
	"errors"
	"os"
	"runtime/pprof"
)

// withCPUProfile runs f and writes what took CPU time meanwhile to a file, in
// pprof's format; with no name it only runs f.
func withCPUProfile(name string, f func() error) (err error) {
	if name == "" {
		return f()
	}
	file, err := os.Create(name) //nolint:gosec // where the operator wants it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}
