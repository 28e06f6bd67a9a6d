package kinesis

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// MaxBodyBytes bounds the body of a request. The largest that the service takes is
	// 10 MiB of records, in base64 13.4 MiB, and their keys.
	MaxBodyBytes = 15 << 20
	// maxBodiesInFlight bounds the bodies of requests and answers in memory at once.
	maxBodiesInFlight = 256 << 20
	// maxDrain bounds what is read and thrown away of a body that is refused. A client
	// that is answered before it has sent all sees a broken connection, and tries again.
	maxDrain = 64 << 20

	bodyRead  = 2 * time.Minute // a body has to arrive in that time
	bodyWait  = 5 * time.Second // for room in memory
	firstRead = 256 << 10       // held before a body has shown that there is more of it
)

var (
	errBodyTooLarge = errors.New("the body is too large")
	errNoRoom       = errors.New("too many bodies are in memory")
)

// A body is what a request carries. Its bytes count as in memory, and are valid, until
// release.
type body struct {
	*buffer
	held int64
	s    *Service
}

func (b *body) release() {
	b.s.bodies.Release(b.held)
	b.s.buffers.put(b.buffer)
	b.held, b.buffer = 0, nil
}

// readBody reads a body to its end, also one that is refused, up to maxDrain. Memory is
// taken as bytes arrive, so that a client which only announces a body holds none.
func (s *Service) readBody(w http.ResponseWriter, r *http.Request) (*body, error) {
	control := http.NewResponseController(w)
	// A recorder in a test has no deadlines.
	_ = control.SetReadDeadline(time.Now().Add(bodyRead))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	_ = control.SetWriteDeadline(time.Time{}) // of the last answer on the connection
	b := &body{s: s, buffer: s.buffers.get(0)}
	err := b.fill(r)
	if err == nil {
		// A subscription holds its body for long.
		unused := b.held - int64(len(b.bytes))
		s.bodies.Release(unused)
		b.held -= unused
		return b, nil
	}
	b.release()
	if errors.Is(err, errBodyTooLarge) || errors.Is(err, errNoRoom) {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // it ends at the body's end, or gives up
	}
	return nil, err
}

func (b *body) fill(r *http.Request) error {
	if r.ContentLength > MaxBodyBytes {
		return errBodyTooLarge
	}
	for {
		if int64(len(b.bytes)) == b.held {
			if b.held > MaxBodyBytes {
				return errBodyTooLarge
			}
			if err := b.grow(r); err != nil {
				return err
			}
		}
		n, err := r.Body.Read(b.bytes[len(b.bytes):b.held])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF {
			if len(b.bytes) > MaxBodyBytes {
				return errBodyTooLarge
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// grow doubles the room, or makes as much as the client announced, once some of it came.
func (b *body) grow(r *http.Request) error {
	size := max(2*b.held, firstRead)
	if announced := r.ContentLength + 1; announced > 0 && (b.held > 0 || announced < size) {
		size = announced // one more than the body, to see its end
	}
	size = max(min(size, MaxBodyBytes+1), b.held+1)
	if err := b.s.hold(r.Context(), size-b.held); err != nil {
		return err
	}
	b.held = size
	if int64(cap(b.bytes)) < size {
		grown := make([]byte, len(b.bytes), size)
		copy(grown, b.bytes)
		b.bytes = grown
	}
	return nil
}

// hold takes bytes of the budget, and waits a moment for them.
func (s *Service) hold(ctx context.Context, n int64) error {
	if s.bodies.TryAcquire(n) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bodyWait)
	defer cancel()
	if err := s.bodies.Acquire(ctx, n); err != nil {
		return errNoRoom
	}
	return nil
}
