package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// bucketMS is how finely a ledger knows what was acknowledged.
const bucketMS = 10_000

// A ledger knows how many points were acknowledged, and their sum, by the time that they
// carry.
type ledger struct {
	// By connection: a time that the post under way is not before, MaxInt64 if there is none.
	underway []atomic.Int64

	mu      sync.Mutex
	buckets map[int64]tally
}

func newLedger(connections int) *ledger {
	l := &ledger{underway: make([]atomic.Int64, connections), buckets: map[int64]tally{}}
	for i := range l.underway {
		l.underway[i].Store(math.MaxInt64)
	}
	return l
}

// begin returns the time of a post, which is under way from then on. A nil ledger keeps
// no account.
func (l *ledger) begin(connection int) int64 {
	if l != nil {
		l.underway[connection].Store(time.Now().UnixMilli()) // before the time is chosen: closed relies on it
	}
	return time.Now().UnixMilli()
}

// end says that a post was acknowledged.
func (l *ledger) end(connection int, ms int64, t tally) {
	if l == nil {
		return
	}
	l.mu.Lock()
	b := l.buckets[ms-ms%bucketMS]
	b.add(t)
	l.buckets[ms-ms%bucketMS] = b
	l.mu.Unlock()
	l.underway[connection].Store(math.MaxInt64)
}

// closed returns a time before which nothing will be acknowledged any more, a multiple of
// step.
func (l *ledger) closed(step int64) int64 {
	at := time.Now().UnixMilli() // read first: a post that is not seen under way gets a later time
	for i := range l.underway {
		at = min(at, l.underway[i].Load())
	}
	return at - at%step
}

// since returns the beginning of the first bucket.
func (l *ledger) since() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buckets) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Keys(l.buckets)))
}

// between returns what was acknowledged of the times from a bucket's beginning until
// another's, by steps of some buckets.
func (l *ledger) between(from, to, step int64) map[int64]tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[int64]tally{}
	for at, b := range l.buckets {
		if at >= from && at < to {
			t := out[at-at%step]
			t.add(b)
			out[at-at%step] = t
		}
	}
	return out
}

// compare returns what differs between counts and sums by step and what was acknowledged,
// empty if nothing does.
func compare(want map[int64]tally, counts, sums map[int64]float64) string {
	at := slices.Sorted(maps.Keys(want))
	for _, ms := range at {
		if counts[ms] != float64(want[ms].points) || sums[ms] != want[ms].sum {
			return fmt.Sprintf("at %s: %.0f points with a sum of %.0f, acknowledged were %d with %.0f",
				time.UnixMilli(ms).UTC().Format(time.TimeOnly), counts[ms], sums[ms], want[ms].points, want[ms].sum)
		}
	}
	for ms, n := range counts {
		if _, ok := want[ms]; !ok && n != 0 {
			return fmt.Sprintf("at %s: %.0f points, none were acknowledged", time.UnixMilli(ms).UTC().Format(time.TimeOnly), n)
		}
	}
	return ""
}
