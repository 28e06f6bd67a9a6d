package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"freshet/aggregate"
	"freshet/ingest"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/stream/vfs"
)

// A sender posts to a log in memory, again and again, and knows what has to be counted.
type sender struct {
	t       *testing.T
	options aggregate.Options
	fs      *vfs.Mem
	now     atomic.Int64 // epoch ms
	log     *stream.Log
	stream  *stream.Stream
	engine  *aggregate.Engine
	ingest  *ingest.Ingest
	shelf   *shelf
	stop    func()

	posts    []map[int]bool // the series of each
	complete map[int]bool   // posts that were acknowledged once
}

func newSender(t *testing.T, o aggregate.Options) *sender {
	s := &sender{t: t, options: o, fs: vfs.NewMem(), shelf: newShelf(), complete: map[int]bool{}}
	s.now.Store(noon)
	s.start()
	return s
}

// start opens the log and has an engine go on where the shelf ends.
func (s *sender) start() {
	s.t.Helper()
	now := func() time.Time { return time.UnixMilli(s.now.Load()) }
	var err error
	if s.log, err = stream.Open(stream.Options{Dir: "log", FS: s.fs, Now: now, Retention: -1, SegmentBytes: 1 << 20}); err != nil {
		s.t.Fatal(err)
	}
	var ok bool
	if s.stream, ok = s.log.Stream("metrics"); !ok {
		if s.stream, err = s.log.Create("metrics", 2); err != nil {
			s.t.Fatal(err)
		}
	}
	s.engine = s.engineOn(s.shelf)
	if s.ingest, err = ingest.New(ingest.Options{Stream: s.stream, Now: now}); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- s.log.Run(ctx) }()
	go func() { done <- s.engine.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			s.t.Error(err)
		}
		s.log.Close() // fails after a crash
	})
}

// engineOn returns an engine that goes on where a shelf ends.
func (s *sender) engineOn(h *shelf) *aggregate.Engine {
	s.t.Helper()
	o := s.options
	o.Stream, o.Now = s.stream, func() time.Time { return time.UnixMilli(s.now.Load()) }
	o.History, o.Restored = h, h.restored
	engine, err := aggregate.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	return engine
}

const sentSeries = 12

// point is the point of a series in a post: no two have the same value.
func (s *sender) point(post, series int) point.Point {
	return point.Point{
		Series: point.Series{Metric: "m", Type: point.Gauge, Labels: point.Labels{{Name: "i", Value: fmt.Sprint(series)}}},
		Time:   noon - 60_000, Value: float64(100*post + series),
	}
}

func keyOfPost(n int) point.Key { return point.KeyOf([16]byte{1}, uint64(n)) }

// send sends all of a post by ingest.
func (s *sender) send(ctx context.Context, n int) error {
	post := s.ingest.NewPost()
	defer post.Free()
	post.SetKey(keyOfPost(n))
	for series := range s.posts[n] {
		p := s.point(n, series)
		var v point.View
		v.Set(&p)
		post.Add(0, &v)
	}
	_, err := post.Commit(ctx)
	return err
}

