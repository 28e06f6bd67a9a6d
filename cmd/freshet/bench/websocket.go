package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// What a websocket frame is, of those that a server sends.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// frames calls f with each whole frame at the front of data, and returns how many bytes
// those took. A frame of a server is not masked; one that is, or that is in parts, is an
// error.
func frames(data []byte, f func(op byte, payload []byte) error) (taken int, err error) {
	for {
		rest := data[taken:]
		if len(rest) < 2 {
			return taken, nil
		}
		if rest[0]&0xF0 != 0x80 || rest[1]&0x80 != 0 {
			return taken, fmt.Errorf("a frame begins with % x", rest[:2])
		}
		head, length := 2, int(rest[1])
		switch length {
		case 126:
			if head = 4; len(rest) >= head {
				length = int(binary.BigEndian.Uint16(rest[2:]))
			}
		case 127:
			if head = 10; len(rest) >= head {
				length = int(binary.BigEndian.Uint64(rest[2:]))
			}
		}
		if len(rest) < head || len(rest)-head < length {
			return taken, nil
		}
		taken += head + length
		if err := f(rest[0]&0x0F, rest[head:head+length]); err != nil {
			return taken, err
		}
	}
}

// masked appends a frame as a browser sends it, with a mask of zeros.
func masked(b []byte, op byte, payload []byte) []byte {
	b = append(b, 0x80|op)
	if len(payload) < 126 {
		b = append(b, 0x80|byte(len(payload)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(len(payload)))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// A watched is a query that a viewer subscribes to, under the id p and the panel's number.
type watched struct {
	panel int
	query string
}

// dialLive opens the websocket of live queries and subscribes to queries. Bytes that came behind the handshake are in the reader.
func dialLive(ctx context.Context, host string, queries []watched) (net.Conn, *bufio.Reader, error) {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, nil, err
	}
	in, err := shakeHands(conn, host, queries)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, in, nil
}

func shakeHands(conn net.Conn, host string, queries []watched) (*bufio.Reader, error) {
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "GET /api/v1/live HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", host); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 4<<10)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		return nil, fmt.Errorf("a websocket was answered %d: %s", answer.StatusCode, bytes.TrimSpace(text))
	}
	var out []byte
	for _, q := range queries {
		out = masked(out, opText, fmt.Appendf(nil, `{"op":"subscribe","id":"p%d","query":%s}`, q.panel, q.query))
	}
	if _, err := conn.Write(out); err != nil {
		return nil, err
	}
	return in, conn.SetDeadline(time.Time{})
}

// frameID returns the number of the panel that a frame belongs to, and whether
// it is a snapshot or an update.
func frameID(frame []byte) (n int, ok bool) {
	rest, ok := bytes.CutPrefix(frame, []byte(`{"op":"`))
	if !ok || len(rest) < 30 || rest[0] == 'e' { // error
		return 0, false
	}
	_, rest, ok = bytes.Cut(rest[:30], []byte(`"id":"p`))
	for i, c := range rest {
		if c < '0' || c > '9' {
			return n, ok && i > 0
		}
		n = n*10 + int(c-'0')
	}
	return 0, false
}

// lastValue returns the last number of the first series of a frame.
func lastValue(frame []byte) (n int, ok bool) {
	_, rest, ok := bytes.Cut(frame, []byte(`"values":[`))
	if !ok {
		return 0, false
	}
	end := bytes.IndexByte(rest, ']')
	for end > 0 {
		begin := bytes.LastIndexByte(rest[:end], ',') + 1
		if n, ok := digits(rest[begin:end]); ok {
			return n, true
		}
		end = begin - 1
	}
	return 0, false
}

// digits returns the number that b writes, unless it is something else.
func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}
