package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"freshet/cmd/freshet/shop"
	"freshet/ingest/agent"
	"freshet/ingest/producer"
)

const (
	demoPast     = time.Hour              // what the shop has behind it when the demo opens
	demoBatchAge = 200 * time.Millisecond // a chart should not wait for a full batch
)

// demoCmd is `freshet demo`.
type demoCmd struct {
	serverFlags
	Data   string `help:"Keep the data in this directory; without it a fresh one is made, and removed at the end." placeholder:"DIR"`
	Listen string `help:"Where to answer HTTP, on loopback; port 0 takes a free one." env:"FRESHET_LISTEN" default:"127.0.0.1:8080" placeholder:"ADDR"`
}

// Run serves the demo until the invocation's context ends.
func (c *demoCmd) Run(in *invocation) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := checkListen(c.Listen, "off"); err != nil {
		return err
	}
	data := c.Data
	if data == "" {
		temp, err := os.MkdirTemp("", "freshet-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		data = temp
	}
	o := serverOptions{
		Data: data, Listen: c.Listen, AuthOff: true,
		Shards: c.shards(), Window: c.Window, Lateness: c.Lateness, LoadEvery: c.LoadEvery, Keep: c.keep(), Retention: c.Retention, LogBytes: c.LogBytes, Logger: c.logger(in),
	}
	if err := c.set(&o); err != nil {
		return err
	}
	if err := c.setPipelines(&o); err != nil {
		return err
	}
	s, err := openServer(in.ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(in.stdout, "listening on %s\n", s.http.url())
	if s.kinesisHTTP != nil {
		fmt.Fprintf(in.stdout, "Kinesis API on %s\n", s.kinesisHTTP.url())
	}
	for _, board := range s.boards.All() {
		fmt.Fprintf(in.stdout, "  %-14s %s/d/%s\n", board.Title, s.http.url(), board.ID)
	}
	return errors.Join(c.serve(in, s), s.close())
}

// serve runs the server and, against its own address, what posts to it.
func (c *demoCmd) serve(in *invocation, s *server) error {
	logger := c.logger(in)
	host, err := producer.New(producer.Options{URL: s.http.url(), BatchAge: demoBatchAge, Logger: logger})
	if err != nil {
		return err
	}
	shopping, err := producer.New(producer.Options{URL: s.http.url(), BatchAge: demoBatchAge, OnFull: producer.Block, Logger: logger})
	if err != nil {
		return err
	}
	var (
		now     = time.Now()
		collect = agent.New(agent.Options{Sink: host, Logger: logger})
		store   = shop.New(shop.Options{Seed: uint64(now.UnixNano()), Start: now.Add(-demoPast), Opening: now})
	)
	// The posts end before the server they go to.
	posting, stop := context.WithCancel(in.ctx)
	var posts sync.WaitGroup
	posts.Go(func() { _ = host.Run(posting) }) // these four end only with posting
	posts.Go(func() { _ = shopping.Run(posting) })
	posts.Go(func() { _ = collect.Run(posting) })
	posts.Go(func() { _ = store.Run(posting, shopping.Add) })
	defer posts.Wait()
	defer stop()
	return s.run(in.ctx)
}
