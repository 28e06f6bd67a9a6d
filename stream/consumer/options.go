package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"freshet/stream/kv"
)

// Options say what a worker reads, and how.
type Options struct {
	Source      Source
	Store       kv.Store  // holds the leases; all workers of the application use one
	Application string    // whose workers share the shards; letters, digits and _ . -
	Owner       string    // names this worker in leases; "" means host and process. A random part is added, so that a worker started again is another one
	Processor   Processor // gets the records

	StartAt       Position      // where the application starts the first time: TrimHorizon, the zero value, Latest or AtTimestamp
	LeaseDuration time.Duration // a lease that did not change for so long is free; 0 means 10 s, at least 10 ms
	MaxLeases     int           // how many shards this worker reads at most; 0 means no bound
	SyncEvery     time.Duration // how often shards are listed beside when they change; 0 means 30 s

	BatchRecords int           // how many records Process gets at most; 0 means 1000
	BatchBytes   int           // a batch ends with the record that reaches it, keys and data; 0 means 1 MiB
	PollEvery    time.Duration // reads a shard at most so often, in larger batches; 0 means as soon as there are records

	// CheckpointEvery is how often what was processed is checkpointed; 0 means 1 s.
	// Negative: only when the Processor, which has to be a Finisher, says so.
	CheckpointEvery time.Duration

	Attempts  int           // how often a batch, and then a record alone, is tried; 0 means 5
	RetryWait time.Duration // before the second attempt, twice as long before each further one; 0 means 100 ms
	RetryMax  time.Duration // the longest wait; 0 means 10 s
	// PutAside takes a record that keeps failing, before the shard goes past it. While it
	// fails the shard does not advance. nil keeps the record in Store: see Asides.
	PutAside func(ctx context.Context, a Aside) error

	StopWithin time.Duration // how long Run waits for batches under way when it is to end; 0 means LeaseDuration
	Logger     *slog.Logger  // nil discards
}

// Processor takes records. One goroutine a shard calls it.
type Processor interface {
	// Process returns nil when it is done with the records of a batch. After an error, or
	// a panic, it gets them again, perhaps in smaller batches. ctx ends when the lease is
	// lost: what is done after that, another worker may be doing too.
	Process(ctx context.Context, b Batch) error
}

// ProcessorFunc is a function as a Processor.
type ProcessorFunc func(ctx context.Context, b Batch) error

// Process calls f.
func (f ProcessorFunc) Process(ctx context.Context, b Batch) error { return f(ctx, b) }

// Finisher is a Processor that keeps something for each shard, and is told to let it go.
type Finisher interface {
	Processor
	// Finish is called once the last Process of a shard has returned. When it returns nil
	// all that was processed is done, and is checkpointed. After an error it is called
	// again when the shard has Ended, since its children wait; when it was Stopped, the
	// records since the last checkpoint are delivered again, to whoever is next. After
	// Lost, ctx has ended, no checkpoint can be made and the error is logged.
	Finish(ctx context.Context, shard Shard, c *Checkpointer, why Reason) error
}

// Reason is why a worker has done with a shard.
type Reason int

const (
	Ended   Reason = iota // a reshard closed it and all of it is processed
	Stopped               // the worker ends, or hands the shard to another
	Lost                  // another worker has, or may have, the lease
)

func (r Reason) String() string { return [...]string{"ended", "stopped", "lost"}[r] }

// Batch is records of a shard, in order.
type Batch struct {
	Shard        Shard
	Records      []Record // at least one; valid until Process returns
	MillisBehind int64    // how far the last of them was behind the newest when it was read, 0 at the end
	Attempt      int      // 1 the first time
	Checkpointer *Checkpointer
}

func (o Options) check() error {
	switch {
	case o.Source == nil:
		return errors.New("option Source is nil")
	case o.Store == nil:
		return errors.New("option Store is nil")
	case o.Processor == nil:
		return errors.New("option Processor is nil")
	case o.StartAt.Kind < TrimHorizon || o.StartAt.Kind > AtTimestamp:
		return fmt.Errorf("option StartAt is %s; TRIM_HORIZON, LATEST and AT_TIMESTAMP are allowed", o.StartAt)
	case o.LeaseDuration != 0 && o.LeaseDuration < 10*time.Millisecond:
		return fmt.Errorf("LeaseDuration is %v, less than 10ms", o.LeaseDuration)
	case len(o.Owner) > 256:
		return fmt.Errorf("Owner has %d bytes, more than 256", len(o.Owner))
	}
	if _, ok := o.Processor.(Finisher); !ok && o.CheckpointEvery < 0 {
		return fmt.Errorf("CheckpointEvery is %v: then Processor has to be a Finisher, or nothing is checkpointed at the end of a shard", o.CheckpointEvery)
	}
	return checkApplication(o.Application)
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (o Options) withDefaults() Options {
	if o.Owner == "" {
		host, _ := os.Hostname()
		o.Owner = fmt.Sprintf("%.200s-%d", host, os.Getpid())
	}
	orDefault(&o.LeaseDuration, 10*time.Second)
	orDefault(&o.SyncEvery, 30*time.Second)
	orDefault(&o.BatchRecords, 1000)
	orDefault(&o.BatchBytes, 1<<20)
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = time.Second
	}
	orDefault(&o.Attempts, 5)
	orDefault(&o.RetryWait, 100*time.Millisecond)
	orDefault(&o.RetryMax, 10*time.Second)
	orDefault(&o.StopWithin, o.LeaseDuration)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.PutAside == nil {
		o.PutAside = NewAsides(o.Store, o.Application).Put
	}
	return o
}

// renewEvery is how often a lease is renewed: three times before it runs out.
func (o Options) renewEvery() time.Duration { return o.LeaseDuration / 3 }

// scanEvery is how often a worker looks at all leases.
func (o Options) scanEvery() time.Duration {
	return min(max(o.LeaseDuration/10, 5*time.Millisecond), time.Second)
}
