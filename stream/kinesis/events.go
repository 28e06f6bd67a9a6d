package kinesis

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// eventWrite bounds the writing of one event: a client that does not read for so long
// loses its subscription.
const eventWrite = 30 * time.Second

// maxEventKept bounds the memory that a subscription keeps from one event to the next.
const maxEventKept = 4 << 20

// An eventWriter answers a request with a stream of events. Its methods are called by one
// goroutine.
//
// Until open or event is called an operation may still return an error as any other does.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	format  format
	shape   *shape
	encoder *eventstream.Encoder
	opened  bool
	err     error // that ended it
	payload []byte
	frame   bytes.Buffer
}

func newEventWriter(w http.ResponseWriter, f format) *eventWriter {
	return &eventWriter{
		w: w, control: http.NewResponseController(w), format: f,
		shape: shapeOf(reflect.TypeFor[SubscribeToShardEvent]()), encoder: eventstream.NewEncoder(),
	}
}

// open sends the head of the answer and the initial response. It does nothing the second
// time.
func (e *eventWriter) open() error {
	if e.opened {
		return nil
	}
	e.opened = true
	e.w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	e.w.WriteHeader(http.StatusOK)
	return e.send("event", ":event-type", "initial-response", e.format.contentType(), e.format.appendEmpty(nil))
}

// event sends one event, and the initial response before the first.
func (e *eventWriter) event(ev *SubscribeToShardEvent) error {
	if err := e.open(); err != nil {
		return err
	}
	e.payload = e.format.append(e.payload[:0], e.shape, ev)
	err := e.send("event", ":event-type", "SubscribeToShardEvent", e.format.eventType(), e.payload)
	if cap(e.payload) > maxEventKept {
		e.payload, e.frame, e.encoder = nil, bytes.Buffer{}, eventstream.NewEncoder()
	}
	return err
}

// exception ends a stream that is open.
func (e *eventWriter) exception(err *Error) error {
	if err.Code == "InternalFailure" {
		err = &Error{Code: "InternalFailureException", Message: err.Message} // as the model calls it in a stream
	}
	return e.send("exception", ":exception-type", err.Code, e.format.eventType(), e.format.appendError(nil, err))
}

// send writes one message and flushes it.
func (e *eventWriter) send(message, key, name, contentType string, payload []byte) error {
	m := eventstream.Message{Payload: payload}
	m.Headers.Set(key, eventstream.StringValue(name))
	m.Headers.Set(":content-type", eventstream.StringValue(contentType))
	m.Headers.Set(":message-type", eventstream.StringValue(message))
	e.frame.Reset()
	if err := e.encoder.Encode(&e.frame, m); err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	// A writer without deadlines, as in a test, has none to bound.
	_ = e.control.SetWriteDeadline(time.Now().Add(eventWrite))
	if _, err := e.w.Write(e.frame.Bytes()); err != nil {
		e.err = fmt.Errorf("send %s: %w", name, err)
	} else if err := e.control.Flush(); err != nil {
		e.err = fmt.Errorf("send %s: %w", name, err)
	}
	return e.err
}
