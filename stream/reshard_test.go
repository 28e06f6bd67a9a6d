package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/vfs"

	"pgregory.net/rapid"
)

// put submits a record where its key belongs, as often as reshards ask for it.
func put(ctx context.Context, s *stream.Stream, key, data string) (*stream.Commit, error) {
	for {
		shard := s.ShardFor(stream.HashPartitionKey(key))
		c, err := shard.Submit([]stream.Entry{{PartitionKey: key, Data: []byte(data)}})
		if !errors.Is(err, stream.ErrMoved) {
			return c, err
		}
		if err := shard.Settled(ctx); err != nil {
			return nil, err
		}
	}
}

// readByKey returns the data of all records by key, parents before children.
func readByKey(t fatal, s *stream.Stream) map[string][]string {
	got := map[string][]string{}
	for _, shard := range s.Shards() { // children have higher ids than their parents
		r := shard.Reader(shard.Horizon())
		for r.Offset() < shard.Durable() {
			records, err := r.Next(context.Background(), 0)
			if err != nil {
				t.Fatalf("%s: %v", shard, err)
			}
			for _, rec := range records {
				if !shard.Holds(stream.HashPartitionKey(string(rec.PartitionKey))) {
					t.Fatalf("%s holds a record of key %q, which is not its own", shard, rec.PartitionKey)
				}
				got[string(rec.PartitionKey)] = append(got[string(rec.PartitionKey)], string(rec.Data))
			}
		}
		if _, end, closed := shard.Closed(); closed {
			if r.Offset() != end {
				t.Fatalf("%s ends at record %d, not %d", shard, r.Offset(), end)
			}
			if _, err := r.Next(context.Background(), 0); !errors.Is(err, stream.ErrEnd) {
				t.Fatalf("at the end of %s: got %v, want ErrEnd", shard, err)
			}
		}
		r.Close()
	}
	return got
}

type fatal interface {
	Fatalf(format string, args ...any)
	Helper()
}

// checkRanges wants the open shards to share out all hash keys.
func checkRanges(t fatal, s *stream.Stream) {
	t.Helper()
	var next stream.HashKey
	for i, shard := range s.OpenShards() {
		first, last := shard.Range()
		if first != next {
			t.Fatalf("open shard %d begins at %v, want %v", i, first, next)
		}
		next = last.Next()
	}
	if next != (stream.HashKey{}) {
		t.Fatalf("the open shards end below %v", next)
	}
}

// storm is a stream that is split and merged while it is written to, and crashes.
type storm struct {
	fs     *vfs.Mem
	log    *stream.Log
	stream *stream.Stream
	stop   func()
	sent   map[string][]string // by key, acknowledged or not, in order
	acked  map[string]bool     // by data
	serial int
}

// TestReshardCrash splits and merges shards while records are written, writes and syncs
// fail, processes are killed and machines crash. After each opening every acknowledged
// record is there, those of a key in their order, and the open shards share out all keys.
func TestReshardCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &storm{fs: vfs.NewMem(), sent: map[string][]string{}, acked: map[string]bool{}}
		m.reopen(t)
		defer func() { m.stop() }()
		t.Repeat(map[string]func(*rapid.T){
			"write":   func(t *rapid.T) { m.write(t, func() {}) },
			"split":   m.split,
			"split2":  m.split,
			"merge":   m.merge,
			"restart": func(t *rapid.T) { m.lose(t, func() *vfs.Mem { return m.fs }) },
			"kill":    func(t *rapid.T) { m.lose(t, m.fs.Kill) },
			"crash": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				m.lose(t, func() *vfs.Mem { return m.fs.Crash(rand.New(rand.NewPCG(seed, 1))) })
			},
			"fault": func(t *rapid.T) {
				n := rapid.IntRange(1, 40).Draw(t, "after")
				var mu sync.Mutex
				m.fs.Inject(func(vfs.Op) *vfs.Fault {
					mu.Lock()
					defer mu.Unlock()
					if n--; n > 0 {
						return nil
					}
					return &vfs.Fault{Err: errors.New("disk gone")}
				})
			},
			"": func(t *rapid.T) { checkRanges(t, m.stream) },
		})
	})
}

