package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"freshet/ingest"
	"freshet/stream"
	"freshet/stream/consumer"
)

const (
	lookEvery     = time.Second      // for a stream that is not there, or is another one
	saveEvery     = 2 * time.Second  // checkpoints, unless Options say otherwise
	leaseDuration = time.Minute      // nobody else takes them: the log belongs to one process
	stopWithin    = 10 * time.Second // for a run that cannot be posted
)

// A runner is a pipeline at work.
type runner struct {
	set     *Pipelines
	id      string
	program *Program
	ingest  *ingest.Ingest
	log     *slog.Logger

	source *stream.Stream // written before the worker starts

	counters counters
	mishaps  mishaps

	mu      sync.Mutex
	state   string // starting, waiting or running
	problem string // why it does not get on, "" when it does
	worker  *consumer.Worker
	reads   string // the name of the worker's consumer
	works   map[stream.ShardID]*work
}

type counters struct {
	records, events, filtered, points, made, mishaps, runs atomic.Int64
}

func (c *counters) note(o Outcome) {
	c.records.Add(1)
	c.events.Add(int64(o.Events))
	c.filtered.Add(int64(o.Filtered))
	c.points.Add(int64(o.Points))
	c.made.Add(int64(o.Records))
	c.mishaps.Add(int64(o.Mishaps))
}

func (s *Pipelines) newRunner(id string, p *Program) *runner {
	return &runner{
		set: s, id: id, program: p, ingest: s.o.Ingest, state: "starting", works: map[stream.ShardID]*work{},
		log: s.o.Logger.With("pipeline", p.Definition.Name),
	}
}

// application is the name of the consumer that reads a stream: that of a stream which was
// deleted and made again is another.
func (r *runner) application() string {
	return fmt.Sprintf("%s%d", applications(r.program.Definition.Name, r.id), r.source.Number())
}

// applications is what the names of a pipeline's consumers begin with.
func applications(name, id string) string { return fmt.Sprintf("%s.%s.", name, id[:8]) }

// work reads the stream until ctx ends; while there is none it waits for it.
func (r *runner) run(ctx context.Context) {
	for ctx.Err() == nil {
		source, ok := r.set.stream(r.program.Definition.Stream, r.program.Definition)
		if !ok {
			r.show("waiting", fmt.Sprintf("there is no stream %s", r.program.Definition.Stream))
			sleep(ctx, lookEvery)
			continue
		}
		r.source = source
		r.show("running", "")
		if err := r.read(ctx); err != nil && ctx.Err() == nil {
			r.show("waiting", err.Error())
			r.log.Error("the pipeline stands still; trying again", "error", err)
			sleep(ctx, lookEvery)
		}
	}
	r.show("stopped", "")
}

// read runs a worker until ctx ends or the stream is another one.
func (r *runner) read(ctx context.Context) error {
	store, name := r.set.o.Store, r.application()
	if err := r.set.forgetOthers(ctx, r.program.Definition.Name, r.id, name); err != nil {
		return err
	}
	if err := consumer.Release(ctx, store, name); err != nil {
		return err
	}
	start := consumer.Position{Kind: consumer.TrimHorizon}
	if r.program.Definition.Latest {
		start.Kind = consumer.Latest
	}
	w, err := consumer.NewWorker(consumer.Options{
		Source: consumer.NewSource(r.source), Store: store, Application: name, Processor: r,
		StartAt: start, LeaseDuration: leaseDuration, CheckpointEvery: -1, StopWithin: stopWithin, Logger: r.log,
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.worker, r.reads, r.works = w, name, map[stream.ShardID]*work{}
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	tick := time.NewTicker(min(r.set.o.SaveEvery, lookEvery))
	defer tick.Stop()
	saved := time.Now()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
		}
		if now, ok := r.set.o.Log.Stream(r.program.Definition.Stream); !ok || now != r.source {
			cancel()
			return <-ended
		}
		if time.Since(saved) < r.set.o.SaveEvery {
			continue
		}
		saved = time.Now()
		for _, w := range r.all() {
			if err := w.save(ctx); err != nil {
				r.log.Warn("a checkpoint failed; trying again", "error", err)
			}
		}
	}
}

// Process implements consumer.Processor. Its errors are all transient: what cannot be read
// is no error, and what cannot be written is waited for.
func (r *runner) Process(ctx context.Context, b consumer.Batch) error {
	return consumer.Transient(r.of(b.Shard).process(ctx, b))
}

// Finish implements consumer.Finisher.
func (r *runner) Finish(ctx context.Context, shard consumer.Shard, _ *consumer.Checkpointer, why consumer.Reason) error {
	err := r.of(shard).finish(ctx, why)
	if err == nil || why != consumer.Ended {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.works, shard.ID)
	}
	return err
}

// of returns the work on a shard.
func (r *runner) of(shard consumer.Shard) *work {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.works[shard.ID]
	if w == nil {
		w = newWork(r, shard)
		r.works[shard.ID] = w
	}
	return w
}

func (r *runner) all() []*work {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*work, 0, len(r.works))
	for _, w := range r.works {
		all = append(all, w)
	}
	return all
}

func (r *runner) show(state, problem string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.problem = state, problem
}

// blocked notes why a run cannot be posted, or that it could, and returns the error.
func (r *runner) blocked(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = ""
	if err != nil {
		r.problem = err.Error()
	}
	return err
}

// sleep waits, not longer than ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
