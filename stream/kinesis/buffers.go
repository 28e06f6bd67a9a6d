package kinesis

import (
	"io"
	"sync"
)

const (
	// maxPooledBuffer bounds the memory that goes from one request to the next.
	maxPooledBuffer = 16 << 20
	// firstRead is what a body gets at most before it is there.
	firstRead = 1 << 20
)

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

// fill reads to the end of a reader.
func (b *buffer) fill(r io.Reader) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			b.bytes = append(b.bytes, 0)[:len(b.bytes)]
		}
		n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
