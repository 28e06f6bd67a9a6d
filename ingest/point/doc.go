// Package point holds what a point is, how points are read from JSON, and the batch
// codec: the bytes that stand for many points in one record of the log.
//
// # Use
//
// Whoever takes points in (package ingest, the Go SDK in ingest/producer) reads them as
// [View]s, checks them with [View.Check], adds them to a [Builder] and appends what
// [Builder.Encode] returns to the log or posts it. Whoever takes them out (the fold, the
// loader) hands the payload of a record to [Batch.DecodeRecord] and reads the runs and
// columns of the [Batch]. Builder, Batch and [Scanner] are made to be used again: once
// they have seen a few inputs of the usual size they allocate nothing.
//
// # After a crash
//
// The package keeps nothing. The bytes of the codec are specified in FORMAT.md; every
// later version of Freshet reads the versions written before it. They carry no checksum,
// for every record of the log has one.
//
// # Concurrency
//
// There are no goroutines here, and no locks but that of a [Cache], which any number of
// Scanners share. A value of any other type belongs to one goroutine at a time; a decoded
// Batch may be read by several.
package point
