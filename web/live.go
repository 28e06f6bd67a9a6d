package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"freshet/aggregate"
	"freshet/dashboard"
)

// Limits of the live connection.
const (
	maxLiveMessage = 64 << 10         // bytes of one message from the browser
	livePing       = 20 * time.Second // between pings
	liveTimeout    = 45 * time.Second // without a pong, or for one write
)

// A liveRequest is a message from the browser.
type liveRequest struct {
	Op    string          `json:"op"` // subscribe or unsubscribe
	ID    string          `json:"id"`
	Query json.RawMessage `json:"query"`
}

// Live serves the websocket of live queries. The two goroutines of a connection end
// with it.
type Live struct {
	Hub    *dashboard.Hub
	Logger *slog.Logger // nil discards
	// CheckOrigin says whether a page of the request's origin may connect; nil means
	// that it must be of the same host.
	CheckOrigin func(*http.Request) bool

	buffers sync.Pool // shared by the connections, which hold one only while they write
}

// ServeHTTP upgrades the connection and serves it until either side closes it.
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{ReadBufferSize: 1 << 10, WriteBufferSize: 4 << 10, WriteBufferPool: &l.buffers, CheckOrigin: l.CheckOrigin}
	conn, err := up.Upgrade(&batching{ResponseWriter: w}, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer conn.Close()
	v := l.Hub.Connect()
	defer v.Close()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer cancel()
		l.write(ctx, conn, v)
		conn.Close() // ends read
	}()
	read(conn, v)
	_ = conn.NetConn().(*batchingConn).Flush() // the answer to a close
}

// read takes requests until the connection ends.
func read(conn *websocket.Conn, v *dashboard.Viewer) {
	conn.SetReadLimit(maxLiveMessage)
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(liveTimeout)) }
	conn.SetPongHandler(alive)
	_ = alive("")
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		var m liveRequest
		if err := json.Unmarshal(data, &m); err != nil {
			v.Reject(m.ID, "a message is a JSON object with op, id and query: "+err.Error())
			continue
		}
		switch m.Op {
		case "subscribe":
			q, err := aggregate.ParseQuery(m.Query)
			if err != nil {
				v.Reject(m.ID, err.Error())
				continue
			}
			v.Subscribe(m.ID, q)
		case "unsubscribe":
			v.Unsubscribe(m.ID)
		default:
			v.Reject(m.ID, "op "+quote(m.Op)+" is neither subscribe nor unsubscribe")
		}
	}
}

// write sends what the viewer's mailbox holds, all of it with one system call, until
// the connection ends.
func (l *Live) write(ctx context.Context, conn *websocket.Conn, v *dashboard.Viewer) {
	out := conn.NetConn().(*batchingConn)
	var buf []dashboard.Message
	for {
		wait, cancel := context.WithTimeout(ctx, livePing)
		messages, err := v.Next(wait, buf)
		cancel()
		_ = conn.SetWriteDeadline(time.Now().Add(liveTimeout))
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			if conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(liveTimeout)) != nil || out.Flush() != nil {
				return
			}
			continue
		case err != nil:
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, "the server stops"), time.Now().Add(time.Second))
			_ = out.Flush()
			return
		}
		for i := range messages {
			if send(conn, &messages[i]) != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		clear(messages)
		buf = messages
	}
}

// send writes one message. Frames without anything of this viewer's own are prepared
// once for all.
func send(conn *websocket.Conn, m *dashboard.Message) error {
	if m.Frame == nil || m.Skipped > 0 {
		return conn.WriteMessage(websocket.TextMessage, m.JSON())
	}
	p, ok := m.Frame.Shared(m.ID, func(b []byte) any {
		p, err := websocket.NewPreparedMessage(websocket.TextMessage, b)
		if err != nil {
			return err
		}
		return p
	}).(*websocket.PreparedMessage)
	if !ok {
		return conn.WriteMessage(websocket.TextMessage, m.JSON())
	}
	return conn.WritePreparedMessage(p)
}

func quote(s string) string { return string(aggregate.AppendString(nil, s[:min(len(s), 40)])) }
