package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream"
	"freshet/stream/consumer"
	"freshet/stream/kpl"
	"freshet/stream/kv"
	"freshet/stream/vfs"

	"pgregory.net/rapid"
)

const stormWorkers, stormShards, stormKeys = 4, 12, 9

// TestStorm reshards at random while producers append and workers come, go and are
// killed, and the machine of the log crashes. Every acknowledged record is delivered at
// least once, those of a key in order, children after parents; nothing is delivered twice
// unless a worker was killed in between.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			m := &storm{store: kv.NewMem(), records: map[string]*stormRecord{}, last: map[string]int{}, serial: map[string]int{}}
			m.fs = vfs.NewMem()
			m.open(t)
			defer m.close()
			m.startWorker(t)
			t.Repeat(map[string]func(*rapid.T){
				"append":    m.append,
				"append2":   m.append,
				"aggregate": m.aggregate,
				"split":     m.split,
				"merge":     m.merge,
				"start":     m.startWorker,
				"stop":      m.stopWorker,
				"kill":      m.killWorker,
				"crash":     m.crash,
				"time":      func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 2500).Draw(t, "ms")) * time.Millisecond) },
				"":          m.check,
			})
			m.end(t)
		})
	})
}

// bubbled hides from rapid that it could ask for a deadline, which a bubble has not.
type bubbled struct{ *testing.T }

// storm is a log, its consumers, and what they have seen.
type storm struct {
	fs     *vfs.Mem
	log    *stream.Log
	stop   func()
	stream *stream.Stream
	store  *kv.Mem

	workers []*stormWorker
	killed  []*stormWorker // whose goroutines may still end
	serial  map[string]int

	kills atomic.Int64

	mu      sync.Mutex
	records map[string]*stormRecord
	last    map[string]int // the serial number of a key that was delivered first last
	wrong   []string
	again   int // deliveries after the first
}

// stormRecord is one that was appended.
type stormRecord struct {
	shard     stream.ShardID
	acked     bool
	delivered bool
	kills     int64 // how many there had been at its delivery
}

