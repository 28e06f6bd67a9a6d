package main

import (
	"context"
	"errors"

	"freshet/cmd/freshet/bench"
)

// benchCmd is `freshet bench`.
type benchCmd struct {
	Ingest  benchIngest  `cmd:"" help:"Points a second accepted over HTTP, durable and folded."`
	Live    benchLive    `cmd:"" help:"Milliseconds from a post to the websocket frame that shows it."`
	Query   benchQuery   `cmd:"" help:"Milliseconds of queries over the last minutes, a day and a month, while points come in."`
	Growth  benchGrowth  `cmd:"" help:"Tables of how costs grow with series, shards, viewers and history."`
	Soak    benchSoak    `cmd:"" help:"A server under load for a long time: what grows, and whether its answers stay exact."`
	Load    benchLoad    `cmd:"" help:"Rows a second loaded into the warehouse."`
	Replay  benchReplay  `cmd:"" help:"Points a second folded again after kill -9."`
	Kinesis benchKinesis `cmd:"" help:"Records a second put and read over the Kinesis API."`
	Discard benchDiscard `cmd:"" hidden:"" help:"An HTTP server that discards bodies, to compare with."`
}

// benchFlags are those of every measurement.
type benchFlags struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// print measures and prints.
func (f *benchFlags) print(in *invocation, measure func(context.Context) (*bench.Report, error)) error {
	r, err := measure(in.ctx)
	if r == nil {
		return err
	}
	return errors.Join(r.Print(in.stdout, f.JSON), err)
}

type benchIngest struct {
	benchFlags
	bench.Load
}

// Run measures ingest.
func (c *benchIngest) Run(in *invocation) error {
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Ingest(ctx, c.Load) })
}

type benchLive struct {
	benchFlags
	bench.LiveLoad
}

// Run measures live updates.
func (c *benchLive) Run(in *invocation) error {
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Live(ctx, c.LiveLoad) })
}

type benchQuery struct {
	benchFlags
	bench.QueryLoad
}

// Run measures queries.
func (c *benchQuery) Run(in *invocation) error {
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Query(ctx, c.QueryLoad) })
}

type benchGrowth struct {
	benchFlags
	bench.GrowthLoad
}

// Run measures growth.
func (c *benchGrowth) Run(in *invocation) error {
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Growth(ctx, c.GrowthLoad) })
}

type benchSoak struct {
	benchFlags
	bench.SoakLoad
}

// Run soaks a server.
func (c *benchSoak) Run(in *invocation) error {
	c.Progress = in.stderr
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Soak(ctx, c.SoakLoad) })
}

type benchLoad struct {
	benchFlags
	bench.History
}

// Run measures a load.
func (c *benchLoad) Run(in *invocation) error {
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Warehouse(ctx, c.History) })
}

type benchReplay struct {
	benchFlags
	bench.History
}

// Run measures a replay.
func (c *benchReplay) Run(in *invocation) error {
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Replay(ctx, c.History) })
}

type benchKinesis struct {
	benchFlags
	bench.KinesisLoad
}

// Run measures the Kinesis API.
func (c *benchKinesis) Run(in *invocation) error {
	return c.print(in, func(ctx context.Context) (*bench.Report, error) { return bench.Kinesis(ctx, c.KinesisLoad) })
}

type benchDiscard struct{}

// Run serves until the invocation's context ends.
func (c *benchDiscard) Run(in *invocation) error { return bench.Discard(in.ctx, in.stdout) }
