package kinesis

import (
	"context"
	"errors"
	"sync"
	"time"

	"freshet/stream"
)

// takeoverAfter is how old a subscription has to be before another of the same consumer
// takes its place.
const takeoverAfter = 5 * time.Second

// errServiceEnds ends the subscriptions of a service that stops.
var errServiceEnds = errors.New("the service ends")

// A subscriptionKey is what may have one subscription at a time.
type subscriptionKey struct {
	consumer string // ARN
	shard    stream.ShardID
}

// A subscribed client has a SubscribeToShard that goes on.
type subscribed struct {
	key   subscriptionKey
	since time.Time
	// end cancels it. Its cause is an *Error that the client is told, or another error.
	end context.CancelCauseFunc
}

// subscriptions are those of all consumers.
type subscriptions struct {
	mu     sync.Mutex
	active map[subscriptionKey]*subscribed
	ended  error // why nobody can subscribe any more
}

// begin enters a subscription and ends the one in whose place it comes. When that is too
// young it returns busy, which is also what the other client is told.
func (ss *subscriptions) begin(sub *subscribed, busy error) error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.ended != nil {
		return ss.ended
	}
	if old := ss.active[sub.key]; old != nil {
		if sub.since.Sub(old.since) < takeoverAfter {
			return busy
		}
		old.end(busy)
	}
	if ss.active == nil {
		ss.active = map[subscriptionKey]*subscribed{}
	}
	ss.active[sub.key] = sub
	return nil
}

// leave takes a subscription out, unless another came in its place.
func (ss *subscriptions) leave(sub *subscribed) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.active[sub.key] == sub {
		delete(ss.active, sub.key)
	}
}

// endAll ends all subscriptions without a word to their clients: they subscribe again.
func (ss *subscriptions) endAll(why error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.ended = why
	for _, sub := range ss.active {
		sub.end(errServiceEnds)
	}
}
