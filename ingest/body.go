package ingest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A body receives the body of a request, decompressed and within the limits. It keeps its
// memory and its decoders from one request to the next.
type body struct {
	buf      []byte
	reserved int64 // bytes in flight taken for buf
	wire     wire
	gzip     *gzip.Reader
	zstd     *zstd.Decoder
}

// errTooLong is the error of a wire that carries more than it may.
var errTooLong = errors.New("too long")

// A wire reads at most limit bytes of a body as it is sent.
type wire struct {
	from  io.Reader
	limit int64
	read  int64
	err   error // other than io.EOF: errTooLong or that of from
}

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	left := w.limit - w.read
	if int64(len(p)) > left+1 {
		p = p[:left+1] // one more, to see whether there is more
	}
	n, err := w.from.Read(p)
	if int64(n) > left {
		n, err = int(left), errTooLong
	}
	w.read += int64(n)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// read returns the body of r, which is valid until the next read or release.
func (b *body) read(w http.ResponseWriter, r *http.Request, in *Ingest) ([]byte, error) {
	if r.ContentLength > in.o.BodyBytes {
		return nil, refuse(http.StatusRequestEntityTooLarge,
			"body: at most %d bytes, got %d; send smaller posts, or compress them", in.o.BodyBytes, r.ContentLength)
	}
	// Not every writer has deadlines; those of net/http do.
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(in.o.BodyTimeout))
	b.wire = wire{from: r.Body, limit: in.o.BodyBytes}
	src, err := b.decoder(r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	err = b.fill(src, r.ContentLength, in)
	in.counters.bodyBytes.Add(uint64(b.wire.read))
	in.counters.unpacked.Add(uint64(len(b.buf)))
	b.wire.from = nil
	if err != nil {
		return nil, err
	}
	_ = deadline.SetReadDeadline(time.Time{}) // it would end the request, not only the body
	return b.buf, nil
}

// decoder returns a reader of the decompressed body.
func (b *body) decoder(encoding string) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return &b.wire, nil
	case "gzip", "x-gzip":
		if b.gzip == nil {
			b.gzip = new(gzip.Reader)
		}
		if err := b.gzip.Reset(&b.wire); err != nil {
			return nil, b.unreadable("gzip", err)
		}
		return b.gzip, nil
	case "zstd":
		if b.zstd == nil {
			// Concurrency 1 decodes on this goroutine. A frame may ask for a window of 8 MiB, as the
			// format recommends to support.
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
			if err != nil {
				return nil, err
			}
			b.zstd = d
		}
		if err := b.zstd.Reset(&b.wire); err != nil {
			return nil, b.unreadable("zstd", err)
		}
		return b.zstd, nil
	}
	return nil, refuse(http.StatusUnsupportedMediaType, "Content-Encoding: must be gzip, zstd or identity, got %.100q", encoding)
}

// fill reads src to its end into b.buf. length is that of the body as sent, -1 if unknown.
func (b *body) fill(src io.Reader, length int64, in *Ingest) error {
	b.buf = b.buf[:0]
	want := int64(4 << 10)
	if src == io.Reader(&b.wire) && length > 0 {
		want = length + 1 // one more to see the end without growing
	}
	if err := b.grow(want, in); err != nil {
		return err
	}
	for {
		room := min(int64(cap(b.buf)), b.reserved)
		if int64(len(b.buf)) == room {
			if err := b.grow(2*room, in); err != nil {
				return err
			}
			continue
		}
		n, err := src.Read(b.buf[len(b.buf):room])
		b.buf = b.buf[:len(b.buf)+n]
		if int64(len(b.buf)) > in.o.UnpackedBytes {
			return refuse(http.StatusRequestEntityTooLarge,
				"body: at most %d bytes once decompressed, got more from %d bytes as sent", in.o.UnpackedBytes, b.wire.read)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return b.unreadable("compressed", err)
		}
	}
}

// unreadable says why the body could not be read.
func (b *body) unreadable(encoding string, err error) error {
	switch {
	case b.wire.err == errTooLong:
		return refuse(http.StatusRequestEntityTooLarge, "body: at most %d bytes, got more; send smaller posts, or compress them", b.wire.limit)
	case errors.Is(b.wire.err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "body: was not received in time, got %d bytes", b.wire.read)
	case b.wire.err != nil:
		return refuse(http.StatusBadRequest, "body: could not be received: %v", b.wire.err)
	}
	return refuse(http.StatusBadRequest, "body: is not valid %s data: %v", encoding, err)
}

// grow makes room for n bytes in all and takes them from the bytes in flight.
func (b *body) grow(n int64, in *Ingest) error {
	n = min(n, in.o.UnpackedBytes+1)
	if !in.reserve(n - b.reserved) {
		return refuse(http.StatusTooManyRequests,
			"%d bytes of other requests are under way, at most %d may be; nothing was stored; send again after a second",
			in.inFlight.Load(), in.o.InFlightBytes)
	}
	b.reserved = n
	if int64(cap(b.buf)) < n {
		buf := make([]byte, len(b.buf), n)
		copy(buf, b.buf)
		b.buf = buf
	}
	return nil
}

// release gives back the bytes in flight, and lets go of the request.
func (b *body) release(in *Ingest) {
	in.inFlight.Add(-b.reserved)
	b.reserved = 0
	b.buf = b.buf[:0]
	b.wire = wire{}
}
