package kinesis_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// listen serves a rig on loopback and returns the address.
func (r *rig) listen() string {
	r.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	server := kinesis.Server(r.handler)
	var done sync.WaitGroup
	done.Go(func() { server.Serve(listener) })
	r.t.Cleanup(func() { server.Close(); done.Wait() })
	return listener.Addr().String()
}

// dial opens a connection with a deadline.
func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

const signedHead = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=abc\r\n" +
	"Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202."

// TestBodiesAreReadToTheirEnd wants an answer for bodies that are refused, after all of
// them is sent, and the connection kept for the next request.
func TestBodiesAreReadToTheirEnd(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	address := r.listen()
	spaces := strings.Repeat(" ", 1<<20)
	for _, c := range []struct {
		name, head string
		mib        int
		chunked    bool
		status     int
		answer     string
	}{
		{"too large", signedHead + "PutRecords\r\n", 20, false, 413, `{"__type":"RequestEntityTooLargeException","message":"Request body must have at most 15728640 bytes."}`},
		{"too large, length not told", signedHead + "PutRecords\r\n", 20, true, 413, `{"__type":"RequestEntityTooLargeException","message":"Request body must have at most 15728640 bytes."}`},
		{"one byte too large", signedHead + "PutRecords\r\n", 15, false, 413, `{"__type":"RequestEntityTooLargeException","message":"Request body must have at most 15728640 bytes."}`},
		{"no signature", strings.Replace(signedHead, "Authorization", "X-None", 1) + "ListStreams\r\n", 8, false, 400, `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`},
		{"no operation", signedHead + "Nothing\r\n", 8, true, 400, `{"__type":"UnknownOperationException"}`},
		{"fits", signedHead + "ListStreams\r\n", 14, true, 200, `{"StreamNames":[],"HasMoreStreams":false}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, address)
			answers := bufio.NewReader(conn)
			for range 2 {
				w := bufio.NewWriter(conn)
				if c.chunked {
					fmt.Fprintf(w, "%sTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", c.head)
					for range c.mib {
						fmt.Fprintf(w, "%x\r\n%s\r\n", len(spaces), spaces)
					}
					fmt.Fprint(w, "1\r\n}\r\n0\r\n\r\n")
				} else {
					fmt.Fprintf(w, "%sContent-Length: %d\r\n\r\n{", c.head, c.mib<<20+2)
					for range c.mib {
						w.WriteString(spaces)
					}
					w.WriteString("}")
				}
				if err := w.Flush(); err != nil {
					t.Fatalf("the connection did not take the body: %v", err)
				}
				got, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(got.Body)
				if err != nil || got.StatusCode != c.status || string(body) != c.answer || got.Close {
					t.Fatalf("got %d %s, closing %v, %v; want %d %s", got.StatusCode, body, got.Close, err, c.status, c.answer)
				}
			}
		})
	}
	if !r.service.BodiesFree(256 << 20) {
		t.Error("the budget did not get all of it back")
	}
}

// TestBodiesThatAreOnlyAnnouncedTakeNoMemory has clients announce more than all bodies
// may have, and one that is served all the same.
func TestBodiesThatAreOnlyAnnouncedTakeNoMemory(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	r.service.LimitBodies(20 << 20)
	address := r.listen()
	for range 20 {
		fmt.Fprintf(dial(t, address), "%sListStreams\r\nContent-Length: 15000000\r\n\r\n{", signedHead)
	}
	for range 20 {
		conn := dial(t, address)
		fmt.Fprintf(conn, "%sListStreams\r\nContent-Length: 2\r\n\r\n{}", signedHead)
		got, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || got.StatusCode != 200 {
			t.Fatalf("got %v %v", got, err)
		}
		got.Body.Close()
	}
}

// A stalled body sends some of itself, and no more until it may.
type stalled struct {
	io.Reader
	more chan struct{}
}

func (s *stalled) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != io.EOF {
		return n, err
	}
	<-s.more
	return 0, io.EOF
}

func (*stalled) Close() error { return nil }

// TestNoRoomForBodies wants a client to wait a moment for room, and then to be told to
// come again.
func TestNoRoomForBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, vfs.NewMem(), kv.NewMem())
		defer r.stop()
		r.service.LimitBodies(2 << 20)
		post := func(size int, more chan struct{}) *httptest.ResponseRecorder {
			req := request(context.Background(), "ListStreams", "")
			req.Body = &stalled{Reader: strings.NewReader("{" + strings.Repeat(" ", size) + "}"), more: more}
			req.ContentLength = -1
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, req)
			return w
		}
		now, hold := make(chan struct{}), make(chan struct{})
		close(now)
		var held sync.WaitGroup
		held.Go(func() { want(t, "the one that holds", post(1<<20+100, hold).Code, 200) })
		synctest.Wait()
		began := time.Now()
		w := post(1<<20+100, now)
		want(t, "no room", words(w.Code, w.Body.String(), time.Since(began)), `503 {"__type":"ServiceUnavailable"} 5s`)
		held.Go(func() { want(t, "one that waits", post(1<<20+100, now).Code, 200) })
		synctest.Wait()
		close(hold)
		held.Wait()
		want(t, "free again", r.service.BodiesFree(2<<20), true)
	})
}

// TestABodyThatBreaksOff wants its client answered, and nothing done.
func TestABodyThatBreaksOff(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	conn := dial(t, r.listen())
	fmt.Fprintf(conn, "%sCreateStream\r\nContent-Length: 100\r\n\r\n{\"StreamName\":\"a\",\"ShardCount\":1}", signedHead)
	conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "RequestTimeoutException") {
		t.Errorf("got %q, %v", answer, err)
	}
	if len(r.log.Streams()) != 0 {
		t.Error("the stream was made")
	}
}
