package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"freshet/web/access"
)

// serverOptions say what a server is made of. All fields are needed.
type serverOptions struct {
	Data      string
	Listen    string
	AuthOff   bool
	Shards    int
	LoadEvery time.Duration
	Logger    *slog.Logger
}

// A server is every stage of the one process, opened and not yet running.
type server struct {
	adminToken string // only at the first start: the secret to show once
	http       *httpStage

	data    *dataDir
	access  *access.Access
	closers []func() error // in the order in which they were opened
}

// openServer opens the data directory and the listener. It starts nothing.
func openServer(ctx context.Context, o serverOptions) (_ *server, err error) {
	s := &server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.data, err = openDataDir(o.Data); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.data.Close)
	if s.access, err = access.Open(access.Options{Path: s.data.file("access.db"), Off: o.AuthOff, Logger: o.Logger}); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.access.Close)

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w", o.Listen, err)
	}
	s.closers = append(s.closers, func() error {
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	s.http = &httpStage{listener: listener, handler: s.routes(), logger: o.Logger}
	if err := s.data.writeAddress(s.http.url()); err != nil {
		return nil, err
	}
	// Last, so that a start that fails does not use up the one showing.
	if s.adminToken, err = s.access.Bootstrap(); err != nil {
		return nil, err
	}
	return s, nil
}

// routes is the table of the API.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/v1/tokens", s.access.TokensHandler())
	mux.Handle("/api/v1/tokens/", s.access.TokensHandler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}

// run starts the stages in the order of the path and stops them in reverse.
func (s *server) run(ctx context.Context) error {
	return runLine(ctx,
		stage{"http", s.http.Run},
	)
}

// close releases what openServer opened, last first.
func (s *server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}
