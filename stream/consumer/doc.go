// Package consumer reads a stream with several workers that share its shards by leases.
//
// # Usage
//
// A [Worker] takes a share of the shards of a stream and hands their records, a batch at
// a time, to a [Processor]. Workers of one Application that use one store share the
// shards out; start one in every process that has hands free:
//
//	worker, err := consumer.NewWorker(consumer.Options{
//		Source: consumer.NewSource(orders), Store: store, Application: "billing",
//		Processor: consumer.ProcessorFunc(func(ctx context.Context, b consumer.Batch) error {
//			return bill(ctx, b.Records)
//		}),
//	})
//	g.Go(func() error { return worker.Run(ctx) })
//
// Records of one shard come in order, to one goroutine. Children of a split or merge come
// after all records of their parents. Aggregates of the Kinesis Producer Library come as
// their user records. A processor that answers with an error, or panics, gets the records
// again; those that keep failing are put aside with the reason, and only then passed: see
// [Options].PutAside and [Transient].
//
// What was processed is written to the lease as a checkpoint every
// [Options].CheckpointEvery. Who would rather say when, because the records of a batch
// are safe later than Process returns, sets it negative and calls the [Checkpointer].
//
// # Leases
//
// A lease is one value in the store for each shard: who has it, a counter, the checkpoint.
// Every renewal, checkpoint and takeover is a compare-and-swap of the revision that its
// writer saw last. So an owner that stalls and wakes after its lease was taken cannot
// move the checkpoint: it gets [ErrLeaseLost], and the context of its processor ends.
//
// A lease that has not changed for LeaseDuration, as this worker saw it by its own
// monotonic clock, is up for taking; clocks of machines are never compared. An owner
// counts from before its last renewal began, and so gives up before another may begin,
// as long as its processor heeds the context.
//
// Workers take free leases up to an even share, and ask the most loaded one for a lease,
// one at a time, when it has two more than they have. The owner that is asked finishes
// its batch, checkpoints and hands over; nothing is delivered twice for that.
//
// # After a crash
//
// Delivery is at least once. After a worker was killed, the records since the last
// checkpoint are delivered again, to another worker once the lease has run out; before
// that nothing is delivered twice, and no record is delivered before one of the same
// shard that has never been. Records are lost to a consumer only when retention drops
// them first, which is logged and counted in [Stats].Trimmed.
//
// # Concurrency
//
// Process is called by one goroutine a shard, so by several at once; the records of a
// batch are valid until it returns. Stats and the Checkpointer may be called by anyone.
//
// [Worker.Run] owns all goroutines: its own, which keeps the leases, and one for each
// shard that it has. They end with it.
package consumer
