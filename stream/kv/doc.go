// Package kv keeps small values under keys, with compare-and-swap: the leases of
// consumers, and what the Kinesis API knows of a stream beside its records.
//
// # Usage
//
// [Store] is the interface; [Bolt] is a file, [Mem] is memory. Packages consumer and
// kinesis call it. A change names the revision that it replaces, so that of two writers
// who saw the same value only one wins:
//
//	e, err := store.Get(ctx, "lease/shop/shardId-000000000000")
//	revision, err := store.Swap(ctx, e.Key, e.Revision, changed) // ErrConflict: read again
//
// # After a crash
//
// A Bolt holds every Swap that returned nil; one whose outcome was unknown is there
// wholly or not at all. Revisions go on rising. A write or sync that fails ends the Bolt:
// every later call fails until the file is opened again, which shows what is on disk.
// A Mem holds nothing after a crash.
//
// # Concurrency
//
// All methods may be called by several goroutines at once, and each takes effect at one
// moment between its call and its return. One process at a time has the file of a Bolt.
// The package starts no goroutine.
package kv
