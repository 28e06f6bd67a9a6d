// Package stream is the durable log: named streams of shards, each a total order of
// records on disk. It stores opaque bytes and knows nothing of points.
//
// # Usage
//
// Open a [Log], run it, and use its streams:
//
//	log, err := stream.Open(stream.Options{Dir: "data/stream"})
//	g.Go(func() error { return log.Run(ctx) })
//	metrics, err := log.Create("metrics", 2)
//	shard := metrics.ShardFor(stream.HashPartitionKey(key))
//	first, err := shard.Append(ctx, entries) // returns when they are durable
//
// Ingest appends; the aggregator, the loader and every consumer read with
// [Shard.Reader]. Bytes on disk are the business of package segment.
//
// # After a crash
//
// A record whose Append or Wait returned nil is there, in its place. One whose outcome
// was unknown is there wholly or not at all. A tail that was torn before it was synced is
// cut and reported. Damage to bytes that were synced is a [DamageError]: it ends
// the shard's appends, the records before it stay readable, the bytes are not touched,
// and the other shards go on. A failed write or sync is a [FailedError] and ends the
// shard's appends until the log is opened again.
//
// # Encryption
//
// [Stream.SetEncrypted] has a shard go on in a file that is encrypted under a key of its
// own, which Options.Keys wrap. What is on disk already stays as it is. A shard whose last
// file needs a key that is not there is a [FailedError] of a *keyring.MissingError: it
// takes no records and is left as it is, and the other shards go on. So does a shard of
// which only older files cannot be decrypted; readers get the error when they come to one.
//
// # Goroutines
//
// [Log.Run] owns all of them: one sequencer a shard, which groups what was submitted
// while the last group was being synced, and one sweeper, which drops segments past
// their retention. Open, Create and the readers start none.
package stream
