// Package vfs is the little of a file system that the storage engines need,
// with the operating system and a crashable memory behind it. Nothing in an
// engine calls package os.
package vfs
