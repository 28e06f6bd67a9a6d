package main

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// How long one HTTP exchange may take. A websocket is free of them: taking the
// connection over clears its deadlines.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = time.Minute
	writeTimeout  = 2 * time.Minute
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second // then what is still being answered is cut

	// How much of a body that was refused is still taken, and for how long.
	refusedBytes   = 32 << 20
	refusedTimeout = 5 * time.Second
)

// isLoopback reports whether nothing outside this machine can reach a listener
// on addr.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// checkListen returns an error if addr is not an address, or if it would leave
// a server without access control open to other machines.
func checkListen(addr, auth string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return usagef("--listen %q is not of the form host:port", addr)
	}
	if auth == "off" && !isLoopback(addr) {
		return usagef("--auth off is refused on %q, which other machines can reach; listen on 127.0.0.1, or leave --auth token", addr)
	}
	return nil
}

// An httpStage answers HTTP on a listener that is already open.
type httpStage struct {
	listener net.Listener
	handler  http.Handler
	server   func(http.Handler) *http.Server // nil means one for pages and the API
	logger   *slog.Logger
}

// url is the address that a browser on this machine can open.
func (s *httpStage) url() string { return "http://" + reachable(s.listener.Addr().String()) }

// reachable replaces a host that means every interface by loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Run serves until ctx ends, then accepts no more and lets what is being
// answered finish. Websockets are not waited for: the hub, which stops next,
// ends them.
func (s *httpStage) Run(ctx context.Context) error {
	newServer := s.server
	if newServer == nil {
		newServer = pagesServer
	}
	server := newServer(s.handler)
	server.ErrorLog = log.New(serverLog{s.logger}, "", 0)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(s.listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		s.logger.Warn("cut what was still being answered", "after", drainTimeout)
		err = server.Close()
	}
	<-failed
	return err
}

func pagesServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           takeBodies(h),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
	}
}

// takeBodies has the rest of a body that next did not want read, within bounds:
// closing the connection on a sender that is still sending resets it, and the
// sender never sees the answer that says why.
func takeBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body // next may wrap it
		next.ServeHTTP(w, r)
		if r.ContentLength == 0 || r.Header.Get("Expect") != "" { // who waits for leave to send has not been given it
			return
		}
		if _, err := body.Read(make([]byte, 1)); err != nil {
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedTimeout))
		_, _ = io.CopyN(io.Discard, body, refusedBytes)
	})
}

// serverLog carries what net/http has to say about single connections.
type serverLog struct{ logger *slog.Logger }

func (l serverLog) Write(text []byte) (int, error) {
	l.logger.Debug("http", "message", string(text))
	return len(text), nil
}
