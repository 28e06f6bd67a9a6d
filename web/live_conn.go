package web

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"time"
)

// batching is a ResponseWriter whose hijacked connection collects writes.
type batching struct {
	http.ResponseWriter
	scratch *sync.Pool
}

// Hijack takes the connection over.
func (b *batching) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(b.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &batchingConn{Conn: conn, scratch: b.scratch}, rw, nil
}

// batchingConn collects frames until Flush, so that those of one tick leave with one system
// call. Frames that many viewers are sent are not copied: what it collects is bounded by the
// viewer's mailbox. The first write, which answers the handshake, passes at once.
type batchingConn struct {
	net.Conn
	scratch *sync.Pool // of *[]byte, to put small frames together

	mu       sync.Mutex
	open     bool // the handshake has been answered
	pending  [][]byte
	deadline time.Time // of writes to Conn
	ping     *time.Timer
}

// maxJoined is up to how many bytes frames are put together.
const maxJoined = 16 << 10

// Write collects a copy of p, a frame that the websocket package has written.
func (c *batchingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		c.open = true
		return c.Conn.Write(p)
	}
	c.pending = append(c.pending, bytes.Clone(p))
	return len(p), nil
}

// SetWriteDeadline does nothing: collecting takes no time, and Flush has a deadline of its
// own.
func (c *batchingConn) SetWriteDeadline(time.Time) error { return nil }

// Add collects a frame, which must not change any more.
func (c *batchingConn) Add(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = append(c.pending, frame)
}

// Flush sends what was collected, within liveTimeout.
func (c *batchingConn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil
	}
	// Moving a deadline costs as much as a small write, so it is moved now and then.
	if now := time.Now(); c.deadline.Sub(now) < liveTimeout/2 {
		c.deadline = now.Add(liveTimeout)
		if err := c.Conn.SetWriteDeadline(c.deadline); err != nil {
			return err
		}
	}
	err := c.flushLocked()
	clear(c.pending)
	c.pending = c.pending[:0]
	return err
}

func (c *batchingConn) flushLocked() error {
	if len(c.pending) == 1 {
		_, err := c.Conn.Write(c.pending[0])
		return err
	}
	size := 0
	for _, frame := range c.pending {
		size += len(frame)
	}
	if size > maxJoined {
		buffers := net.Buffers(c.pending) // one writev
		_, err := buffers.WriteTo(c.Conn)
		return err
	}
	b, _ := c.scratch.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
		*b = make([]byte, 0, maxJoined)
	}
	defer c.scratch.Put(b)
	joined := (*b)[:0]
	for _, frame := range c.pending {
		joined = append(joined, frame...)
	}
	_, err := c.Conn.Write(joined)
	return err
}

// keepAlive calls ping and flushes every livePing, until that fails or the function that it
// returns is called.
func (c *batchingConn) keepAlive(ping func() error) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ping = time.AfterFunc(livePing, func() {
		if ping() != nil || c.Flush() != nil {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ping.Reset(livePing)
	})
	return func() { c.ping.Stop() }
}
