package producer

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Run sends records until ctx ends or Close is called, and returns ctx's error or
// ErrClosed. What is not sent by then stays, and a later Run, Flush or Close sends it. The
// goroutines of the requests under way are Run's; it returns when they have ended.
func (k *Kinesis) Run(ctx context.Context) error {
	select {
	case k.driving <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.driving }()
	err := k.drive(ctx, func() bool { return k.closed && k.stats.Pending == 0 })
	if err == nil {
		err = ErrClosed
	}
	return err
}

// Flush returns when every record put before it has its result, or when ctx ends. The
// error is ctx's, or why records were lost since the last Flush or Close. If ctx ends first
// the outcome of the records under way is unknown; they will be sent again.
func (k *Kinesis) Flush(ctx context.Context) error {
	k.mu.Lock()
	k.sealLocked()
	until := k.round
	k.round++
	k.flushing++
	k.mu.Unlock()
	k.signal()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.flushing--
	}()
	done := func() bool {
		for round := range k.waiting {
			if round <= until {
				return false
			}
		}
		return true
	}
	for {
		k.mu.Lock()
		if done() {
			lost := k.lost
			k.lost = nil
			k.mu.Unlock()
			return lost
		}
		changed := k.changed
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("producer: flush: %w", ctx.Err())
		case <-changed:
		case k.driving <- struct{}{}:
			err := k.drive(ctx, done)
			<-k.driving
			if err != nil {
				return fmt.Errorf("producer: flush: %w", err)
			}
		}
	}
}

// Close refuses further records, flushes, makes Run return and releases the connections.
// The error is that of Flush; records that are not sent when ctx ends are dropped and
// counted, and their results say so.
func (k *Kinesis) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	k.room.Broadcast()
	k.mu.Unlock()
	err := k.Flush(ctx)
	k.mu.Lock()
	k.gone = true
	var left []verdict
	for _, l := range k.lanes {
		k.sealLaneLocked(l, nil)
		for _, e := range append(l.again, l.queue...) {
			left = append(left, verdict{entry: e, users: e.users, err: ErrClosed})
		}
		k.ready -= len(l.queue)
		k.readyBytes -= l.bytes
		l.again, l.queue, l.bytes = nil, nil, 0
	}
	for _, v := range k.doubtful {
		v.entry.lane.sent--
		v.err = ErrClosed
		left = append(left, v)
	}
	k.doubtful = nil
	k.mu.Unlock()
	k.complete(left)
	k.signal()
	if k.ownHTTP {
		k.o.Client.CloseIdleConnections()
	}
	return err
}

// idle is how long the driver sleeps when nothing is to be done.
const idle = time.Hour

// drive collects requests and sends them until done, which it calls with mu held, or until
// ctx ends. The caller has the driving token.
func (k *Kinesis) drive(ctx context.Context, done func() bool) error {
	var group sync.WaitGroup
	defer group.Wait()
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		k.mu.Lock()
		if done() {
			k.mu.Unlock()
			return nil
		}
		now := time.Now()
		old, wait := k.ageLocked(now)
		list, again := k.wantListLocked(now)
		entries, later := k.collectLocked(now)
		wait = min(wait, again, later)
		k.lookAt = now.Add(wait)
		k.mu.Unlock()
		k.complete(old)
		if list {
			group.Go(func() { k.list(ctx) })
		}
		if entries != nil {
			group.Go(func() { k.send(ctx, entries) })
			if ctx.Err() == nil {
				continue
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.wake:
		case <-timer.C:
		}
	}
}

// ageLocked seals what was gathered long enough ago, and takes out what is too old to be
// sent. It returns that, and when to look again.
func (k *Kinesis) ageLocked(now time.Time) (old []verdict, wait time.Duration) {
	wait = idle
	late := func(t time.Time) bool {
		left := t.Sub(now)
		if left > 0 {
			wait = min(wait, left)
		}
		return left <= 0
	}
	for _, l := range k.lanes {
		if len(l.users) > 0 && late(l.born.Add(k.o.MaxAge)) {
			k.sealLaneLocked(l, nil)
		}
		kept := l.again[:0]
		for _, e := range l.again {
			if late(e.born.Add(k.o.TTL)) {
				old = append(old, k.expire(e, now))
			} else {
				kept = append(kept, e)
			}
		}
		clear(l.again[len(kept):])
		l.again = kept
		for len(l.queue) > 0 && late(l.queue[0].born.Add(k.o.TTL)) {
			old = append(old, k.expire(k.popLocked(l), now))
		}
	}
	kept := k.doubtful[:0]
	for _, v := range k.doubtful {
		if late(v.entry.born.Add(k.o.TTL)) {
			v.entry.lane.sent--
			old = append(old, k.expire(v.entry, now))
		} else {
			kept = append(kept, v)
		}
	}
	k.doubtful = kept
	k.applyLocked()
	return old, wait
}

