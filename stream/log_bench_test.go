package stream_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/vfs"
)

// BenchmarkAppend has writers that each wait until their record is durable before they
// send the next. Beside it stands the disk's own rate in the same run: one writer that
// appends and fdatasyncs as many bytes as a group had on average.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		size, writers int
		encrypted     bool
	}{
		{200, 1, false}, {200, 16, false}, {200, 256, false}, {8 << 10, 1, false}, {8 << 10, 16, false}, {8 << 10, 64, false}, {100 << 10, 16, false},
		{200, 1, true}, {200, 256, true}, {8 << 10, 16, true}, {100 << 10, 16, true},
	} {
		b.Run(fmt.Sprintf("record=%d/writers=%d%s", c.size, c.writers, suffix(c.encrypted)), func(b *testing.B) {
			dir := b.TempDir()
			log, stop := start(b, stream.Options{Dir: dir + "/log", Keys: ring(b, "k")})
			shard := benchmarked(b, log, c.encrypted)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			send := make(chan struct{})
			var writers sync.WaitGroup
			for range c.writers {
				writers.Go(func() {
					entries := []stream.Entry{{Explicit: true, Data: make([]byte, c.size)}}
					for range send {
						if _, err := shard.Append(context.Background(), entries); err != nil {
							b.Error(err)
						}
					}
				})
			}
			n, began := 0, time.Now()
			for b.Loop() {
				send <- struct{}{}
				n++
			}
			took := time.Since(began)
			close(send)
			writers.Wait()
			st := shard.Stats()
			stop()
			group := int(st.Written / st.Groups)
			disk := diskRate(b, dir+"/raw", group)
			b.ReportMetric(float64(n)/took.Seconds(), "records/s")
			b.ReportMetric(float64(st.Records)/float64(st.Groups), "records/group")
			b.ReportMetric(float64(st.Groups)/took.Seconds(), "groups/s")
			b.ReportMetric(disk, "disk-groups/s")
		})
	}
}

// diskRate is how often a second the disk takes an append of n bytes and an fdatasync.
func diskRate(b *testing.B, name string, n int) float64 {
	f, err := vfs.OS{}.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf, at, groups := make([]byte, n), int64(0), 0
	began := time.Now()
	for time.Since(began) < 500*time.Millisecond {
		if _, err := f.WriteAt(buf, at); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		at += int64(n)
		groups++
	}
	return float64(groups) / time.Since(began).Seconds()
}

// BenchmarkRead reads a shard from its first record to its last, from the page cache.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		size      int
		encrypted bool
	}{{200, false}, {8 << 10, false}, {200, true}, {8 << 10, true}} {
		size := c.size
		b.Run(fmt.Sprintf("record=%d%s", size, suffix(c.encrypted)), func(b *testing.B) {
			log, _ := start(b, stream.Options{Dir: b.TempDir() + "/log", Keys: ring(b, "k")})
			shard := benchmarked(b, log, c.encrypted)
			const total = 64 << 20
			entries := make([]stream.Entry, 256<<10/size)
			for i := range entries {
				entries[i] = stream.Entry{Explicit: true, Data: make([]byte, size)}
			}
			for written := 0; written < total; written += len(entries) * size {
				if _, err := shard.Append(context.Background(), entries); err != nil {
					b.Fatal(err)
				}
			}
			end := shard.Durable()
			b.SetBytes(int64(end) * int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r := shard.Reader(0)
				for r.Offset() < end {
					if _, err := r.Next(context.Background(), 0); err != nil {
						b.Fatal(err)
					}
				}
				r.Close()
			}
			b.ReportMetric(float64(b.N)*float64(end)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func suffix(encrypted bool) string {
	if encrypted {
		return "/encrypted"
	}
	return ""
}

func benchmarked(b *testing.B, log *stream.Log, encrypted bool) *stream.Shard {
	if encrypted {
		return createEncrypted(b, log, "metrics").Shards()[0]
	}
	return create(b, log, "metrics", 1).Shards()[0]
}