func (m *storm) reopen(t *rapid.T) {
	m.fs.Inject(nil)
	log, err := stream.Open(stream.Options{Dir: "log", FS: m.fs, SegmentBytes: 1 << 10, Retention: -1})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	m.log, m.stop = log, func() {
		cancel()
		<-done
		log.Close() // fails after a crash
	}
	s, ok := log.Stream("s")
	if !ok {
		if s, err = log.Create("s", 2); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
	m.stream = s
	for _, shard := range s.OpenShards() {
		if err := shard.Err(); err != nil {
			t.Fatalf("%s does not accept records after opening: %v", shard, err)
		}
	}
	checkRanges(t, s)
	m.check(t)
}

// check compares what the log holds with what was sent.
func (m *storm) check(t *rapid.T) {
	for key, got := range readByKey(t, m.stream) {
		rest := m.sent[key]
		for _, data := range got {
			i := slices.Index(rest, data)
			if i < 0 {
				t.Fatalf("key %s: got %v, out of order or never sent; sent %v", key, got, m.sent[key])
			}
			for _, lost := range rest[:i] {
				if m.acked[lost] {
					t.Fatalf("key %s: the acknowledged record %s is lost or out of order", key, lost)
				}
			}
			rest = rest[i+1:]
		}
		for _, lost := range rest {
			if m.acked[lost] {
				t.Fatalf("key %s: the acknowledged record %s is lost", key, lost)
			}
		}
	}
	// What is there now stays; what was not acknowledged and is not there never comes.
	for key := range m.sent {
		m.sent[key] = nil
	}
	for key, got := range readByKey(t, m.stream) {
		m.sent[key] = got
		for _, data := range got {
			m.acked[data] = true
		}
	}
	for data := range m.acked {
		key, _, _ := strings.Cut(data, "/")
		if !slices.Contains(m.sent[key], data) {
			t.Fatalf("the acknowledged record %s is lost", data)
		}
	}
}

// write sends records while something goes on.
func (m *storm) write(t *rapid.T, meanwhile func()) {
	n := rapid.IntRange(1, 30).Draw(t, "records")
	keys := rapid.SliceOfN(rapid.IntRange(0, 9), n, n).Draw(t, "keys")
	var wg sync.WaitGroup
	wg.Go(func() {
		var commits []*stream.Commit
		var sent []string
		for _, k := range keys {
			key := fmt.Sprint("key", k)
			m.serial++
			data := fmt.Sprint(key, "/", m.serial)
			c, err := put(context.Background(), m.stream, key, data)
			if err != nil {
				continue
			}
			m.sent[key] = append(m.sent[key], data)
			commits, sent = append(commits, c), append(sent, data)
		}
		for i, c := range commits {
			if _, err := c.Wait(context.Background()); err == nil {
				m.acked[sent[i]] = true
			}
		}
	})
	meanwhile()
	wg.Wait()
}

func (m *storm) split(t *rapid.T) {
	open := m.stream.OpenShards()
	if len(open) > 6 {
		return
	}
	shard := open[rapid.IntRange(0, len(open)-1).Draw(t, "shard")]
	_, last := shard.Range()
	at := stream.HashKey{Hi: last.Hi - rapid.Uint64Range(0, 1<<60).Draw(t, "at"), Lo: rapid.Uint64().Draw(t, "low")}
	m.write(t, func() {
		children, err := m.stream.Split(context.Background(), shard.ID(), at)
		if err == nil && (children[0].Parents()[0] != shard.ID() || len(shard.Children()) != 2) {
			t.Fatalf("the children of %s are %v", shard, shard.Children())
		}
	})
}

func (m *storm) merge(t *rapid.T) {
	open := m.stream.OpenShards()
	if len(open) < 2 {
		return
	}
	i := rapid.IntRange(0, len(open)-2).Draw(t, "shard")
	m.write(t, func() {
		child, err := m.stream.Merge(context.Background(), open[i+1].ID(), open[i].ID())
		if err == nil && !slices.Equal(child.Parents(), []stream.ShardID{open[i+1].ID(), open[i].ID()}) {
			t.Fatalf("the parents of %s are %v", child, child.Parents())
		}
	})
}

// lose ends the log and opens it again on what fs makes of the file system.
func (m *storm) lose(t *rapid.T, fs func() *vfs.Mem) {
	next := fs()
	m.stop()
	m.fs = next
	m.reopen(t)
}

// want ends the test at an error.
func want(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReshardRefusals(t *testing.T) {
	log, _ := start(t, stream.Options{Dir: "log", FS: vfs.NewMem()})
	s, err := log.Create("s", 4)
	want(t, err)
	ctx := context.Background()
	_, err = s.Shards()[0].Append(ctx, []stream.Entry{entry("x")}) // so that the log runs
	want(t, err)
	_, last := s.Shards()[1].Range()
	split := func(id stream.ShardID, at stream.HashKey) error { _, err := s.Split(ctx, id, at); return err }
	merge := func(a, b stream.ShardID) error { _, err := s.Merge(ctx, a, b); return err }
	first, _ := s.Shards()[1].Range()
	for _, test := range []struct {
		name      string
		got, want error
	}{
		{"no shard", split(9, last), stream.ErrNoShard},
		{"its first key", split(1, first), stream.ErrBadSplit},
		{"above", split(1, last.Next()), stream.ErrBadSplit},
		{"not adjacent", merge(0, 2), stream.ErrNotAdjacent},
		{"with itself", merge(1, 1), stream.ErrNotAdjacent},
		{"merge no shard", merge(0, 7), stream.ErrNoShard},
		{"at its last key", split(1, last), nil},
		{"closed", split(1, last), stream.ErrNotOpen},
		{"merge closed", merge(0, 1), stream.ErrNotOpen},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, test.got, test.want)
		}
	}
	want(t, log.Delete("s"))
	if err := split(0, last); !errors.Is(err, stream.ErrNoStream) {
		t.Errorf("split in a deleted stream: got %v", err)
	}
	if err := log.Delete("s"); !errors.Is(err, stream.ErrNoStream) {
		t.Errorf("delete again: got %v", err)
	}
}

