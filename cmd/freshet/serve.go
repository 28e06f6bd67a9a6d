package main

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"freshet/warehouse"
)

// serveCmd is `freshet serve`.
type serveCmd struct {
	serverFlags
	Data   string `help:"The data directory, made if it is not there." env:"FRESHET_DATA" default:"./freshet-data" placeholder:"DIR"`
	Listen string `help:"Where to answer HTTP; port 0 takes a free one." env:"FRESHET_LISTEN" default:"127.0.0.1:8080" placeholder:"ADDR"`
	Auth   string `help:"token: requests carry a token or a session; off: everything is allowed, on loopback only." enum:"token,off" env:"FRESHET_AUTH" default:"token"`
}

// serverFlags are the flags that serve and demo share.
type serverFlags struct {
	kinesisFlags
	Shards     int           `help:"Shards of the stream, when it is made; 0 for one a core." env:"FRESHET_SHARDS" default:"0"`
	Window     time.Duration `help:"The finest step of queries: a whole number of seconds that a minute is made of." env:"FRESHET_WINDOW" default:"1s"`
	Lateness   time.Duration `help:"How far behind the latest time seen a window is final. Later points still count, and are known as late." env:"FRESHET_LATENESS" default:"5m"`
	LoadEvery  time.Duration `help:"How often what is pending is loaded into the warehouse." env:"FRESHET_LOAD_EVERY" default:"1h"`
	KeepPoints time.Duration `name:"keep-points" help:"How long the warehouse keeps raw points; 0 for ever." env:"FRESHET_KEEP_POINTS" default:"0"`
	Keep1m     time.Duration `name:"keep-1m" help:"How long it keeps windows of a minute, no less than points; 0 for ever." env:"FRESHET_KEEP_1M" default:"0"`
	Keep1h     time.Duration `name:"keep-1h" help:"How long it keeps windows of an hour, no less than those of a minute; 0 for ever." env:"FRESHET_KEEP_1H" default:"0"`
	Keep1d     time.Duration `name:"keep-1d" help:"How long it keeps windows of a day, no less than those of an hour; 0 for ever." env:"FRESHET_KEEP_1D" default:"0"`
	Retention  time.Duration `help:"How long the log keeps records. What is not loaded is kept in any case." env:"FRESHET_RETENTION" default:"24h"`
	LogBytes   int64         `help:"The oldest loaded records of a shard that holds more bytes are dropped before; 0 for no bound." env:"FRESHET_LOG_BYTES" default:"0" placeholder:"N"`
	Pipelines  string        `help:"A TOML file, or a folder of them, of pipelines that make points of the records of other streams." env:"FRESHET_PIPELINES" placeholder:"PATH"`
	Verbose    bool          `help:"Log more." env:"FRESHET_VERBOSE"`
}

const maxShards = 256

func (f *serverFlags) check() error {
	if f.Shards < 0 || f.Shards > maxShards {
		return usagef("--shards %d is not between 0 and %d", f.Shards, maxShards)
	}
	if f.Window < time.Second || f.Window%time.Second != 0 || time.Minute%f.Window != 0 {
		return usagef("--window %v is not a whole number of seconds that a minute is made of, like 1s, 5s or 30s", f.Window)
	}
	if f.Lateness < time.Second || f.Lateness > 24*time.Hour {
		return usagef("--lateness %v is not between 1s and 24h", f.Lateness)
	}
	if f.LoadEvery < time.Second {
		return usagef("--load-every %v is less than 1s", f.LoadEvery)
	}
	if err := f.keep().Check(); err != nil {
		return usagef("%v", err)
	}
	if f.Retention < time.Minute {
		return usagef("--retention %v is less than 1m", f.Retention)
	}
	if f.LogBytes < 0 {
		return usagef("--log-bytes %d is negative", f.LogBytes)
	}
	return nil
}

// keep returns how long the warehouse keeps each level.
func (f *serverFlags) keep() warehouse.Keep {
	return warehouse.Keep{Points: f.KeepPoints, Minutes: f.Keep1m, Hours: f.Keep1h, Days: f.Keep1d}
}

// shards returns how many shards a new stream gets.
func (f *serverFlags) shards() int {
	if f.Shards > 0 {
		return f.Shards
	}
	return min(runtime.GOMAXPROCS(0), 16)
}

func (f *serverFlags) logger(in *invocation) *slog.Logger {
	level := slog.LevelInfo
	if f.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(in.stderr, &slog.HandlerOptions{Level: level}))
}

// Run serves until the invocation's context ends, then drains, loads what is
// pending and returns.
func (c *serveCmd) Run(in *invocation) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := checkListen(c.Listen, c.Auth); err != nil {
		return err
	}
	o := serverOptions{
		Data: c.Data, Listen: c.Listen, AuthOff: c.Auth == "off",
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
	if s.adminToken != "" {
		fmt.Fprintf(in.stdout, "admin token, shown this once: %s\n", s.adminToken)
	}
	fmt.Fprintf(in.stdout, "listening on %s\n", s.http.url())
	if s.kinesisHTTP != nil {
		fmt.Fprintf(in.stdout, "Kinesis API on %s\n", s.kinesisHTTP.url())
	}
	return errors.Join(s.run(in.ctx), s.close())
}
