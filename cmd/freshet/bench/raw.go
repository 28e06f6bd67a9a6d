package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// A rawConn sends rendered HTTP/1.1 requests over one connection, one at a time.
type rawConn struct {
	conn    net.Conn
	in      *bufio.Reader
	host    string
	headers string // lines that every request has
	head    []byte
}

func dial(ctx context.Context, host string) (*rawConn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	return &rawConn{conn: conn, in: bufio.NewReaderSize(conn, 4<<10), host: host, headers: "Content-Type: application/json\r\n"}, nil
}

func (c *rawConn) Close() error { return c.conn.Close() }

// post sends a body and returns the status of the answer, whose body is read to its end.
func (c *rawConn) post(path string, body []byte) (int, error) {
	c.head = fmt.Appendf(c.head[:0], "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n", path, c.host, c.headers, len(body))
	if err := c.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	buffers := net.Buffers{c.head, body}
	if _, err := buffers.WriteTo(c.conn); err != nil {
		return 0, err
	}
	return c.answer()
}

// answer reads one answer, which must carry a Content-Length.
func (c *rawConn) answer() (status int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("not an HTTP answer: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, fmt.Errorf("not an HTTP answer: %q", line)
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, fmt.Errorf("Content-Length: %w", err)
			}
		}
	}
	_, err = io.CopyN(io.Discard, c.in, int64(length))
	return status, err
}

// getJSON calls the API with an ordinary client: it is for what is not measured.
func getJSON(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	return request(ctx, http.DefaultClient, method, url, body)
}

// request returns the body of an answer, which must be 200.
func request(ctx context.Context, client *http.Client, method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %d: %s", method, url, answer.StatusCode, bytes.TrimSpace(data))
	}
	return data, nil
}