// popLocked takes the first sealed entry out of a lane.
func (k *Kinesis) popLocked(l *lane) *entry {
	e := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	l.bytes -= e.size()
	k.ready--
	k.readyBytes -= e.size()
	return e
}

// collectLocked returns the entries of a request to be sent now, nil if there is none,
// and how long to wait if nothing changes.
func (k *Kinesis) collectLocked(now time.Time) ([]*entry, time.Duration) {
	if k.running >= k.o.Requests || !k.shards.known && !k.shards.unknown {
		return nil, idle
	}
	if k.pause.After(now) {
		return nil, k.pause.Sub(now)
	}
	if due, wait := k.dueLocked(now); !due {
		return nil, wait
	}
	c := collection{now: now, o: &k.o}
	k.turn = (k.turn + 1) % len(k.lanes)
	for i := range k.lanes {
		k.takeLocked(k.lanes[(k.turn+i)%len(k.lanes)], &c)
	}
	if len(c.entries) == 0 {
		return nil, time.Millisecond
	}
	for _, e := range c.entries {
		e.lane.sent++
		e.began = now
		if len(e.attempts) > 0 {
			k.stats.Retried++
		}
	}
	k.running++
	k.stats.Requests++
	return c.entries, 0
}

// dueLocked reports whether there is a request to be sent: something in it is due, or it
// is full. Otherwise wait is how long it is until something will be due.
func (k *Kinesis) dueLocked(now time.Time) (due bool, wait time.Duration) {
	wait = idle
	count, bytes := 0, 0
	at := func(t time.Time) {
		due = due || !t.After(now)
		wait = min(wait, t.Sub(now))
	}
	for _, l := range k.lanes {
		if !k.opensLocked(l) {
			continue
		}
		if w := l.bucket.wait(now); w > 0 {
			wait = min(wait, w)
			continue
		}
		for _, e := range l.again {
			at(e.after)
		}
		if len(l.queue) == 0 || k.o.StrictOrder && len(l.again) > 0 {
			continue
		}
		if k.flushing > 0 {
			due = true
		}
		at(l.queue[0].due)
		count += len(l.queue)
		bytes += l.bytes
	}
	return due || count >= k.o.CollectCount || bytes >= k.o.CollectBytes, wait
}

// opensLocked reports whether a lane has something that may be sent, its rate aside.
func (k *Kinesis) opensLocked(l *lane) bool {
	return !l.leaves && len(l.again)+len(l.queue) > 0 && (!k.o.StrictOrder || l.sent == 0)
}

// A collection becomes a request.
type collection struct {
	o       *KinesisOptions
	now     time.Time
	entries []*entry
	bytes   int
}

// fits reports whether one more entry has room. The first always has.
func (c *collection) fits(e *entry) bool {
	return len(c.entries) == 0 || len(c.entries) < c.o.CollectCount && c.bytes+e.size() <= c.o.CollectBytes
}

func (c *collection) add(e *entry) {
	c.entries = append(c.entries, e)
	c.bytes += e.size()
}

// takeLocked moves what may be sent from a lane to a collection, in order.
func (k *Kinesis) takeLocked(l *lane, c *collection) {
	if !k.opensLocked(l) {
		return
	}
	take := func(e *entry) bool {
		if !c.fits(e) || l.bucket.wait(c.now) > 0 {
			return false
		}
		l.bucket.take(e.size())
		c.add(e)
		return true
	}
	before := len(c.entries)
	kept := l.again[:0]
	for _, e := range l.again {
		if e.after.After(c.now) || !take(e) {
			kept = append(kept, e)
		}
	}
	clear(l.again[len(kept):])
	l.again = kept
	if k.o.StrictOrder && (len(l.again) > 0 || len(c.entries) > before) {
		return
	}
	for len(l.queue) > 0 && take(l.queue[0]) {
		k.popLocked(l)
		if k.o.StrictOrder {
			return
		}
	}
}
