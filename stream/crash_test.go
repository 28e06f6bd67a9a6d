package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/vfs"

	"pgregory.net/rapid"
)

const (
	crashShards    = 3
	crashRetention = 24 * time.Hour
)

// sent is a record that was submitted.
type sent struct {
	data  string
	at    int64 // when it was submitted, epoch milliseconds
	acked bool  // or seen by a reader

	hidden bool // submitted while the stream was encrypted
}

// crashModel is a log on a file system that fails, and what must be in it.
type crashModel struct {
	fs     *vfs.Mem
	now    atomic.Int64 // epoch milliseconds
	log    *stream.Log
	stop   func()
	shards []*stream.Shard
	sent   [crashShards][]sent // by offset
	open   []submission        // that nobody waited for yet
	serial int

	stream *stream.Stream
	words  []string // of which the keys are made
	seen   sync.Map // for nonces
}

type submission struct {
	shard, n int
	first    int
	commit   *stream.Commit
}

// TestCrash submits to several shards while files roll and go past their retention,
// encryption is turned on and off and keys change, writes and syncs fail, processes are
// killed and machines crash. After each opening, every acknowledged record is there, in
// its place, and none that was never submitted; none that was submitted to an encrypted
// stream can be read on disk, and no nonce has been used for two frames.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &crashModel{fs: vfs.NewMem(), words: []string{"first"}}
		m.now.Store(1_700_000_000_000)
		m.reopen(t)
		m.encrypt(t)
		defer func() { m.stop() }()
		t.Repeat(map[string]func(*rapid.T){
			"submit":  m.submit,
			"submit2": m.submit,
			"wait":    m.wait,
			"time":    func(t *rapid.T) { m.now.Add(rapid.Int64Range(1, 20*3600_000).Draw(t, "ms")) },
			"idle":    func(*rapid.T) { time.Sleep(3 * time.Millisecond) }, // past the mark of an idle shard
			"fault":   m.fault,
			"encrypt": m.encrypt,
			"rotate":  func(*rapid.T) { m.words = append([]string{fmt.Sprint("key ", len(m.words))}, m.words...) },
			"crash": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				m.lose(t, func() *vfs.Mem { return m.fs.Crash(rand.New(rand.NewPCG(seed, 1))) })
			},
			"kill": func(t *rapid.T) { m.lose(t, m.fs.Kill) },
			"restart": func(t *rapid.T) {
				m.fs.Inject(nil)
				m.stop()
				m.wait(t)
				m.reopen(t)
			},
			"": m.check,
		})
	})
}

