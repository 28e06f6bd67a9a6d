package producer_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"freshet/ingest/producer"
)

// TestKinesisDeliversEachOnce puts records while requests and parts of them fail and
// shards split: what was acknowledged is in the stream once, in the shard of its key, and
// under StrictOrder in the order of Put for each key.
func TestKinesisDeliversEachOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newService(rapid.IntRange(1, 4).Draw(rt, "shards"))
		s.page = rapid.IntRange(0, 3).Draw(rt, "page")
		o := producer.KinesisOptions{
			Plain:          rapid.Bool().Draw(rt, "plain"),
			StrictOrder:    rapid.Bool().Draw(rt, "strict"),
			AggregateBytes: rapid.IntRange(0, 600).Draw(rt, "aggregate"),
			AggregateCount: rapid.IntRange(0, 9).Draw(rt, "count"),
			CollectCount:   rapid.IntRange(0, 12).Draw(rt, "collect"),
			Requests:       rapid.IntRange(0, 4).Draw(rt, "requests"),
			RatePercent:    rapid.SampledFrom([]int{-1, 0, 20}).Draw(rt, "rate"),
			OnFull:         producer.Block,
			BufferBytes:    rapid.SampledFrom([]int{0, 5000}).Draw(rt, "buffer"),
		}
		faults := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 60).Draw(rt, "faults")
		wholes := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 20).Draw(rt, "failing requests")
		turn := 0
		s.fault = func(n, i int, _ string) string {
			if n > 60 { // the service recovers, before anything expires
				return ""
			}
			if i < 0 {
				return []string{"down", "InternalFailure", "", "", "", ""}[wholes[n%len(wholes)]]
			}
			if turn++; faults[turn%len(faults)] < 2 {
				return "ProvisionedThroughputExceededException"
			}
			return ""
		}
		s.delay = time.Duration(rapid.IntRange(0, 200).Draw(rt, "delay")) * time.Millisecond
		n := rapid.IntRange(1, 150).Draw(rt, "records")
		splits := rapid.SliceOfN(rapid.IntRange(0, n), 0, 4).Draw(rt, "splits")
		gap := time.Duration(rapid.IntRange(0, 30).Draw(rt, "gap")) * time.Millisecond
		synctest.Test(t, func(t *testing.T) { deliver(t, rt, s, o, n, splits, gap) })
	})
}

func deliver(t *testing.T, rt *rapid.T, s *service, o producer.KinesisOptions, n int, splits []int, gap time.Duration) {
	o.TTL = 10 * time.Minute
	k := startKinesis(t, s, o)
	done := make(chan struct{})
	go func() { defer close(done); k.Run(t.Context()) }()
	var mu sync.Mutex
	results := make(map[int]producer.Result)
	for i := range n {
		for _, at := range splits {
			if at == i {
				s.split(i)
			}
		}
		put(t, k, producer.Record{PartitionKey: fmt.Sprint("key-", i%7), Data: []byte(strconv.Itoa(i) + " " + strings.Repeat("x", i%90))}, func(r producer.Result) {
			mu.Lock()
			defer mu.Unlock()
			if _, twice := results[i]; twice {
				rt.Errorf("record %d has two results", i)
			}
			results[i] = r
		})
		time.Sleep(gap)
		if i == n/2 {
			k.Flush(t.Context())
		}
	}
	if err := k.Close(t.Context()); err != nil {
		rt.Errorf("Close: %v", err)
	}
	<-done
	if got := k.Stats(); got.Pending != 0 || got.Bytes != 0 || int(got.Sent) != n {
		rt.Errorf("got %+v, want %d sent", got, n)
	}
	got, skipped := s.consume()
	if stats := k.Stats(); int(stats.WrongShard) != skipped {
		rt.Errorf("%d records put again for their shard, %d were in a shard not theirs", stats.WrongShard, skipped)
	}
	seen, last := make(map[int]bool), make(map[string]int)
	for _, u := range got {
		text, _, _ := strings.Cut(string(u.Data), " ")
		i, _ := strconv.Atoi(text)
		if seen[i] {
			rt.Errorf("record %d is there twice", i)
		}
		seen[i] = true
		if r := results[i]; r.Err != nil || r.Shard != u.shard || r.SequenceNumber != u.sequence || r.SubSequence != u.sub {
			rt.Errorf("record %d: got %+v, want %s %s %d", i, r, u.shard, u.sequence, u.sub)
		}
		// Shards are read in the order in which they were made: parents before children.
		if before, ok := last[u.PartitionKey]; o.StrictOrder && ok && before > i {
			rt.Errorf("record %d of %s comes after %d", i, u.PartitionKey, before)
		}
		last[u.PartitionKey] = i
	}
	if len(seen) != n || len(results) != n {
		rt.Errorf("got %d records and %d results, want %d", len(seen), len(results), n)
	}
}

// A split shows at the next answer: what was packed for the parent arrives in a child, and
// what belongs into the other child is put again.
func TestKinesisFollowsASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(1)
		k := startKinesis(t, s, producer.KinesisOptions{})
		runKinesis(t, k)
		var mu sync.Mutex
		var wrong []producer.Result
		all := func() {
			for i := range 20 {
				put(t, k, producer.Record{PartitionKey: fmt.Sprint(i), Data: []byte{byte(i)}}, func(r producer.Result) {
					mu.Lock()
					defer mu.Unlock()
					if len(r.Attempts) > 1 {
						wrong = append(wrong, r)
					}
				})
			}
			if err := k.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		}
		all()
		s.split(0)
		time.Sleep(2 * time.Second)
		all()
		if len(wrong) == 0 || wrong[0].Attempts[0].ErrorCode != "Wrong Shard" || wrong[0].Attempts[1].ErrorCode != "" || s.lists != 2 {
			t.Errorf("got %+v, %d lists", wrong, s.lists)
		}
		before := s.stored()
		all()
		if got, _ := s.consume(); len(got) != 60 || s.lists != 2 || s.stored() != before+2 {
			t.Errorf("got %d records in %d, %d lists", len(got), s.stored()-before, s.lists)
		}
		if got := k.Stats(); int(got.WrongShard) != len(wrong) {
			t.Errorf("got %+v, want %d put again", got, len(wrong))
		}
		k.Close(t.Context())
	})
}

func BenchmarkKinesisPut(b *testing.B) {
	for _, plain := range []bool{false, true} {
		b.Run(fmt.Sprintf("plain=%v", plain), func(b *testing.B) {
			k := startKinesis(b, newService(4), producer.KinesisOptions{Plain: plain, BufferBytes: 1 << 30, RatePercent: -1})
			r := producer.Record{PartitionKey: "partition-17", Data: make([]byte, 200)}
			n := 0
			b.SetBytes(200)
			b.ReportAllocs()
			for b.Loop() {
				if err := k.Put(r, nil); err != nil {
					b.Fatal(err)
				}
				if n++; n%50_000 == 0 {
					b.StopTimer()
					if err := k.Flush(b.Context()); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
			k.Close(b.Context())
		})
	}
}
