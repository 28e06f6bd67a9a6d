package consumer

import "sync/atomic"

// Stats counts what a worker has done since it was made.
type Stats struct {
	Held int64 // leases that it has now

	Records, Batches       int64 // that Process returned nil for
	Failures               int64 // calls of Process that failed, with those that panicked
	Panics                 int64
	Bisections             int64 // batches that were taken apart to find what fails
	PutAside               int64 // records that were put aside
	PutAsideFailures       int64 // attempts to put one aside
	OutOfRange             int64 // user records dropped because they belong to another shard
	BadAggregates          int64 // aggregated records that could not be taken apart, delivered whole
	Trimmed                int64 // records that retention dropped before they were read
	ReadFailures           int64 // reads that failed and were tried again
	Checkpoints            int64
	Taken, HandedOver      int64 // leases
	Lost                   int64 // leases that ran out or were taken
	Ended                  int64 // shards that were read to their end
	StoreFailures          int64 // calls of the store that failed, conflicts excepted
	LeasesMade, LeasesGone int64
}

type counters struct {
	held, records, batches, failures, panics, bisections  atomic.Int64
	putAside, putAsideFailures, outOfRange, badAggregates atomic.Int64
	trimmed, readFailures, checkpoints, taken, handedOver atomic.Int64
	lost, ended, storeFailures, leasesMade, leasesGone    atomic.Int64
}

// Stats returns the counts so far.
func (w *Worker) Stats() Stats {
	c := &w.counters
	return Stats{
		Held: c.held.Load(), Records: c.records.Load(), Batches: c.batches.Load(),
		Failures: c.failures.Load(), Panics: c.panics.Load(), Bisections: c.bisections.Load(),
		PutAside: c.putAside.Load(), PutAsideFailures: c.putAsideFailures.Load(),
		OutOfRange: c.outOfRange.Load(), BadAggregates: c.badAggregates.Load(),
		Trimmed: c.trimmed.Load(), ReadFailures: c.readFailures.Load(), Checkpoints: c.checkpoints.Load(),
		Taken: c.taken.Load(), HandedOver: c.handedOver.Load(), Lost: c.lost.Load(), Ended: c.ended.Load(),
		StoreFailures: c.storeFailures.Load(), LeasesMade: c.leasesMade.Load(), LeasesGone: c.leasesGone.Load(),
	}
}