// part sends what of a post belongs to some of the shards, as when the others failed, in
// so many records at most.
func (s *sender) part(n, records int, take func() bool) {
	s.t.Helper()
	for _, shard := range s.stream.OpenShards() {
		if !take() {
			continue
		}
		var entries []stream.Entry
		var of [][]int
		for series := range s.posts[n] {
			if !shard.Holds(stream.HashKey{Hi: point.HashOf(s.point(n, series).Series)}) {
				continue
			}
			if len(of) < records {
				of = append(of, nil)
			}
			of[series%len(of)] = append(of[series%len(of)], series)
		}
		for part, series := range of {
			var b point.Builder
			var all []int
			for i, x := range series {
				p := s.point(n, x)
				var v point.View
				v.Set(&p)
				b.Add(&v)
				all = append(all, i)
			}
			first, _ := shard.Range()
			m := point.Mark{Key: keyOfPost(n), Home: uint32(shard.ID()) + 1, Part: uint32(part)}
			entries = append(entries, stream.Entry{HashKey: first, Explicit: true, Data: b.EncodeMarked(nil, all, m)})
		}
		if len(entries) == 0 {
			continue
		}
		if _, err := shard.Append(context.Background(), entries); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *sender) reshard(pick func(n int) int) {
	s.t.Helper()
	open := s.stream.OpenShards()
	i := pick(len(open))
	var err error
	if len(open) > 3 && i > 0 || len(open) > 5 {
		i = max(i, 1)
		_, err = s.stream.Merge(context.Background(), open[i-1].ID(), open[i].ID())
	} else {
		first, last := open[i].Range()
		_, err = s.stream.Split(context.Background(), open[i].ID(), stream.HashKey{Hi: first.Hi + (last.Hi-first.Hi)/2 + 1})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sender) load() {
	s.t.Helper()
	f, err := s.engine.Freeze(context.Background())
	if errors.Is(err, aggregate.ErrNothingPending) {
		return
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.shelf.commit(s.t, f)
	s.engine.Loaded(f.Generation())
}

// counted returns how often each value counts: on a shelf, or in what an engine has beyond it.
func counted(t *testing.T, e *aggregate.Engine, h *shelf) map[float64]int {
	t.Helper()
	out := map[float64]int{}
	for _, p := range h.points {
		out[p.value]++
	}
	tail, err := e.Tail(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	err = tail.Points(context.Background(), func(p *aggregate.Points) error {
		for _, v := range p.Value {
			out[v]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// check wants every point once that was acknowledged, and none twice, in the points and in
// the windows.
func (s *sender) check(t rapid.TB) {
	t.Helper()
	got := counted(s.t, s.engine, s.shelf)
	for n, of := range s.posts {
		for series := range of {
			v := float64(100*n + series)
			if got[v] > 1 || got[v] == 0 && s.complete[n] {
				t.Fatalf("post %d, series %d: counted %d times; acknowledged: %v", n, series, got[v], s.complete[n])
			}
		}
	}
	a, err := s.engine.Query(context.Background(), aggregate.Query{Metric: "m", Agg: "count", Range: "1h", Step: "1m"})
	if err != nil {
		if len(got) == 0 {
			return
		}
		t.Fatal(err)
	}
	count := 0.0
	for _, x := range a.Series {
		for _, v := range x.Values {
			if v == v {
				count += v
			}
		}
	}
	if int(count) != len(got) {
		t.Fatalf("windows count %v points, want %d", count, len(got))
	}
}

// A post that is sent again is counted once, whatever happens between: it was there in
// part, a reshard has moved its series, it was loaded, the program was killed while it was
// under way.
func TestRetriesCountOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSender(t, aggregate.Options{})
		defer func() { s.stop() }()
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{
			"post", "post", "part", "part", "parts", "again", "again", "both", "reshard", "reshard", "load", "load", "restart", "kill", "check",
		}), 5, 30).Draw(rt, "steps")
		fresh := func() int {
			of := map[int]bool{}
			for i := range sentSeries {
				if pick("in", 3) > 0 {
					of[i] = true
				}
			}
			s.posts = append(s.posts, of)
			return len(s.posts) - 1
		}
		some := func() int {
			if len(s.posts) == 0 || pick("fresh", 4) == 0 {
				return fresh()
			}
			return pick("post", len(s.posts))
		}
		acked := func(n int) {
			if err := s.send(context.Background(), n); err != nil {
				t.Fatal(err)
			}
			s.complete[n] = true
		}
		for _, step := range steps {
			switch step {
			case "post":
				acked(fresh())
			case "again":
				acked(some())
			case "part":
				s.part(some(), 1, func() bool { return pick("shard", 2) == 1 })
			case "parts":
				s.part(some(), 1+pick("records", 4), func() bool { return pick("shard", 2) == 1 })
			case "both": // the first is still under way when it is sent again
				n := some()
				var group sync.WaitGroup
				for range 2 {
					group.Go(func() {
						if err := s.send(context.Background(), n); err != nil {
							t.Error(err)
						}
					})
				}
				if pick("reshard too", 2) == 1 {
					s.reshard(func(n int) int { return pick("shard", n) })
				}
				group.Wait()
				s.complete[n] = true
			case "reshard":
				s.reshard(func(n int) int { return pick("shard", n) })
			case "load":
				s.load()
			case "restart":
				s.stop()
				s.start()
			case "kill":
				n, seed := some(), uint64(pick("seed", 1000))
				sent := make(chan error, 1)
				go func() { sent <- s.send(context.Background(), n) }()
				after := s.fs.Crash(rand.New(rand.NewPCG(seed, 1)))
				s.stop()
				if <-sent == nil {
					s.complete[n] = true
				}
				s.fs = after
				s.start()
			case "check":
				s.check(rt)
			}
		}
		for n := range s.posts {
			acked(n)
		}
		s.check(rt)
		s.load()
		s.check(rt)
	})
}

// Which posts are counted is a function of the log: however loads and restarts came between,
// and however few keys are remembered, a fold of all of the log from its beginning counts the same.
func TestWhatCountsIsAFunctionOfTheLog(t *testing.T) {
	repeated := 0
	rapid.Check(t, func(rt *rapid.T) {
		o := aggregate.Options{MaxKeys: rapid.IntRange(1, 8).Draw(rt, "keys"), KeyAge: time.Duration(rapid.IntRange(1, 20).Draw(rt, "age")) * time.Second}
		s := newSender(t, o)
		defer func() { s.stop() }()
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"post", "again", "again", "again", "part", "reshard", "load", "restart", "time"}), 10, 50).Draw(rt, "steps")
		for _, step := range steps {
			switch step {
			case "post":
				s.posts = append(s.posts, map[int]bool{pick("series", sentSeries): true, pick("series", sentSeries): true, pick("series", sentSeries): true})
				if err := s.send(context.Background(), len(s.posts)-1); err != nil {
					t.Fatal(err)
				}
			case "again", "part":
				if len(s.posts) == 0 {
					continue
				}
				s.part(len(s.posts)-1-pick("post", min(10, len(s.posts))), 3, func() bool { return step == "again" || pick("shard", 2) == 1 })
			case "reshard":
				s.reshard(func(n int) int { return pick("shard", n) })
			case "load":
				s.load()
			case "restart":
				s.stop()
				s.start()
			case "time":
				s.now.Add(rapid.Int64Range(1, 8000).Draw(rt, "ms"))
			}
		}
		got := counted(t, s.engine, s.shelf)
		empty := newShelf()
		e := s.engineOn(empty)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		want := counted(t, e, empty)
		repeated += int(e.Stats().Repeated)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(got) != len(want) {
			rt.Fatalf("got %d values, want %d", len(got), len(want))
		}
		for v, n := range want {
			if got[v] != n {
				rt.Fatalf("value %v: counted %d times, want %d", v, got[v], n)
			}
		}
	})
	if repeated < 100 {
		t.Errorf("only %d points were repeated: too little to mean anything", repeated)
	}
}

