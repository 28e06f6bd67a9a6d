package kinesis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"freshet/stream"
)

const (
	// answerWrite bounds the writing of an answer: a client that does not take it in that
	// time loses its connection.
	answerWrite = time.Minute
	// slowAnswer is the size above which an answer counts as in memory: a client that does
	// not read keeps it there.
	slowAnswer = 64 << 10
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

// serve answers one request: it reads the body to its end, finds the operation, checks
// the signature, and answers what the operation returns.
func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	a := &answer{w: w, syntax: syntaxOf(r)}
	defer func() {
		if p := recover(); p != nil {
			s.options.Logger.Error("kinesis: a request panicked", "target", target(r), "panic", p, "stack", string(debug.Stack()))
			if a.sent {
				panic(http.ErrAbortHandler) // the client must not take what it has for the whole
			}
			a.fail(internalFailure())
		}
	}()
	a.identify(r)
	body, err := s.readBody(w, r)
	switch {
	case errors.Is(err, errBodyTooLarge):
		a.fail(&Error{Code: "RequestEntityTooLargeException", Message: fmt.Sprintf("Request body must have at most %d bytes.", MaxBodyBytes), status: http.StatusRequestEntityTooLarge})
		return
	case errors.Is(err, errNoRoom):
		a.fail(unavailable())
		return
	case err != nil: // the client is gone, or too slow
		a.fail(&Error{Code: "RequestTimeoutException", Message: "The request body did not arrive in time.", status: http.StatusRequestTimeout})
		return
	}
	defer body.release()
	if preflight(w.Header(), r) {
		_ = a.write(http.StatusOK, nil)
		return
	}
	o, failure := s.resolve(a, r, body.bytes)
	if failure == nil {
		failure = s.authenticate(r, body.bytes)
	}
	if failure != nil {
		a.fail(failure)
		return
	}
	s.operate(a, r, o, body.bytes)
}

// resolve finds the operation of a request.
func (s *Service) resolve(a *answer, r *http.Request, body []byte) (*operation, *Error) {
	name := target(r)
	if r.Method != http.MethodPost || a.syntax == syntaxNone && name == "" && len(body) > 0 {
		a.syntax = syntaxNone
		e := accessDenied("Unable to determine service/operation name to be authorized")
		e.status = http.StatusForbidden
		return nil, e
	}
	o := s.operations[strings.TrimPrefix(name, targetPrefix)]
	known := o != nil && strings.HasPrefix(name, targetPrefix)
	switch {
	case len(body) == 0 && a.syntax != syntaxJSON:
		a.syntax = syntaxCBOR // as the service answers it
		if known {
			return nil, malformed("")
		}
		return nil, unknownOperation()
	case a.syntax == syntaxNone || !known && a.syntax == syntaxCoral:
		e := unknownOperation()
		e.status = http.StatusNotFound
		return nil, e
	case !known:
		return nil, unknownOperation()
	}
	return o, nil
}

// operate reads the input of an operation, runs it and answers.
func (s *Service) operate(a *answer, r *http.Request, o *operation, body []byte) {
	in, err := a.decode(o, body)
	if err != nil {
		a.fail(s.visible(o, err))
		return
	}
	if o.subscribe != nil {
		s.subscribe(a, r, o, in)
		return
	}
	out, err := o.run(s, r.Context(), in)
	if err != nil {
		a.fail(s.visible(o, err))
		return
	}
	buffer := s.buffers.get(0)
	buffer.bytes = a.encode(buffer.bytes, o, out)
	if size := int64(len(buffer.bytes)); size > slowAnswer {
		if s.hold(r.Context(), size) != nil {
			a.fail(unavailable())
			return
		}
		defer s.bodies.Release(size)
	}
	// The client may be gone; there is nobody to tell.
	if a.write(http.StatusOK, buffer.bytes) == nil {
		s.buffers.put(buffer)
	}
}

func (s *Service) subscribe(a *answer, r *http.Request, o *operation, in any) {
	events := newEventWriter(a.w, a.format())
	a.sent = true // from here on events may have been
	err := o.subscribe(s, r.Context(), in, events)
	switch {
	case err == nil:
		// A subscription that ends before its first event is a stream all the same.
		_ = events.open()
	case !events.opened:
		a.fail(s.visible(o, err))
	case r.Context().Err() == nil && events.err == nil:
		_ = events.exception(s.visible(o, err))
	}
}

// visible is what a client sees of an error. What is not the client's is logged.
func (s *Service) visible(o *operation, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, stream.ErrOverloaded):
		return throughputExceeded("Rate exceeded for shard: too many bytes wait to be written.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, stream.ErrShardClosed):
		return unavailable() // the client is gone, or the server is about to be
	}
	s.options.Logger.Error("kinesis: "+o.name, "error", err)
	return internalFailure()
}

const targetPrefix = "Kinesis_20131202."

// target is the operation that a request names: in a header, or in the query of a URL
// that was signed ahead.
func target(r *http.Request) string {
	if name := r.Header.Get("X-Amz-Target"); name != "" {
		return name
	}
	return r.URL.Query().Get("X-Amz-Target")
}

// preflight sets what a browser is told of, and says that the request only asked for it.
func preflight(h http.Header, r *http.Request) bool {
	if r.Header.Get("Origin") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodOptions {
		h.Set("Access-Control-Expose-Headers", "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date")
		return false
	}
	if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	if method := r.Header.Get("Access-Control-Request-Method"); method != "" {
		h.Set("Access-Control-Allow-Methods", method)
	}
	h.Set("Access-Control-Max-Age", strconv.Itoa(48*60*60))
	return true
}
