package dashboard

import (
	"strconv"
	"sync"
	"sync/atomic"

	"freshet/aggregate"
)

// A Frame is what all viewers of a feed are sent at one moment. It is encoded once: the
// bytes that differ between viewers, the id that each gave its subscription, come
// before the shared rest. It never changes.
type Frame struct {
	Op  string // snapshot or update
	Seq uint64
	// rest is the JSON object after its id, with the closing brace.
	rest []byte

	mu   sync.Mutex               // held by those who add to made
	made atomic.Pointer[[]shared] // what it points to never changes
}

// A shared is what was made of a frame for the subscriptions with one id.
type shared struct {
	id string
	of any
}

// maxMade is how many ids a frame keeps something made for; beyond that it is made anew.
const maxMade = 64

// JSON returns the message for a subscription: one JSON object.
func (f *Frame) JSON(id string) []byte {
	b := make([]byte, 0, len(f.rest)+len(id)+64)
	return append(f.head(b, id), f.rest...)
}

func (f *Frame) head(b []byte, id string) []byte {
	b = append(b, `{"op":"`...)
	b = append(b, f.Op...)
	b = append(b, `","id":`...)
	b = aggregate.AppendString(b, id)
	b = append(b, `,"seq":`...)
	return strconv.AppendUint(b, f.Seq, 10)
}

// Shared returns what build makes of the message for a subscription, made once for all
// viewers that use the same id. Thousands of viewers ask at the same moment, so what is
// made is read without a lock.
func (f *Frame) Shared(id string, build func(json []byte) any) any {
	if of, ok := f.find(id); ok {
		return of
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if of, ok := f.find(id); ok {
		return of
	}
	of := build(f.JSON(id))
	var made []shared
	if before := f.made.Load(); before != nil {
		made = *before
	}
	if len(made) < maxMade {
		made = append(made[:len(made):len(made)], shared{id, of})
		f.made.Store(&made)
	}
	return of
}

func (f *Frame) find(id string) (any, bool) {
	if made := f.made.Load(); made != nil {
		for i := range *made {
			if (*made)[i].id == id {
				return (*made)[i].of, true
			}
		}
	}
	return nil, false
}

// newSnapshot encodes all of an answer.
func newSnapshot(seq uint64, a *aggregate.Answer, now int64) *Frame {
	b := append([]byte(nil), ',')
	b = a.AppendFields(b)
	return &Frame{Op: "snapshot", Seq: seq, rest: appendNow(b, now)}
}

// newUpdate encodes the columns that changed.
func newUpdate(seq uint64, changed *aggregate.Answer, now int64) *Frame {
	b := append([]byte(nil), ',')
	b = aggregate.AppendColumns(b, changed.Times, changed.Series)
	b = changed.AppendDate(b)
	return &Frame{Op: "update", Seq: seq, rest: appendNow(b, now)}
}

func appendNow(b []byte, now int64) []byte {
	b = append(b, `,"server_now":`...)
	return append(strconv.AppendInt(b, now, 10), '}')
}

// A Message is what one viewer is sent: a frame, or an error of one subscription.
type Message struct {
	ID      string
	Frame   *Frame
	Skipped int    // updates that the viewer was too slow for, before this snapshot
	Error   string // when Frame is nil
}

// JSON returns the message as one JSON object.
func (m *Message) JSON() []byte {
	if m.Frame == nil {
		b := append([]byte(nil), `{"op":"error","id":`...)
		b = aggregate.AppendString(b, m.ID)
		b = append(b, `,"error":`...)
		return append(aggregate.AppendString(b, m.Error), '}')
	}
	if m.Skipped == 0 {
		return m.Frame.JSON(m.ID)
	}
	b := m.Frame.head(nil, m.ID)
	b = append(b, `,"skipped":`...)
	b = strconv.AppendInt(b, int64(m.Skipped), 10)
	return append(b, m.Frame.rest...)
}
