package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/consumer"
	"freshet/stream/kv"
	"freshet/stream/vfs"

	"go.uber.org/goleak"
)

// TestMain fails when a test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStream runs a log in memory until the test ends.
func newStream(t *testing.T, shards int) *stream.Stream {
	t.Helper()
	return openStream(t, shards, stream.Options{})
}

func openStream(t *testing.T, shards int, o stream.Options) *stream.Stream {
	t.Helper()
	o.Dir, o.FS = "log", vfs.NewMem()
	log, err := stream.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		log.Close()
	})
	s, err := log.Create("s", shards)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put appends one record a string, each its own partition key, to the shards they belong to.
func put(t *testing.T, s *stream.Stream, data ...string) {
	t.Helper()
	for _, d := range data {
		sh := s.ShardFor(stream.HashPartitionKey(d))
		if _, err := sh.Append(t.Context(), []stream.Entry{{PartitionKey: d, Data: []byte(d)}}); err != nil {
			t.Fatal(err)
		}
	}
}

// numbered is n strings.
func numbered(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// collector is a processor that notes what it gets.
type collector struct {
	// before is asked first, if it is set, and may fail.
	before func(ctx context.Context, b consumer.Batch) error

	mu   sync.Mutex
	got  []string
	of   map[stream.ShardID][]string
	ends []string
}

func (c *collector) Process(ctx context.Context, b consumer.Batch) error {
	if c.before != nil {
		if err := c.before(ctx, b); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range b.Records {
		c.got = append(c.got, string(r.Data))
		if c.of == nil {
			c.of = map[stream.ShardID][]string{}
		}
		c.of[b.Shard.ID] = append(c.of[b.Shard.ID], string(r.Data))
	}
	return nil
}

func (c *collector) Finish(_ context.Context, shard consumer.Shard, _ *consumer.Checkpointer, why consumer.Reason) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, fmt.Sprint(shard.ID, " ", why))
	return nil
}

func (c *collector) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

func (c *collector) sorted() []string {
	all := c.all()
	slices.Sort(all)
	return all
}

// options are those of the tests: a second for a lease, the application "app".
func options(s consumer.Source, store kv.Store, p consumer.Processor) consumer.Options {
	return consumer.Options{Source: s, Store: store, Application: "app", Processor: p, LeaseDuration: time.Second, RetryWait: 10 * time.Millisecond}
}

// running is a worker that runs.
type running struct {
	*consumer.Worker
	cancel context.CancelFunc
	done   chan error
}

// run starts a worker, and stops it when the test ends.
func run(t *testing.T, o consumer.Options) *running {
	t.Helper()
	w, err := consumer.NewWorker(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{w, cancel, make(chan error, 1)}
	go func() { r.done <- w.Run(ctx) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

// stop ends a worker that has not been stopped yet.
func (r *running) stop(t *testing.T) {
	r.cancel()
	if err, ok := <-r.done; ok && err != nil && !errors.Is(err, consumer.ErrOtherStream) {
		t.Error(err)
	} else if ok {
		close(r.done)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// leases returns the leases of "app" by shard.
func leases(t *testing.T, store kv.Store) map[stream.ShardID]consumer.Lease {
	t.Helper()
	all, err := consumer.Leases(context.Background(), store, "app")
	if err != nil {
		t.Fatal(err)
	}
	m := map[stream.ShardID]consumer.Lease{}
	for _, l := range all {
		m[l.Shard] = l
	}
	return m
}

// owned counts the leases of each owner.
func owned(t *testing.T, store kv.Store) map[string]int {
	t.Helper()
	m := map[string]int{}
	for _, l := range leases(t, store) {
		m[l.Owner]++
	}
	return m
}