// The window: the last MaxKeys keys of at most KeyAge, by the time of arrival and not of the
// last retry.
func TestOldKeysAreForgotten(t *testing.T) {
	s := newSender(t, aggregate.Options{MaxKeys: 3, KeyAge: 10 * time.Second})
	defer func() { s.stop() }()
	times := func(n int) int { return counted(t, s.engine, s.shelf)[float64(100*n+7)] }
	send := func(n int) {
		for len(s.posts) <= n {
			s.posts = append(s.posts, map[int]bool{7: true})
		}
		if err := s.send(context.Background(), n); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		after      int64 // ms
		post, want int
		load       bool
	}{
		{0, 0, 1, false}, {9_000, 0, 1, true}, {1_999, 0, 1, false}, // 10.999 s is 10 s
		{1, 0, 2, true},                                                       // a retry does not renew the key, but this was no retry
		{0, 1, 1, false}, {0, 2, 1, false}, {0, 0, 2, true}, {0, 3, 1, false}, // 0 was the oldest
		{0, 0, 3, true}, {0, 3, 1, false}, {0, 2, 1, false}, {0, 1, 2, false},
	} {
		s.now.Add(step.after)
		send(step.post)
		if got := times(step.post); got != step.want {
			t.Fatalf("%+v: counted %d times", step, got)
		}
		if step.load {
			s.load()
			s.stop()
			s.start()
		}
	}
	if st := s.engine.Stats(); st.Keys > 2*3 || st.Keys == 0 {
		t.Errorf("got %d keys in all, want 1 to 6", st.Keys)
	}
}

// A generation may end within a unit; its records share a fate all the same.
func TestARestartWithinAUnit(t *testing.T) {
	s := newSender(t, aggregate.Options{})
	s.posts = []map[int]bool{{}}
	for i := range sentSeries {
		s.posts[0][i] = true
	}
	s.part(0, 3, func() bool { return true })
	s.part(0, 3, func() bool { return true })
	s.load()
	whole := s.shelf
	s.stop()
	defer func() { s.stop() }()
	for at := stream.Offset(1); at < 6; at++ {
		// A warehouse in which the first shard is loaded up to there.
		s.shelf = newShelf()
		s.shelf.restored.Series, s.shelf.names = whole.restored.Series, whole.names
		s.shelf.restored.Generation, s.shelf.restored.Keys = 1, slices.Clone(whole.restored.Keys)
		s.shelf.restored.Positions[0], s.shelf.restored.Positions[1] = at, whole.restored.Positions[1]
		want := map[float64]int{}
		for _, p := range whole.points {
			if p.shard == 0 && p.offset >= at {
				want[p.value]++
			}
		}
		s.start()
		if got := counted(t, s.engine, s.shelf); len(got) != len(want) {
			t.Errorf("from record %d on: got %d points, want %d", at, len(got), len(want))
		}
		s.stop()
	}
}

// What somebody copied from one stream to another, record by record, is all counted: the
// records of a post share a key, and are not the same.
func TestCopiesOfRecordsAreNotRetries(t *testing.T) {
	s := newSender(t, aggregate.Options{})
	defer func() { s.stop() }()
	s.posts = []map[int]bool{{}}
	for i := range sentSeries {
		s.posts[0][i] = true
	}
	// Records of a stream of five shards, in an order of their own; each comes twice.
	var b point.Builder
	shard := s.stream.OpenShards()[0]
	for series := range sentSeries {
		b.Reset()
		p := s.point(0, series)
		var v point.View
		v.Set(&p)
		b.Add(&v)
		m := point.Mark{Key: keyOfPost(0), Home: uint32(series)%5 + 1, Part: uint32(series / 5)}
		for range 2 {
			first, _ := shard.Range()
			if _, err := shard.Append(context.Background(), []stream.Entry{{HashKey: first, Explicit: true, Data: b.EncodeMarked(nil, []int{0}, m)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.complete[0] = true
	s.check(t)
	if got := s.engine.Stats().Repeated; got != sentSeries {
		t.Errorf("got %d points repeated, want %d", got, sentSeries)
	}
}
