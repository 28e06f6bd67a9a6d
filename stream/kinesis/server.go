package kinesis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"freshet/stream"
)

const (
	// maxBodiesInFlight bounds the bodies of requests and answers in memory at once.
	maxBodiesInFlight = 256 << 20
	// maxBody bounds one: 10 MiB of records in base64, and what stands around them.
	maxBody = 16 << 20
	// Of a larger body so much is still read, so that the client sees the answer.
	maxDrain = 64 << 20

	readTime = time.Minute
	// writeTime bounds how long a client may take an answer that does not fit into the
	// buffers of its connection.
	writeTime  = time.Minute
	slowAnswer = 64 << 10

	targetName = "Kinesis_20131202."
)

// Server is an HTTP server for the API: it speaks HTTP/1.1 and unencrypted HTTP/2, and
// bounds how long a client may take.
func Server(h http.Handler) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: h, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

// Handler answers the API.
func (s *Service) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("x-amzn-RequestId", requestID())
	head.Set("x-amz-id-2", requestID())
	if origin := r.Header.Get("Origin"); origin != "" {
		head.Set("Access-Control-Allow-Origin", "*")
		head.Set("Access-Control-Expose-Headers", "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date")
	}
	f := formatJSON
	if strings.HasPrefix(r.Header.Get("Content-Type"), typeCBOR) {
		f = formatCBOR
	}
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	body, release, err := s.body(w, r)
	defer release()
	if err == nil {
		err = s.answer(w, r, f, body)
	}
	if err == nil || r.Context().Err() != nil {
		return
	}
	s.writeError(w, r, f, err)
}

func preflight(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Access-Control-Allow-Origin", "*")
	if h := r.Header.Get("Access-Control-Request-Headers"); h != "" {
		head.Set("Access-Control-Allow-Headers", h)
	}
	if m := r.Header.Get("Access-Control-Request-Method"); m != "" {
		head.Set("Access-Control-Allow-Methods", m)
	}
	head.Set("Access-Control-Max-Age", "172800")
	w.WriteHeader(http.StatusOK)
}

// body reads a request to its end: real clients try again when a connection closes early.
// The body is valid until release is called.
func (s *Service) body(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	release = func() {}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTime)) // a test's writer has none
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	size := r.ContentLength
	if size < 0 || size > maxBody {
		size = maxBody
	}
	if !s.bodies.take(size) {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
		return nil, release, throttled()
	}
	b := s.buffers.get(int(min(size+1, firstRead)))
	release = func() {
		s.buffers.put(b)
		s.bodies.give(size)
	}
	err = b.fill(io.LimitReader(r.Body, maxBody+1))
	if body = b.bytes; err != nil {
		return nil, release, malformed("the body cannot be read to its end")
	}
	// A subscription holds its body for long, and may not have said how small it is.
	if size > int64(len(body)) {
		s.bodies.give(size - int64(len(body)))
		size = int64(len(body))
	}
	if len(body) > maxBody {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
		e := fail("RequestEntityTooLargeException", "the body has more than %d bytes", []any{maxBody})
		e.status = http.StatusRequestEntityTooLarge
		return nil, release, e
	}
	return body, release, nil
}

// answer runs the operation that a request names.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, f format, body []byte) error {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetName)
	if r.Method != http.MethodPost || !ours {
		return unknownOperation()
	}
	if err := s.authenticate(r, body); err != nil {
		return err
	}
	o := s.operations[name]
	if o == nil {
		return unknownOperation()
	}
	in, err := read(o, f, body)
	if err != nil {
		return err
	}
	if o.subscribe != nil {
		events := newEventWriter(w, f)
		err := o.subscribe(s, r.Context(), in, events)
		if err == nil || !events.opened {
			return err
		}
		return events.exception(s.visible(r, err))
	}
	out, err := o.run(s, r.Context(), in)
	if err != nil {
		return err
	}
	answer := s.buffers.get(0)
	defer s.buffers.put(answer)
	switch {
	case o.output == nil:
	case f == formatJSON && o.appendJSON != nil:
		answer.bytes = o.appendJSON(answer.bytes, out)
	default:
		answer.bytes = f.append(answer.bytes, o.output, out)
	}
	size := int64(len(answer.bytes))
	if !s.bodies.take(size) {
		return throttled()
	}
	defer s.bodies.give(size)
	send(w, f, http.StatusOK, answer.bytes)
	return nil
}

// read makes an input of a body.
func read(o *operation, f format, body []byte) (any, error) {
	if f == formatJSON && o.decodeJSON != nil {
		if in, ok := o.decodeJSON(body); ok && (o.valid == nil || o.valid(in)) {
			return in, nil
		}
	}
	var t tokens = newJSONTokens(body)
	if f == formatCBOR {
		t = newCBORTokens(body)
	}
	in, err := decode(t, o.input)
	if err != nil {
		return nil, err
	}
	if err := validate(o.input, in); err != nil {
		return nil, err
	}
	return in, nil
}

func (s *Service) writeError(w http.ResponseWriter, r *http.Request, f format, err error) {
	e := s.visible(r, err)
	w.Header().Set("x-amzn-ErrorType", e.Code)
	send(w, f, e.Status(), f.appendError(nil, e))
}

// visible is what a client sees of an error.
func (s *Service) visible(r *http.Request, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, stream.ErrShardClosed) || errors.Is(err, context.Canceled) {
		return unavailable()
	}
	s.options.Logger.Error("an operation failed", "target", r.Header.Get("X-Amz-Target"), "error", err)
	return internalFailure()
}

func send(w http.ResponseWriter, f format, status int, body []byte) {
	head := w.Header()
	head.Set("Content-Type", f.contentType())
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Set("x-amz-crc32", fmt.Sprint(crc32.ChecksumIEEE(body)))
	w.WriteHeader(status)
	if len(body) > slowAnswer {
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Now().Add(writeTime)) // a test's writer has none
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	}
	_, _ = w.Write(body) // a client that is gone does not miss it
}

func requestID() string {
	var b [16]byte
	rand.Read(b[:])
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// A budget is bytes that are shared out.
type budget struct {
	mu   sync.Mutex
	left int64
}

func newBudget(n int64) *budget { return &budget{left: n} }

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}
