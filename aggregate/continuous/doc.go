// Package continuous writes what a query says of each step to a stream, once the step is
// final: as records that pipelines and Kinesis consumers read.
//
// # Use
//
// cmd/freshet reads definitions with [Read], opens [Queries] on them and runs it:
//
//	[[continuous]]
//	name  = "views-per-minute"
//	query = { metric = "page.views", agg = "sum", by = ["country"], step = "1m" }
//	to    = "views-1m"
//
// A step is written when its end is not after final_until of an answer. When points come
// in later for one of the last steps that were written, all of it is written again with a
// higher revision, which is the number of late points that it has taken in.
//
// # After a crash
//
// Where a query has come to is in a kv.Store, written after the records are durable. So
// after a crash the steps of the last write may be written again, with equal start, labels
// and revision.
//
// # Concurrency
//
// [Queries.Run] owns a goroutine for each query. The other methods may be called by anyone.
package continuous
