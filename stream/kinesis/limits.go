package kinesis

import (
	"sync"
	"time"

	"freshet/stream"
)

// The throughput of a shard of the service, a second. Each is also what may come at once.
const (
	putsPerSecond     = 1000
	putBytesPerSecond = 1 << 20
	getsPerSecond     = 5
	getBytesPerSecond = 2 << 20
)

const (
	// maxThrottles is how many shards are followed before those at rest are forgotten.
	maxThrottles = 1024
	// maxDebt is more than one record or answer can cost: a bucket that is further behind
	// has seen the clock step back.
	maxDebt = 20 * time.Second
)

// A bucket holds a second's worth of something. It is the time at which it is full again,
// in epoch nanoseconds, so that the zero bucket is full.
type bucket int64

// has says whether a cost fits in. A full bucket lets anything pass, and is in debt after:
// what is larger than a second's worth has to pass at some time.
func (b bucket) has(now, cost int64) bool {
	ahead := int64(b) - now
	return ahead <= 0 || ahead+cost <= int64(time.Second) || ahead > int64(maxDebt)
}

// open says whether anything is left.
func (b bucket) open(now int64) bool {
	ahead := int64(b) - now
	return ahead < int64(time.Second) || ahead > int64(maxDebt)
}

func (b *bucket) take(now, cost int64) {
	if int64(*b) < now || int64(*b)-now > int64(maxDebt) {
		*b = bucket(now)
	}
	*b += bucket(cost)
}

// costOf is the time in which n of something flow in.
func costOf(n, perSecond int) int64 { return int64(n) * int64(time.Second) / int64(perSecond) }

// A throttle is the buckets of a shard. Its methods may be called by several goroutines
// at once.
type throttle struct {
	mu                             sync.Mutex
	puts, putBytes, gets, getBytes bucket
}

// put takes a record of n bytes in, or refuses it.
func (t *throttle) put(now time.Time, n int) bool {
	at := now.UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	one, bytes := costOf(1, putsPerSecond), costOf(n, putBytesPerSecond)
	if !t.puts.has(at, one) || !t.putBytes.has(at, bytes) {
		return false
	}
	t.puts.take(at, one)
	t.putBytes.take(at, bytes)
	return true
}

// get lets a call read, or refuses it. How much it reads is only known after; see pay.
func (t *throttle) get(now time.Time) bool {
	at := now.UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	one := costOf(1, getsPerSecond)
	if !t.gets.has(at, one) || !t.getBytes.open(at) {
		return false
	}
	t.gets.take(at, one)
	return true
}

// pay takes the bytes that a call has read.
func (t *throttle) pay(now time.Time, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.getBytes.take(now.UnixNano(), costOf(n, getBytesPerSecond))
}

// rests says that all buckets are full: a new throttle would be no different.
func (t *throttle) rests(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(max(t.puts, t.putBytes, t.gets, t.getBytes)) <= now.UnixNano()
}

// throttles are those of the shards that are held to the throughput of the service.
type throttles struct {
	mu      sync.Mutex
	byShard map[*stream.Shard]*throttle
	tidyAt  int // size at which those at rest are looked for
}

func (ts *throttles) of(sh *stream.Shard, now time.Time) *throttle {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.byShard[sh]
	if t != nil {
		return t
	}
	if ts.byShard == nil {
		ts.byShard, ts.tidyAt = map[*stream.Shard]*throttle{}, maxThrottles
	}
	if len(ts.byShard) >= ts.tidyAt {
		for other, t := range ts.byShard {
			if t.rests(now) {
				delete(ts.byShard, other)
			}
		}
		ts.tidyAt = max(maxThrottles, 2*len(ts.byShard))
	}
	t = &throttle{}
	ts.byShard[sh] = t
	return t
}

// rateExceeded is the refusal of what is over a shard's throughput.
func (s *Service) rateExceeded(st *streamState, sh *stream.Shard) *Error {
	return throughputExceeded("Rate exceeded for shard %s in stream %s under account %s.", sh.ID(), st.name, s.options.Account)
}
