package stream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"freshet/stream"
)

// BenchmarkAppendByShards has one writer and 16 that wait for each record, to shards
// drawn at random: what an append costs should not depend on how many shards there are.
func BenchmarkAppendByShards(b *testing.B) {
	for _, shards := range []int{1, 16, 100, 500} {
		for _, writers := range []int{1, 16} {
			b.Run(fmt.Sprintf("shards=%d/writers=%d", shards, writers), func(b *testing.B) {
				log, _ := start(b, stream.Options{Dir: b.TempDir() + "/log"})
				s := create(b, log, "metrics", shards)
				send := make(chan struct{})
				var running sync.WaitGroup
				for w := range writers {
					running.Go(func() {
						rng := rand.New(rand.NewPCG(1, uint64(w)))
						entries := []stream.Entry{{Explicit: true, Data: make([]byte, 200)}}
						for range send {
							entries[0].HashKey = stream.HashKey{Hi: rng.Uint64()}
							if _, err := s.ShardFor(entries[0].HashKey).Append(context.Background(), entries); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for b.Loop() {
					send <- struct{}{}
				}
				close(send)
				running.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// BenchmarkLargeStream writes GB gigabytes (of the environment; 1 by default) through
// four shards in frames of about 1 MiB, and opens the log again: memory and the time to
// open should hardly depend on how much is there.
func BenchmarkLargeStream(b *testing.B) {
	gb := 1.0
	if text := os.Getenv("GB"); text != "" {
		var err error
		if gb, err = strconv.ParseFloat(text, 64); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		dir := b.TempDir()
		log, stop := start(b, stream.Options{Dir: dir})
		s := create(b, log, "metrics", 4)
		var writers sync.WaitGroup
		before := heap()
		began, most := time.Now(), uint64(0)
		for _, shard := range s.Shards() {
			writers.Go(func() {
				entries := make([]stream.Entry, 5000)
				for i := range entries {
					entries[i] = stream.Entry{Explicit: true, Data: make([]byte, 200)}
				}
				for written := 0; written < int(gb*1e9/4); written += 5000 * 228 {
					if _, err := shard.Append(context.Background(), entries); err != nil {
						b.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { writers.Wait(); close(done) }()
		for going := true; going; {
			select {
			case <-done:
				going = false
			case <-time.After(time.Second):
				most = max(most, heap())
			}
		}
		wrote := time.Since(began)
		var size int64
		for _, st := range log.Stats() {
			size += st.Bytes
		}
		stop()
		began = time.Now()
		_, stop = start(b, stream.Options{Dir: dir})
		opened := time.Since(began)
		stop()
		b.ReportMetric(float64(size)/1e9, "GB")
		b.ReportMetric(float64(size)/1e6/wrote.Seconds(), "MB/s")
		b.ReportMetric(float64(before)/1e6, "heap-MB-before")
		b.ReportMetric(float64(max(most, heap()))/1e6, "heap-MB-most")
		b.ReportMetric(float64(opened.Microseconds())/1000, "open-ms")
	}
}

// heap is the live heap in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