func TestAClosedShardStaysReadableUntilItsRetention(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	fs := vfs.NewMem()
	log, _ := start(t, stream.Options{Dir: "log", FS: fs, Now: clock, Retention: 24 * time.Second})
	s, err := log.Create("s", 1)
	want(t, err)
	want(t, s.SetRetention(48*time.Second))
	ctx := context.Background()
	parent := s.Shards()[0]
	_, err = parent.Append(ctx, []stream.Entry{{PartitionKey: "a", Data: []byte("1")}})
	want(t, err)
	changed := s.Changed()
	waiting := make(chan error, 1)
	go func() {
		r := parent.Reader(1)
		defer r.Close()
		_, err := r.Next(ctx, 0)
		waiting <- err
	}()
	children, err := s.Split(ctx, 0, stream.HashKey{Hi: 1 << 63})
	want(t, err)
	<-changed
	if err := <-waiting; !errors.Is(err, stream.ErrEnd) {
		t.Errorf("a reader that waits at the end: got %v, want ErrEnd", err)
	}
	if _, err := parent.Submit([]stream.Entry{{Data: []byte("x")}}); !errors.Is(err, stream.ErrMoved) {
		t.Errorf("submit to a closed shard: got %v, want ErrMoved", err)
	}
	want(t, parent.Settled(ctx))
	if got := parent.Children(); !slices.Equal(got, []stream.ShardID{children[0].ID(), children[1].ID()}) {
		t.Errorf("children: got %v", got)
	}
	pass(40 * time.Second)
	time.Sleep(300 * time.Millisecond) // more than two sweeps
	if got := readByKey(t, s)["a"]; !slices.Equal(got, []string{"1"}) {
		t.Errorf("within the retention: got %v", got)
	}
	changed = s.Changed()
	pass(10 * time.Second)
	<-changed
	if _, ok := s.Shard(0); ok || len(s.Shards()) != 2 {
		t.Errorf("past the retention: got %v", s.Shards())
	}
	names, err := fs.ReadDir("log/000001-s")
	if want(t, err); len(names) != 2 {
		t.Errorf("past the retention: got folders %v", names)
	}
	// Its id is never used again.
	child, err := s.Merge(ctx, 1, 2)
	if want(t, err); child.ID() != 3 {
		t.Errorf("the next shard: got %v", child.ID())
	}
}

func TestSeekAtTheEndsOfAShard(t *testing.T) {
	log, _ := start(t, stream.Options{Dir: "log", FS: vfs.NewMem()})
	s, err := log.Create("s", 1)
	want(t, err)
	shard := s.Shards()[0]
	seek := func(kind stream.PositionKind, n stream.SequenceNumber) stream.Offset {
		t.Helper()
		o, err := shard.Seek(stream.Position{Kind: kind, Sequence: n})
		want(t, err)
		return o
	}
	if got := seek(stream.AtSequenceNumber, shard.FirstSequence()); got != 0 {
		t.Errorf("at the start of an empty shard: got %d", got)
	}
	_, err = shard.Append(context.Background(), make([]stream.Entry, 3))
	want(t, err)
	_, err = s.Split(context.Background(), 0, stream.HashKey{Hi: 5})
	want(t, err)
	if got := seek(stream.AfterSequenceNumber, shard.FirstSequence()); got != 0 {
		t.Errorf("after the start: got %d", got)
	}
	if got := seek(stream.AfterSequenceNumber, shard.LastSequence()); got != 3 {
		t.Errorf("after the end: got %d", got)
	}
	n, err := stream.ParseSequenceNumber(shard.LastSequence().String())
	if want(t, err); n != shard.LastSequence() {
		t.Errorf("the last number: got %+v, want %+v", n, shard.LastSequence())
	}
}
