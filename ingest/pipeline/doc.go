// Package pipeline turns the records of any stream into points, or into records of
// another stream.
//
// # Use
//
// A [Definition] says what is read and what becomes of it; [Read] takes it from TOML,
// [Parse] from JSON, and docs/pipelines.md describes it. [Compile] makes a [Program] of
// it, which is pure: records in, points and records out. [Pipelines] runs the programs on
// the streams of a log and keeps the definitions that came by its HTTP API. cmd/freshet
// opens one.
//
// # What is counted once
//
// A pipeline reads a stream as a durable consumer (stream/consumer): leases, checkpoints,
// parents before children. It works in runs: the records of a shard that became durable
// together, or the next 256 of them. Where a run begins and ends depends on the log alone,
// so one that is worked through again after a crash has the same name, which is the
// pipeline, the shard and the offset of its first record. Points are posted under that
// name, and a run is checkpointed after its points are durable. Points of a run that was
// posted before are dropped where they are counted. Records that go to another stream
// have no such protection: after a crash some may be there twice.
//
// # What cannot be read
//
// A record that cannot be decoded, and a point that may not be, stops nothing: it is
// counted, and the last 100 of them are kept with the reason. What cannot be written,
// because the log is over capacity or the stream is not there, is waited for.
//
// # After a crash
//
// Definitions, checkpoints and the pipelines' identities are in a kv.Store, everything
// else is in the log. Counters and the kept errors are gone.
//
// # Concurrency
//
// [Pipelines.Run] owns all goroutines: one for each pipeline, and those of its consumer,
// which are one for each shard. Methods of Pipelines may be called by anyone; a Program
// is shared, a [Machine] belongs to one goroutine.
package pipeline
