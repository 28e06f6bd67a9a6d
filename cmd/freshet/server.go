package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/continuous"
	"freshet/dashboard"
	"freshet/ingest"
	"freshet/ingest/pipeline"
	"freshet/stream"
	"freshet/stream/keyring"
	"freshet/stream/kinesis"
	"freshet/warehouse"
	"freshet/web"
	"freshet/web/access"
)

// metricsStream is the stream that holds points.
const metricsStream = "metrics"

// serverOptions say what a server is made of.
type serverOptions struct {
	Data      string
	Listen    string
	AuthOff   bool
	Shards    int // of the stream, if it has to be made
	Window    time.Duration
	Lateness  time.Duration
	LoadEvery time.Duration
	Keep      warehouse.Keep
	Retention time.Duration // of the log; 0 means 24 h
	LogBytes  int64         // of a shard; 0 means no bound
	Logger    *slog.Logger

	KinesisListen string // empty: nowhere
	KinesisKeys   []kinesis.AccessKey
	ShardLimits   bool
	Keys          *keyring.Ring // for encrypted streams; nil for none

	Pipelines  []*pipeline.Definition  // of files
	Continuous []continuous.Definition // likewise

	Step func(string) // of a load; see warehouse.LoaderOptions
}

// step passes on the steps of a load. When one is done, the memory of its generation
// goes back to the system, which the runtime alone would take minutes over.
func (o *serverOptions) step(name string) {
	if name == "committed" {
		time.AfterFunc(time.Second, debug.FreeOSMemory)
	}
	if o.Step != nil {
		o.Step(name)
	}
}

// A server is every stage of the one process, opened and not yet running.
type server struct {
	adminToken string // only at the first start: the secret to show once

	data       *dataDir
	access     *access.Access
	log        *stream.Log
	stream     *stream.Stream
	ingest     *ingest.Ingest
	engine     *aggregate.Engine
	store      *warehouse.Warehouse
	loader     *warehouse.Loader
	upkeep     *warehouse.Upkeep
	hub        *dashboard.Hub
	boards     *dashboard.Boards
	http       *httpStage
	pipes      *pipeline.Pipelines
	continuous *continuous.Queries

	kinesis     *kinesis.Service // nil when the API is not served
	kinesisHTTP *httpStage

	replay   []stream.Offset // by shard, where the log ended at the start
	replayed atomic.Bool     // what was before that is folded
	closers  []func() error  // in the order in which things were opened
}

// run starts the stages along the path and, when ctx ends, stops them from its
// end. Every arrow is a stage that reads what the one before it made durable.
//
//	 producers                                                    browsers
//	     │ POST /api/v1/points                                        ▲ frames
//	┌────▼────┐    ┌─────────┐    ┌──────────┐    ┌─────────┐    ┌────┴────┐
//	│  http   ├───▶│   log   ├───▶│   fold   ├───▶│   hub   ├───▶│  http   │
//	└─────────┘    └─────────┘    └────┬─────┘    └─────────┘    └────▲────┘
//	                              ┌────▼─────┐    ┌───────────┐       │ rows
//	                              │   load   ├───▶│ warehouse ├───────┘
//	                              └──────────┘    └───────────┘
func (s *server) run(ctx context.Context) error {
	stages := []stage{
		{"log", s.log.Run},               // group commit, one sequencer a shard; retention
		{"fold", s.engine.Run},           // one goroutine a shard folds what is durable into windows
		{"load", s.loader.Run},           // writes generations into the warehouse; what is pending at the end
		{"upkeep", s.upkeep.Run},         // compacts the warehouse, and deletes what has expired
		{"hub", s.hub.Run},               // evaluates each live query once a tick
		{"pipelines", s.pipes.Run},       // make points of the records of other streams
		{"continuous", s.continuous.Run}, // writes what queries say of steps that are final to streams
	}
	if s.kinesis != nil {
		stages = append(stages,
			stage{"kinesis-listener", s.kinesisHTTP.Run}, // the Kinesis API
			stage{"kinesis", s.kinesis.Run},              // reshards, deletions, the end of subscriptions
		)
	}
	return runLine(ctx, append(stages, stage{"http", s.http.Run})...) // pages, API, websockets; the first to stop
}

// openServer opens the data directory, everything in it and the listener. It
// starts nothing.
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
	if err := s.openPath(ctx, o); err != nil {
		return nil, err
	}
	if err := s.openPipelines(ctx, o); err != nil {
		return nil, err
	}
	if err := s.openKinesis(ctx, o); err != nil {
		return nil, err
	}
	if err := s.openHTTP(ctx, o); err != nil {
		return nil, err
	}
	// Last, so that a start that fails does not use up the one showing.
	if s.adminToken, err = s.access.Bootstrap(); err != nil {
		return nil, err
	}
	return s, nil
}

