//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly) || race

package slab

func mapMemory(int) []byte { return nil }

func unmapMemory([]byte) error { return nil }

func protectMemory([]byte) error { return nil }
