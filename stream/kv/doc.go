// Package kv keeps small values under keys, with compare-and-swap: the leases of
// consumers, and what the Kinesis API knows of a stream beside its records.
//
// [Store] is the interface; [Bolt] is a file, [Mem] is memory. Packages consumer and
// kinesis call it.
//
// After a crash a Bolt holds every Swap that returned nil; one whose outcome was unknown
// is there wholly or not at all.
//
// The package starts no goroutine.
package kv