// openPath opens the log and builds the stages behind it.
func (s *server) openPath(ctx context.Context, o serverOptions) (err error) {
	if s.log, err = stream.Open(stream.Options{Dir: s.data.file("streams"), Retention: o.Retention, RetentionBytes: o.LogBytes, Keys: o.Keys, Logger: o.Logger}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.log.Close)
	var found bool
	if s.stream, found = s.log.Stream(metricsStream); !found {
		if s.stream, err = s.log.Create(metricsStream, o.Shards); err != nil {
			return err
		}
	}
	if s.ingest, err = ingest.New(ingest.Options{Stream: s.stream}); err != nil {
		return err
	}
	if s.store, err = warehouse.Open(ctx, warehouse.Options{Path: s.data.file("warehouse.duckdb")}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.store.Close)
	restored, err := s.store.Restore(ctx)
	if err != nil {
		return err
	}
	if s.engine, err = aggregate.New(aggregate.Options{Stream: s.stream, History: s.store, Restored: restored, Window: o.Window, Lateness: o.Lateness, Logger: o.Logger}); err != nil {
		return err
	}
	s.loader = s.store.Loader(warehouse.LoaderOptions{Source: s.engine, Every: o.LoadEvery, Logger: o.Logger, Step: o.step})
	s.upkeep = s.store.Upkeep(warehouse.UpkeepOptions{Keep: o.Keep, Loader: s.loader, Logger: o.Logger})
	for _, shard := range s.stream.Shards() {
		s.replay = append(s.replay, shard.Durable())
	}
	s.hub = dashboard.NewHub(dashboard.HubOptions{Engine: s.engine, Logger: o.Logger})
	s.boards, err = dashboard.ReadyBoards()
	return err
}

// openHTTP opens the listener and leaves its address in the data directory.
func (s *server) openHTTP(ctx context.Context, o serverOptions) error {
	handler, err := s.routes(o.Logger)
	if err != nil {
		return err
	}
	listener, err := s.listen(ctx, "--listen", o.Listen)
	if err != nil {
		return err
	}
	s.http = &httpStage{listener: listener, handler: handler, logger: o.Logger}
	return s.data.writeAddress(s.http.url())
}

// routes says who may use what.
func (s *server) routes(logger *slog.Logger) (http.Handler, error) {
	var (
		post   = s.access.Require(access.Ingest)
		read   = s.access.Require(access.Read)
		ask    = &web.QueryAPI{Engine: s.engine, Logger: logger}
		admin  = s.access.Require(access.Admin)
		sql    = &warehouse.API{SQL: s.store.SQL(warehouse.SQLOptions{Tail: s.engine.Tail}), Loader: s.loader, Logger: logger}
		live   = &web.Live{Hub: s.hub, Logger: logger}
		health = &web.Health{Ready: s.ready, Samples: s.samples}
	)
	return web.New(web.Options{
		Boards: s.boards,
		Auth:   s.access,
		Logger: logger,
		API: web.API{
			Points:     post(s.ingest),
			Query:      read(ask.Query()),
			Metrics:    read(ask.Metrics()),
			Live:       read(live),
			SQL:        read(sql.Query()),
			Quarantine: read(&web.QuarantineAPI{Engine: s.engine, Logger: logger}),
			Load:       admin(sql.Load()),
			Tokens:     s.access.TokensHandler(),
			Health:     health.Handler(),
			Samples:    read(health.Metrics()),
			Pipelines:  readOr(read, admin, s.pipes.Handler()),
			Continuous: read(s.continuous),
			Streams:    readOr(read, admin, ingest.StreamsHandler(s.log)),
			Records:    post(s.ingest.RecordsHandler(s.log)),
		},
	})
}

// ready returns why the server does not answer in full yet, nil when it does.
func (s *server) ready() error {
	for _, shard := range s.stream.OpenShards() {
		if err := shard.Err(); err != nil && !errors.Is(err, stream.ErrMoved) {
			return fmt.Errorf("%s does not accept: %w", shard.ID(), err)
		}
	}
	if s.replayed.Load() {
		return nil
	}
	for i, shard := range s.engine.Stats().Shards[:len(s.replay)] {
		if shard.Folded < s.replay[i] {
			return fmt.Errorf("replaying the log: %s is folded up to record %d of %d", shard.ID, shard.Folded, s.replay[i])
		}
	}
	s.replayed.Store(true)
	return nil
}

// close releases what openServer opened, last first.
func (s *server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}
