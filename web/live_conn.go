package web

import (
	"bufio"
	"net"
	"net/http"
	"sync"
)

// batching is a ResponseWriter whose hijacked connection collects writes.
type batching struct{ http.ResponseWriter }

// Hijack takes the connection over.
func (b *batching) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(b.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &batchingConn{Conn: conn}, rw, nil
}

// batchingConn collects writes until Flush, so that the frames of one tick leave with
// one system call. What it collects is bounded by the viewer's mailbox. The first write,
// which answers the handshake, passes at once.
type batchingConn struct {
	net.Conn

	mu      sync.Mutex
	open    bool // the handshake has been answered
	pending []byte
}

// maxKept is how much of an emptied buffer a connection keeps.
const maxKept = 16 << 10

// Write collects p.
func (c *batchingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		c.open = true
		return c.Conn.Write(p)
	}
	c.pending = append(c.pending, p...)
	return len(p), nil
}

// Flush sends what was collected.
func (c *batchingConn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.pending)
	c.pending = c.pending[:0]
	if cap(c.pending) > maxKept {
		c.pending = nil
	}
	return err
}
