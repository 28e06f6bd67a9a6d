package web

import (
	"context"
	"encoding/binary"
	"encoding/json"
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
// with it, or with the hub.
type Live struct {
	Hub    *dashboard.Hub
	Logger *slog.Logger // nil discards
	// CheckOrigin says whether a page of the request's origin may connect; nil means
	// that it must be of the same host.
	CheckOrigin func(*http.Request) bool

	// Shared by the connections, which hold one only while they write.
	buffers sync.Pool // of the websocket package, for what it writes itself
	scratch sync.Pool // of batchingConn
}

// ServeHTTP upgrades the connection, which is then served until either side closes it or
// the hub ends. It returns before that, so that what net/http holds for a request is not
// held for each viewer.
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 512, WriteBufferPool: &l.buffers, CheckOrigin: l.CheckOrigin}
	conn, err := up.Upgrade(&batching{ResponseWriter: w, scratch: &l.scratch}, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	v := l.Hub.Connect()
	ctx, cancel := context.WithCancel(context.Background()) // that of r ends with this function
	go func() {
		write(ctx, conn, v)
		conn.Close() // ends read
	}()
	go func() {
		defer conn.Close()
		defer v.Close()
		defer cancel()
		read(conn, v)
		_ = conn.NetConn().(*batchingConn).Flush() // the answer to a close
	}()
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
func write(ctx context.Context, conn *websocket.Conn, v *dashboard.Viewer) {
	out := conn.NetConn().(*batchingConn)
	defer out.keepAlive(func() error { return conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(liveTimeout)) })()
	var buf []dashboard.Message
	for {
		messages, err := v.Next(ctx, buf)
		if err != nil {
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, "the server stops"), time.Now().Add(time.Second))
			_ = out.Flush()
			return
		}
		for i := range messages {
			out.Add(frame(&messages[i]))
		}
		if out.Flush() != nil {
			return
		}
		clear(messages)
		buf = messages
	}
}

// frame returns a message as a websocket frame. One without anything of this viewer's own
// is made once for all.
func frame(m *dashboard.Message) []byte {
	if m.Frame == nil || m.Skipped > 0 {
		return textFrame(m.JSON())
	}
	return m.Frame.Shared(m.ID, func(json []byte) any { return textFrame(json) }).([]byte)
}

// textFrame returns a text message as the one frame of RFC 6455, section 5.2, which a
// server does not mask.
func textFrame(text []byte) []byte {
	const finalText, bits16, bits64 = 0x81, 126, 127
	b := append(make([]byte, 0, len(text)+10), finalText)
	switch n := len(text); {
	case n < bits16:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bits16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bits64), uint64(n))
	}
	return append(b, text...)
}

func quote(s string) string { return string(aggregate.AppendString(nil, s[:min(len(s), 40)])) }
