package kinesis

import (
	"sync"
	"time"

	"freshet/stream"
)

// The throughput of a shard, as the service has it, each second.
const (
	shardWriteBytes   = 1 << 20
	shardWriteRecords = 1000
	shardReadBytes    = 2 << 20
	shardReads        = 5
)

// rates holds the shards of limited streams to the throughput of the service. Its methods
// may be called by several goroutines at once.
type rates struct {
	mu     sync.Mutex
	shards map[*stream.Shard]*shardRates // those with a bucket that is not full
}

// shardRates is the buckets of one shard.
type shardRates struct {
	writeBytes, writeRecords, readBytes, reads bucket
}

// A bucket holds what may be used at once; a second fills it.
type bucket struct {
	used float64 // of one second's worth
	at   time.Time
}

// leak lets time pass.
func (b *bucket) leak(now time.Time, each float64) {
	b.used = max(0, b.used-each*now.Sub(b.at).Seconds())
	b.at = now
}

func (r *rates) of(shard *stream.Shard, now time.Time) *shardRates {
	if r.shards == nil {
		r.shards = map[*stream.Shard]*shardRates{}
	}
	x := r.shards[shard]
	if x == nil {
		if len(r.shards) > stream.MaxKeptShards { // full buckets say nothing
			for s, y := range r.shards {
				if now.Sub(y.writeBytes.at) > time.Minute && now.Sub(y.reads.at) > time.Minute {
					delete(r.shards, s)
				}
			}
		}
		x = &shardRates{}
		r.shards[shard] = x
	}
	x.writeBytes.leak(now, shardWriteBytes)
	x.writeRecords.leak(now, shardWriteRecords)
	x.readBytes.leak(now, shardReadBytes)
	x.reads.leak(now, shardReads)
	return x
}

// write takes what records need, or nothing. A bucket that is not used takes anything.
func (r *rates) write(shard *stream.Shard, records, bytes int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of(shard, now)
	if !x.writeBytes.fits(bytes, shardWriteBytes) || !x.writeRecords.fits(records, shardWriteRecords) {
		return false
	}
	x.writeBytes.used += float64(bytes)
	x.writeRecords.used += float64(records)
	return true
}

// read takes one read, or nothing while reads or bytes are used up.
func (r *rates) read(shard *stream.Shard, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of(shard, now)
	if !x.reads.fits(1, shardReads) || x.readBytes.used > 0 && !x.readBytes.fits(1, shardReadBytes) {
		return false
	}
	x.reads.used++
	return true
}

// took charges the bytes of a read, which may be more than a second's: the next waits.
func (r *rates) took(shard *stream.Shard, bytes int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(shard, now).readBytes.used += float64(bytes)
}

func (b *bucket) fits(n int, most float64) bool { return b.used+float64(n) <= most || b.used == 0 }
