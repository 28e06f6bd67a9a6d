package kinesis

import (
	"net/http"
	"sync"
	"time"
)

// maxBodiesInFlight bounds the request bodies in memory at once.
const maxBodiesInFlight = 256 << 20

// Server is an HTTP server for the API: it speaks HTTP/1.1 and unencrypted HTTP/2, and
// bounds how long a client may take.
func Server(h http.Handler) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: h, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

// Handler answers the API.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "", http.StatusServiceUnavailable)
	})
}

// A budget is bytes that are shared out.
type budget struct {
	mu   sync.Mutex
	left int64
}

func newBudget(n int64) *budget { return &budget{left: n} }
