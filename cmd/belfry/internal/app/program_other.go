//go:build !linux

package app

// releaseProgram does nothing where the kernel cannot be asked for it.
func releaseProgram() error { return nil }
