// Package vfs is the file system that the log writes to.
//
// It holds two of them: [OS], the real one, and [Mem], which lives in memory, can crash
// and can be told to fail. Package stream and its segments call it, and nothing else
// should: whatever bypasses it is not covered by the crash tests.
//
// After a crash a file holds what was written before its last successful Sync, and any
// part of what was written since: all, none, or pieces torn at any byte. A name made,
// changed or removed is there for certain only after SyncDir of its directory.
//
// The package starts no goroutine. Every method may be called by several goroutines at
// once, except that one File has one writer.
package vfs

import "io"

// FS is the least that a log needs of a file system. Names are slash-separated paths.
type FS interface {
	// Create makes a file that must not exist yet and opens it for reading and writing.
	Create(name string) (File, error)
	// Open opens a file for reading, OpenWrite for reading and writing.
	Open(name string) (File, error)
	OpenWrite(name string) (File, error)
	// Rename gives a file another name and replaces what had it, in one step.
	Rename(from, to string) error
	Remove(name string) error
	// RemoveAll removes a name and all below it; one that does not exist is no error.
	RemoveAll(name string) error
	// MkdirAll makes a directory and those above it, durably.
	MkdirAll(name string) error
	// ReadDir lists the names in a directory in rising order.
	ReadDir(name string) ([]string, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Lock takes a lock file that no other process can hold at the same time.
	Lock(name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	// WriteAt may write a part before it fails; it then returns an error.
	io.WriterAt
	// Sync makes the bytes and the size durable, as fdatasync does. After an error
	// nothing is known about bytes written since the Sync before it, and calling it
	// again proves nothing: the system may have dropped them and call them clean.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
	io.Closer
}