func (m *storm) open(t *rapid.T) {
	log, err := stream.Open(stream.Options{Dir: "log", FS: m.fs, SegmentBytes: 4 << 10})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	m.log = log
	m.stop = func() {
		cancel()
		<-done
		log.Close() // fails after a crash
	}
	var ok bool
	if m.stream, ok = log.Stream("s"); !ok {
		if m.stream, err = log.Create("s", 2); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
}

func (m *storm) close() {
	for len(m.workers) > 0 {
		m.kill(0)
	}
	for _, w := range m.killed {
		<-w.done
	}
	m.stop()
}

// stormWorker is a worker, as a process of its own that can be killed.
type stormWorker struct {
	*consumer.Worker
	kv.Store
	m      *storm
	dead   atomic.Bool
	cancel context.CancelFunc
	done   chan error
}

var errDead = errors.New("the process was killed")

func (w *stormWorker) Get(ctx context.Context, key string) (kv.Entry, error) {
	if w.dead.Load() {
		return kv.Entry{}, errDead
	}
	return w.Store.Get(ctx, key)
}

func (w *stormWorker) List(ctx context.Context, prefix string) ([]kv.Entry, error) {
	if w.dead.Load() {
		return nil, errDead
	}
	return w.Store.List(ctx, prefix)
}

func (w *stormWorker) Swap(ctx context.Context, key string, old kv.Revision, value []byte) (kv.Revision, error) {
	if w.dead.Load() {
		return 0, errDead
	}
	return w.Store.Swap(ctx, key, old, value)
}

// Process notes a batch, after a while, in which it may be killed. Some batches fail
// once before anything is noted.
func (w *stormWorker) Process(ctx context.Context, b consumer.Batch) error {
	first := b.Records[0].Sequence.Offset
	time.Sleep(time.Duration(first%7) * 10 * time.Millisecond)
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.Attempt == 1 && first%5 == 3 {
		return errors.New("once")
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.dead.Load() {
		return errDead
	}
	for _, r := range b.Records {
		w.m.deliver(b.Shard, string(r.Data))
	}
	return nil
}

// deliver holds one delivery to the rules.
func (m *storm) deliver(shard consumer.Shard, data string) {
	r, ok := m.records[data]
	if !ok {
		m.wrong = append(m.wrong, fmt.Sprintf("%q was never appended", data))
		return
	}
	kills := m.kills.Load()
	if r.delivered {
		if m.again++; r.kills == kills {
			m.wrong = append(m.wrong, fmt.Sprintf("%q comes twice from %s, though no worker was killed in between", data, shard.ID))
		}
		r.kills = kills
		return
	}
	r.delivered, r.kills = true, kills
	key, number, _ := strings.Cut(data, ":")
	n, _ := strconv.Atoi(number)
	if n <= m.last[key] {
		m.wrong = append(m.wrong, fmt.Sprintf("%q comes after %s:%d", data, key, m.last[key]))
	}
	m.last[key] = n
	if r.shard != shard.ID {
		m.wrong = append(m.wrong, fmt.Sprintf("%q comes from %s, not %s", data, shard.ID, r.shard))
	}
	for _, p := range shard.Parents {
		for other, o := range m.records {
			if o.shard == p && o.acked && !o.delivered {
				m.wrong = append(m.wrong, fmt.Sprintf("%q of %s comes before %q of its parent %s", data, shard.ID, other, p))
			}
		}
	}
}

// next names the next record of a key, which is going to a shard.
func (m *storm) next(key string, shard stream.ShardID) string {
	m.serial[key]++
	data := fmt.Sprintf("%s:%d", key, m.serial[key])
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[data] = &stormRecord{shard: shard}
	return data
}

func (m *storm) acked(data string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[data].acked = true
}

func drawKey(t *rapid.T) string {
	return fmt.Sprint("k", rapid.IntRange(0, stormKeys-1).Draw(t, "key"))
}

func (m *storm) append(t *rapid.T) {
	for range rapid.IntRange(1, 6).Draw(t, "records") {
		key := drawKey(t)
		sh := m.stream.ShardFor(stream.HashPartitionKey(key))
		data := m.next(key, sh.ID())
		if _, err := sh.Append(t.Context(), []stream.Entry{{PartitionKey: key, Data: []byte(data)}}); err != nil {
			t.Fatalf("append: %v", err)
		}
		m.acked(data)
	}
}

func (m *storm) aggregate(t *rapid.T) {
	key := drawKey(t)
	sh := m.stream.ShardFor(stream.HashPartitionKey(key))
	var users []kpl.Record
	for range rapid.IntRange(2, 9).Draw(t, "records") {
		users = append(users, kpl.Record{PartitionKey: key, Data: []byte(m.next(key, sh.ID()))})
	}
	if _, err := sh.Append(t.Context(), []stream.Entry{{PartitionKey: key, Data: aggregate(users...)}}); err != nil {
		t.Fatalf("append: %v", err)
	}
	for _, u := range users {
		m.acked(string(u.Data))
	}
}

func (m *storm) split(t *rapid.T) {
	open := m.stream.OpenShards()
	if len(open) >= stormShards {
		return
	}
	sh := open[rapid.IntRange(0, len(open)-1).Draw(t, "shard")]
	first, last := sh.Range()
	at := stream.HashKey{Hi: first.Hi + (last.Hi-first.Hi)/8*rapid.Uint64Range(1, 7).Draw(t, "at"), Lo: 1}
	if _, err := m.stream.Split(t.Context(), sh.ID(), at); err != nil {
		t.Fatalf("split: %v", err)
	}
}

func (m *storm) merge(t *rapid.T) {
	open := m.stream.OpenShards()
	if len(open) < 2 {
		return
	}
	i := rapid.IntRange(0, len(open)-2).Draw(t, "shard")
	a, b := open[i].ID(), open[i+1].ID()
	if rapid.Bool().Draw(t, "turned") {
		a, b = b, a
	}
	if _, err := m.stream.Merge(t.Context(), a, b); err != nil {
		t.Fatalf("merge: %v", err)
	}
}

func (m *storm) startWorker(t *rapid.T) {
	if len(m.workers) >= stormWorkers {
		return
	}
	w := &stormWorker{Store: m.store, m: m, done: make(chan error, 1)}
	var err error
	w.Worker, err = consumer.NewWorker(consumer.Options{
		Source: consumer.NewSource(m.stream), Store: w, Application: "storm", Processor: w,
		LeaseDuration: time.Second, CheckpointEvery: 300 * time.Millisecond, BatchRecords: 3, RetryWait: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() { w.done <- w.Run(ctx) }()
	m.workers = append(m.workers, w)
}

// take removes a worker from those that run.
func (m *storm) take(i int) *stormWorker {
	w := m.workers[i]
	m.workers = append(m.workers[:i:i], m.workers[i+1:]...)
	return w
}

func (m *storm) stopWorker(t *rapid.T) {
	if len(m.workers) == 0 {
		return
	}
	w := m.take(rapid.IntRange(0, len(m.workers)-1).Draw(t, "worker"))
	w.cancel()
	if err := <-w.done; err != nil {
		t.Fatalf("run: %v", err)
	}
	if st := w.Stats(); st.PutAside > 0 || st.Trimmed > 0 || st.OutOfRange > 0 || st.Lost > 0 {
		t.Fatalf("got %+v", st)
	}
}

func (m *storm) killWorker(t *rapid.T) {
	if len(m.workers) > 0 {
		m.kill(rapid.IntRange(0, len(m.workers)-1).Draw(t, "worker"))
	}
}

// kill ends what a worker does to the world at once; its goroutines end when they notice.
func (m *storm) kill(i int) {
	w := m.take(i)
	m.mu.Lock()
	w.dead.Store(true)
	m.kills.Add(1)
	m.mu.Unlock()
	w.cancel()
	m.killed = append(m.killed, w)
}

// crash takes the machine away on which the log and the workers are, while records are
// being written of which nobody learns whether they are there.
func (m *storm) crash(t *rapid.T) {
	for range rapid.IntRange(0, 4).Draw(t, "unknown") {
		key := drawKey(t)
		sh := m.stream.ShardFor(stream.HashPartitionKey(key))
		if _, err := sh.Submit([]stream.Entry{{PartitionKey: key, Data: []byte(m.next(key, sh.ID()))}}); err != nil {
			t.Fatalf("submit: %v", err)
		}
	}
	for len(m.workers) > 0 {
		m.kill(0)
	}
	m.fs = m.fs.Crash(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
	m.stop()
	m.open(t)
	m.startWorker(t)
}

// check runs after every step.
func (m *storm) check(t *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.wrong) > 0 {
		t.Fatalf("%s (and %d more)", m.wrong[0], len(m.wrong)-1)
	}
}

// missing are the acknowledged records that have not come.
func (m *storm) missing() (all []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for data, r := range m.records {
		if r.acked && !r.delivered {
			all = append(all, data)
		}
	}
	return all
}

// end waits for all that was acknowledged, and stops the workers in good order.
func (m *storm) end(t *rapid.T) {
	m.startWorker(t)
	for end := time.Now().Add(5 * time.Minute); len(m.missing()) > 0; time.Sleep(50 * time.Millisecond) {
		if m.check(t); time.Now().After(end) {
			t.Fatalf("never delivered: %v", m.missing())
		}
	}
	for len(m.workers) > 0 {
		m.stopWorker(t)
	}
	m.check(t)
}
