package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"freshet/aggregate"
	"freshet/dashboard"
	"freshet/ingest"
	"freshet/stream"
	"freshet/web"
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
//
//	post → ingest → log → engine → hub → websocket
//	                 └──→ loader → warehouse → SQL
type server struct {
	adminToken string // only at the first start: the secret to show once

	log    *stream.Log
	ingest *ingest.Ingest
	engine *aggregate.Engine
	hub    *dashboard.Hub
	http   *httpStage

	data     *dataDir
	access   *access.Access
	replayed atomic.Bool    // the log was folded up to where it was at the start
	closers  []func() error // in the order in which they were opened
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

	if err := s.openStages(o); err != nil {
		return nil, err
	}
	handler, err := s.routes(o)
	if err != nil {
		return nil, err
	}
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
	s.http = &httpStage{listener: listener, handler: handler, logger: o.Logger}
	if err := s.data.writeAddress(s.http.url()); err != nil {
		return nil, err
	}
	// Last, so that a start that fails does not use up the one showing.
	if s.adminToken, err = s.access.Bootstrap(); err != nil {
		return nil, err
	}
	return s, nil
}

// metricsStream is the stream that holds points.
const metricsStream = "metrics"

// openStages opens the stages of the path.
func (s *server) openStages(o serverOptions) (err error) {
	if s.log, err = stream.Open(stream.Options{Dir: s.data.file("streams"), Logger: o.Logger}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.log.Close)
	metrics, ok := s.log.Stream(metricsStream)
	if !ok {
		if metrics, err = s.log.Create(metricsStream, o.Shards); err != nil {
			return err
		}
	}
	if s.ingest, err = ingest.New(ingest.Options{Stream: metrics}); err != nil {
		return err
	}
	if s.engine, err = aggregate.New(aggregate.Options{Stream: metrics, Logger: o.Logger}); err != nil {
		return err
	}
	s.hub = dashboard.NewHub(dashboard.HubOptions{Engine: s.engine, Logger: o.Logger})
	return nil
}

// routes returns the handler of everything that is served over HTTP, with the scope
// that each path needs.
func (s *server) routes(o serverOptions) (http.Handler, error) {
	boards, err := dashboard.ReadyBoards()
	if err != nil {
		return nil, err
	}
	read, write := s.access.Require(access.Read), s.access.Require(access.Ingest)
	queries := &web.QueryAPI{Engine: s.engine, Logger: o.Logger}
	health := &web.Health{Ready: s.ready, Samples: s.samples}
	return web.New(web.Options{
		Boards: boards,
		Auth:   s.access,
		Logger: o.Logger,
		API: web.API{
			Points:  write(s.ingest),
			Query:   read(queries.Query()),
			Live:    read(&web.Live{Hub: s.hub, Logger: o.Logger}),
			Metrics: read(queries.Metrics()),
			Tokens:  s.access.TokensHandler(),
			Health:  health.Handler(),
		},
	})
}

// ready returns why the server does not answer in full yet, nil when it does.
func (s *server) ready() error {
	for _, st := range s.log.Streams() {
		for _, shard := range st.Shards() {
			if err := shard.Err(); err != nil {
				return fmt.Errorf("stream %s: %w", st.Name(), err)
			}
		}
	}
	if !s.replayed.Load() {
		if !s.engine.CaughtUp() {
			return errors.New("replaying the log")
		}
		s.replayed.Store(true)
	}
	return nil
}

// run starts the stages in the order of the path and stops them in reverse.
func (s *server) run(ctx context.Context) error {
	return runLine(ctx,
		stage{"log", s.log.Run},
		stage{"engine", s.engine.Run},
		stage{"hub", s.hub.Run},
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
