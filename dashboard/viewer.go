package dashboard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"freshet/aggregate"
)

// Limits of a viewer.
const (
	MaxSubscriptions = 256 // of one viewer
	MaxIDBytes       = 64  // of a subscription's id
	mailbox          = 64  // messages that wait for one viewer
)

// ErrClosed says that the viewer or the hub has been closed.
var ErrClosed = errors.New("dashboard: closed")

// A Viewer is one browser, or whoever else watches queries change. Messages wait for it
// in a mailbox of 64: a viewer that falls behind loses intermediate updates, never the
// latest state, which it gets as a new snapshot that says how many updates it skipped.
// One goroutine may call Next while others subscribe.
type Viewer struct {
	hub *Hub

	mu     sync.Mutex
	subs   map[string]*subscription
	queue  []Message
	closed bool
	wake   chan struct{} // with room for one
}

// A subscription is one query that a viewer watches.
type subscription struct {
	id     string
	viewer *Viewer
	feed   *feed

	// Guarded by feed.mu.
	reach    aggregate.Reach // what its first snapshot has to count; nil when it does
	patience time.Time       // how long it waits for that

	// Guarded by viewer.mu.
	behind  bool // it is owed a snapshot, and gets no updates before
	skipped int  // updates lost since it fell behind
	queued  int  // updates in the mailbox
}

// Connect returns a viewer without subscriptions. The caller closes it.
func (h *Hub) Connect() *Viewer {
	v := &Viewer{hub: h, subs: map[string]*subscription{}, wake: make(chan struct{}, 1)}
	h.viewers.Add(1)
	return v
}

// Subscribe begins to send the answer of a query and what changes of it. What is wrong
// with the query is sent as an error message. An id that is in use is subscribed anew.
func (v *Viewer) Subscribe(id string, q aggregate.Query) {
	if len(id) == 0 || len(id) > MaxIDBytes {
		v.fail(id[:min(len(id), MaxIDBytes)], fmt.Sprintf("id has %d bytes; it must have between 1 and %d", len(id), MaxIDBytes))
		return
	}
	v.Unsubscribe(id)
	v.mu.Lock()
	n := len(v.subs)
	v.mu.Unlock()
	if n >= MaxSubscriptions {
		v.fail(id, fmt.Sprintf("%d subscriptions are open; the limit is %d", n, MaxSubscriptions))
		return
	}
	s := &subscription{id: id, viewer: v, behind: true}
	if err := v.hub.join(s, q); err != nil {
		v.fail(id, err.Error())
		return
	}
	v.mu.Lock()
	closed := v.closed
	if !closed {
		v.subs[id] = s
	}
	v.mu.Unlock()
	if closed {
		v.hub.leave(s)
		return
	}
	v.signal()
}

// Unsubscribe ends a subscription. An id that is not in use is no error.
func (v *Viewer) Unsubscribe(id string) {
	v.mu.Lock()
	s := v.subs[id]
	delete(v.subs, id)
	kept := v.queue[:0]
	for _, m := range v.queue {
		if m.ID != id {
			kept = append(kept, m)
		}
	}
	v.queue = kept
	v.mu.Unlock()
	if s != nil {
		v.hub.leave(s)
	}
}

// Close ends all subscriptions. It may be called twice.
func (v *Viewer) Close() {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return
	}
	v.closed = true
	subs := v.subs
	v.subs, v.queue = nil, nil
	v.mu.Unlock()
	for _, s := range subs {
		v.hub.leave(s)
	}
	v.hub.viewers.Add(-1)
	v.signal()
}

func (v *Viewer) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// Send queues an error message that belongs to an id, or to none.
func (v *Viewer) fail(id, reason string) {
	v.mu.Lock()
	if len(v.queue) < mailbox { // an error beyond a full mailbox is dropped
		v.queue = append(v.queue, Message{ID: id, Error: reason})
	}
	v.mu.Unlock()
	v.signal()
}

// Reject queues an error for a message of the viewer that could not be understood.
func (v *Viewer) Reject(id, reason string) { v.fail(id, reason) }

// Next waits for messages and returns all that wait, appended to buf[:0].
func (v *Viewer) Next(ctx context.Context, buf []Message) ([]Message, error) {
	for {
		buf = buf[:0]
		v.mu.Lock()
		if v.closed {
			v.mu.Unlock()
			return nil, ErrClosed
		}
		buf = append(buf, v.queue...)
		clear(v.queue)
		v.queue = v.queue[:0]
		var behind []*subscription
		for _, s := range v.subs {
			s.queued = 0
			if s.behind {
				behind = append(behind, s)
			}
		}
		v.mu.Unlock()
		for _, s := range behind {
			if m, ok := s.feed.catchUp(s); ok {
				buf = append(buf, m)
			}
		}
		if len(buf) > 0 {
			return buf, nil
		}
		select {
		case <-v.wake:
		case <-v.hub.done:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// deliver puts a frame into the mailbox; feed.wake tells the viewer. A full mailbox loses
// the subscription's updates and owes it a snapshot. The caller holds feed.mu.
func (s *subscription) deliver(f *Frame) {
	v := s.viewer
	v.mu.Lock()
	switch {
	case v.closed || v.subs[s.id] != s:
	case s.behind:
		s.skipped++
	case len(v.queue) >= mailbox:
		s.drop()
	default:
		v.queue = append(v.queue, Message{ID: s.id, Frame: f})
		s.queued++
	}
	v.mu.Unlock()
}

// drop takes the subscription's messages out of the mailbox. The caller holds viewer.mu.
func (s *subscription) drop() {
	s.behind = true
	s.skipped += s.queued + 1
	s.queued = 0
	kept := s.viewer.queue[:0]
	for _, m := range s.viewer.queue {
		if m.ID != s.id || m.Frame == nil {
			kept = append(kept, m)
		}
	}
	s.viewer.queue = kept
	s.viewer.hub.skips.Add(1)
}
