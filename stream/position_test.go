package stream_test

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/vfs"

	"pgregory.net/rapid"
)

func TestSeek(t *testing.T) {
	fs, c := vfs.NewMem(), newClock()
	o := memOptions(fs)
	o.Now = c.now
	log, stop := start(t, o)
	shard := create(t, log, "s", 2).Shards()[1]
	const n = 120
	arrived := make([]int64, n)
	for i := range n {
		c.advance(time.Duration(i%3) * time.Second) // some arrive together
		commit, err := shard.Submit([]stream.Entry{entry("%d %s", i, strings.Repeat("x", 400))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := commit.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		arrived[i] = commit.Arrived()
	}
	check := func(s *stream.Shard) {
		t.Helper()
		want := func(p stream.Position, want stream.Offset) {
			t.Helper()
			if got, err := s.Seek(p); err != nil || got != want {
				t.Errorf("%+v: got %d, %v, want %d", p, got, err, want)
			}
		}
		want(stream.Position{Kind: stream.TrimHorizon}, 0)
		want(stream.Position{Kind: stream.Latest}, n)
		for i := range n {
			at := s.SequenceNumber(stream.Offset(i), arrived[i])
			want(stream.Position{Kind: stream.AtSequenceNumber, Sequence: at}, stream.Offset(i))
			want(stream.Position{Kind: stream.AfterSequenceNumber, Sequence: at}, stream.Offset(i+1))
			first := i
			for first > 0 && arrived[first-1] == arrived[i] {
				first--
			}
			want(stream.Position{Kind: stream.AtTimestamp, Time: arrived[i]}, stream.Offset(first))
			want(stream.Position{Kind: stream.AtTimestamp, Time: arrived[first] - 1}, stream.Offset(first))
		}
		want(stream.Position{Kind: stream.AtTimestamp, Time: arrived[n-1] + 1}, n)
		if _, err := s.Seek(stream.Position{Kind: stream.AtSequenceNumber, Sequence: s.SequenceNumber(n, 0)}); !errors.Is(err, stream.ErrNotYet) {
			t.Errorf("a sequence number above all: got %v, want ErrNotYet", err)
		}
		strange := s.SequenceNumber(1, 0)
		strange.Shard = 0
		if _, err := s.Seek(stream.Position{Kind: stream.AtSequenceNumber, Sequence: strange}); err == nil {
			t.Error("a sequence number of another shard is accepted")
		}
	}
	check(shard)
	stop()
	log, _ = start(t, o)
	s, _ := log.Stream("s")
	check(s.Shards()[1])
}

func TestSequenceNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := stream.SequenceNumber{
			Created: rapid.Uint64Range(0, 1<<36-1).Draw(t, "created"), Shard: stream.ShardID(rapid.Uint32().Draw(t, "shard")),
			Offset: stream.Offset(rapid.Uint64Range(0, 1<<63-1).Draw(t, "offset")), Second: rapid.Uint64Range(0, 1<<36-1).Draw(t, "second"),
		}
		text := n.String()
		if got, err := stream.ParseSequenceNumber(text); err != nil || got != n {
			t.Fatalf("%s: got %+v, %v, want %+v", text, got, err, n)
		}
		// The layout, digit by digit.
		v, _ := new(big.Int).SetString(text, 10)
		hex := v.Text(16)
		if len(hex) != 47 || hex[0] != '2' || hex[46] != '2' || hex[27:29] != "00" || hex[10] != hex[45] {
			t.Fatalf("%s is %s in hexadecimal", text, hex)
		}
		after := n
		after.Offset, after.Second = n.Offset+1, 0
		if n.Offset < 1<<63-1 && after.String() <= text {
			t.Fatalf("%s does not rise to %s", text, after)
		}
	})
	// One that the Kinesis documentation shows.
	if n, err := stream.ParseSequenceNumber("49543463076548007577105092703039560359975228518395012686"); err == nil {
		t.Logf("a number of Kinesis is read as %+v", n)
	}
	for _, bad := range []string{"", "1", strings.Repeat("9", 56), strings.Repeat("x", 56), strings.Repeat("0", 56)} {
		if n, err := stream.ParseSequenceNumber(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, n)
		}
	}
}

func TestHashRangesCoverAllKeys(t *testing.T) {
	fs := vfs.NewMem()
	log, _ := start(t, memOptions(fs))
	top := new(big.Int).Lsh(big.NewInt(1), 128)
	for _, n := range []int{1, 2, 3, 7, 64} {
		s := create(t, log, strings.Repeat("s", n), n)
		next := new(big.Int)
		for i, sh := range s.Shards() {
			first, last := sh.Range()
			if first.String() != next.String() {
				t.Fatalf("%d shards: shard %d starts at %s, want %s", n, i, first, next)
			}
			if back, err := stream.ParseHashKey(last.String()); err != nil || back != last {
				t.Fatalf("%s is read as %v, %v", last, back, err)
			}
			if s.ShardFor(first) != sh || s.ShardFor(last) != sh {
				t.Fatalf("%d shards: shard %d does not get its own keys", n, i)
			}
			next.SetString(last.String(), 10)
			next.Add(next, big.NewInt(1))
		}
		if next.Cmp(top) != 0 {
			t.Errorf("%d shards: they end at %s", n, next)
		}
	}
	if got, want := stream.HashPartitionKey("a").String(), "16955237001963240173058271559858726497"; got != want {
		t.Errorf("MD5 of a: got %s, want %s", got, want)
	}
	for _, bad := range []string{"", "-1", "01", top.String(), "1e3"} {
		if h, err := stream.ParseHashKey(bad); err == nil {
			t.Errorf("%q is read as %s", bad, h)
		}
	}
}

