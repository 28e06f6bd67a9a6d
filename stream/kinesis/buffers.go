package kinesis

import "sync"

// maxPooledBuffer bounds the memory that goes from one request to the next.
const maxPooledBuffer = 16 << 20

// A buffer holds the body of a request or of an answer.
type buffer struct{ bytes []byte }

// buffers are those that no request uses.
type buffers struct{ pool sync.Pool }

// get returns an empty buffer with room for n bytes.
func (p *buffers) get(n int) *buffer {
	b, ok := p.pool.Get().(*buffer)
	if !ok {
		b = &buffer{}
	}
	if cap(b.bytes) < n {
		b.bytes = make([]byte, 0, n)
	}
	return b
}

// put takes a buffer back. Nothing may refer to it any more.
func (p *buffers) put(b *buffer) {
	b.bytes = b.bytes[:0]
	if cap(b.bytes) <= maxPooledBuffer {
		p.pool.Put(b)
	}
}