func (m *crashModel) reopen(t *rapid.T) {
	log, err := stream.Open(stream.Options{
		Dir: memDir, FS: nonces{m.fs, &m.seen, t}, SegmentBytes: 8 << 10, Retention: crashRetention,
		Keys: ring(t, m.words[:min(len(m.words), 64)]...),
		Now:  func() time.Time { return time.UnixMilli(m.now.Load()) },
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	m.log = log
	m.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("run: %v", err)
		}
		log.Close() // fails after a crash
	}
	s, ok := log.Stream("s")
	if !ok {
		if m.shards != nil {
			t.Fatal("the stream is gone")
		}
		if s, err = log.Create("s", crashShards); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
	m.stream, m.shards = s, s.Shards()
	for i := range m.shards {
		m.found(t, i)
	}
	files := snapshot(t, m.fs)
	for i := range m.sent {
		for _, r := range m.sent[i] {
			if r.hidden && len(r.data) >= 16 && plainCopies(files, []byte(r.data)) > 0 {
				t.Fatalf("record %.40q can be read on disk", r.data)
			}
		}
	}
}

// encrypt turns encryption on or off. After an error either may be.
func (m *crashModel) encrypt(t *rapid.T) {
	on := rapid.Bool().Draw(t, "on")
	for _, s := range m.open { // what waits may be written before or after
		for o := range s.n {
			r := &m.sent[s.shard][s.first+o]
			r.hidden = r.hidden && on
		}
	}
	if err := m.stream.SetEncrypted(on); err == nil && m.stream.Encrypted() != on {
		t.Fatalf("set to %t: got %t", on, !on)
	}
}

// found compares a shard that was just opened with what was sent: what it holds is
// durable from now on, the rest never was.
func (m *crashModel) found(t *rapid.T, i int) {
	s := m.shards[i]
	if err := s.Err(); err != nil {
		t.Fatalf("shard %d does not accept records after opening: %v", i, err)
	}
	end := int(s.Durable())
	if end > len(m.sent[i]) {
		t.Fatalf("shard %d holds %d records, %d were submitted", i, end, len(m.sent[i]))
	}
	for o := end; o < len(m.sent[i]); o++ {
		if m.sent[i][o].acked {
			t.Fatalf("shard %d ends at %d; record %d was acknowledged", i, end, o)
		}
	}
	m.sent[i] = m.sent[i][:end]
	m.compare(t, i)
	for o := range m.sent[i] {
		m.sent[i][o].acked = true
	}
}

// compare reads all that is durable.
func (m *crashModel) compare(t *rapid.T, i int) {
	s := m.shards[i]
	from, end := s.Horizon(), s.Durable()
	for o := range from {
		if age := m.now.Load() - m.sent[i][o].at; age < crashRetention.Milliseconds() {
			t.Fatalf("shard %d: record %d is trimmed after %d ms", i, o, age)
		}
	}
	r := s.Reader(from)
	defer r.Close()
	for at := from; at < end; {
		records, err := r.Next(context.Background(), 3000)
		if errors.Is(err, stream.ErrTrimmed) {
			return // in between; checked next time
		}
		if err != nil {
			t.Fatalf("shard %d, record %d: %v", i, at, err)
		}
		for _, rec := range records {
			if want := m.sent[i][rec.Offset].data; rec.Offset != at || string(rec.Data) != want || string(rec.PartitionKey) != "k" {
				t.Fatalf("shard %d: got record %d %.40q, want %d %.40q", i, rec.Offset, rec.Data, at, want)
			}
			at++
		}
	}
}

func (m *crashModel) submit(t *rapid.T) {
	i := rapid.IntRange(0, crashShards-1).Draw(t, "shard")
	sizes := rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 5).Draw(t, "sizes")
	entries := make([]stream.Entry, len(sizes))
	for k, n := range sizes {
		m.serial++
		data := fmt.Appendf(nil, "%d:", m.serial)
		for len(data) < n {
			data = append(data, byte(m.serial+len(data)))
		}
		entries[k] = stream.Entry{PartitionKey: "k", Data: data}
	}
	commit, err := m.shards[i].Submit(entries)
	var failed *stream.FailedError
	if err != nil {
		if !errors.As(err, &failed) {
			t.Fatalf("submit: %v", err)
		}
		return
	}
	m.open = append(m.open, submission{i, len(entries), len(m.sent[i]), commit})
	for _, e := range entries {
		m.sent[i] = append(m.sent[i], sent{data: string(e.Data), at: m.now.Load(), hidden: m.stream.Encrypted()})
	}
}

// wait waits for all that was submitted.
func (m *crashModel) wait(t *rapid.T) {
	for _, s := range m.open {
		first, err := s.commit.Wait(context.Background())
		var failed *stream.FailedError
		if err != nil && !errors.As(err, &failed) && !errors.Is(err, stream.ErrShardClosed) {
			t.Fatalf("wait: %v", err)
		}
		if int(first) != s.first {
			t.Fatalf("shard %d: got offset %d, want %d", s.shard, first, s.first)
		}
		if err == nil {
			for o := range s.n {
				m.sent[s.shard][s.first+o].acked = true
			}
		}
	}
	m.open = nil
}

// lose takes the machine or the process away in the middle of what it does.
func (m *crashModel) lose(t *rapid.T, how func() *vfs.Mem) {
	m.fs = how()
	m.stop()
	m.wait(t)
	m.reopen(t)
}

// fault makes one of the next calls fail.
func (m *crashModel) fault(t *rapid.T) {
	kind := rapid.SampledFrom([]vfs.OpKind{vfs.OpWrite, vfs.OpSync, vfs.OpSync, vfs.OpSyncDir, vfs.OpCreate, vfs.OpRemove}).Draw(t, "kind")
	f := &vfs.Fault{Err: syscall.EIO, Short: rapid.IntRange(0, 5000).Draw(t, "short"), Persisted: rapid.Bool().Draw(t, "persisted")}
	if kind == vfs.OpWrite {
		f.Err = syscall.ENOSPC
	}
	var left atomic.Int64
	left.Store(int64(rapid.IntRange(1, 4).Draw(t, "after")))
	m.fs.Inject(func(op vfs.Op) *vfs.Fault {
		if op.Kind == kind && left.Add(-1) == 0 {
			return f
		}
		return nil
	})
}

// check runs after every step.
func (m *crashModel) check(t *rapid.T) {
	for i := range m.shards {
		m.compare(t, i)
	}
}