func TestReadersWaitAndWake(t *testing.T) {
	log, stop := start(t, memOptions(vfs.NewMem()))
	shard := create(t, log, "s", 1).Shards()[0]
	const readers, n = 20, 200
	var wg, waited sync.WaitGroup
	waited.Add(readers)
	for range readers {
		wg.Go(func() {
			done := sync.OnceFunc(waited.Done)
			defer done()
			r := shard.Reader(0)
			defer r.Close()
			for at := stream.Offset(0); at < n; {
				records, err := r.Next(context.Background(), 500)
				if err != nil {
					t.Error(err)
					return
				}
				for _, rec := range records {
					if rec.Offset != at {
						t.Errorf("got offset %d, want %d", rec.Offset, at)
						return
					}
					at++
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			if _, err := r.Next(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("at the end: got %v, want DeadlineExceeded", err)
			}
			done()
			if _, err := r.Next(context.Background(), 0); !errors.Is(err, stream.ErrShardClosed) {
				t.Errorf("after Close: got %v, want ErrShardClosed", err)
			}
		})
	}
	appendN(t, shard, 0, n)
	waited.Wait()
	stop()
	wg.Wait()
}

func TestSubmitRefuses(t *testing.T) {
	o := memOptions(vfs.NewMem())
	o.PendingBytes = 10_000
	log, err := stream.Open(o) // nothing runs, so all waits
	if err != nil {
		t.Fatal(err)
	}
	shard := create(t, log, "s", 1).Shards()[0]
	if _, err := shard.Submit([]stream.Entry{{Data: make([]byte, 9000)}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		entries []stream.Entry
		want    error
	}{
		"more than may wait": {[]stream.Entry{{Data: make([]byte, 2000)}}, stream.ErrOverloaded},
		"a large record":     {[]stream.Entry{{}, {Data: make([]byte, stream.MaxRecordBytes+1)}}, stream.ErrTooLarge},
		"a long key":         {[]stream.Entry{{PartitionKey: strings.Repeat("k", stream.MaxKeyBytes+1)}}, stream.ErrTooLarge},
		"much in all":        {[]stream.Entry{{Data: make([]byte, 9<<20)}, {Data: make([]byte, 9<<20)}}, stream.ErrTooLarge},
	} {
		if _, err := shard.Submit(c.entries); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	commit, err := shard.Submit([]stream.Entry{{Data: make([]byte, 100)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := commit.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := commit.Wait(context.Background()); !errors.Is(err, stream.ErrShardClosed) {
		t.Errorf("got %v, want ErrShardClosed", err)
	}
	if _, err := shard.Submit([]stream.Entry{{}}); !errors.Is(err, stream.ErrShardClosed) {
		t.Errorf("got %v, want ErrShardClosed", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	log, _ := start(t, memOptions(vfs.NewMem()))
	create(t, log, "a.b_c-D9", 1)
	if _, err := log.Create("a.b_c-D9", 1); !errors.Is(err, stream.ErrStreamExists) {
		t.Errorf("got %v, want ErrStreamExists", err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "é", strings.Repeat("a", 129)} {
		if _, err := log.Create(name, 1); !errors.Is(err, stream.ErrBadName) {
			t.Errorf("%q: got %v, want ErrBadName", name, err)
		}
	}
	for _, n := range []int{0, -1, stream.MaxShards + 1} {
		if _, err := log.Create("x", n); err == nil {
			t.Errorf("%d shards are accepted", n)
		}
	}
}

func TestRunWritesWhatWasSubmittedBeforeItEnds(t *testing.T) {
	o := memOptions(vfs.NewMem())
	log, stop := start(t, o)
	shard := create(t, log, "s", 1).Shards()[0]
	var commits []*stream.Commit
	for i := range 50 {
		commit, err := shard.Submit([]stream.Entry{entry("%d %s", i, strings.Repeat("x", i%500))})
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, commit)
	}
	stop()
	for i, c := range commits {
		if first, err := c.Wait(context.Background()); err != nil || int(first) != i {
			t.Fatalf("submission %d: got %d, %v", i, first, err)
		}
	}
	log, _ = start(t, o)
	s, _ := log.Stream("s")
	wantN(t, s.Shards()[0], 50)
}
