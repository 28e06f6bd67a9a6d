package aggregate

import (
	"log/slog"
	"time"

	"freshet/stream"
)

// Options configure an Engine.
type Options struct {
	Stream   *stream.Stream
	History  History  // the warehouse; nil means that there is none
	Restored Restored // what the warehouse holds

	Window          time.Duration    // length of the base window; 0 means 1 s
	Lateness        time.Duration    // how far the watermark stays behind the greatest time seen; 0 means 5 min, negative none
	MaxSeries       int              // 0 means 1,000,000; points of more are counted in one overflow series a metric
	GenerationBytes int64            // signal Full past this size of the windows in memory; 0 means 96 MiB
	MaxBytes        int64            // of the windows in memory; beyond it posts are refused and nothing is folded until a load frees some; 0 means 4 times GenerationBytes
	MaxKeys         int              // of posts, that a shard remembers to tell those that are sent again; 0 means 1,000,000
	KeyAge          time.Duration    // how long it remembers them, in whole seconds; 0 means 24 h
	CacheBytes      int64            // of loaded windows kept in memory; 0 means 256 MiB
	Logger          *slog.Logger     // nil discards
	Now             func() time.Time // nil means time.Now
}

func (o Options) withDefaults() Options {
	if o.Window == 0 {
		o.Window = time.Second
	}
	switch {
	case o.Lateness == 0:
		o.Lateness = 5 * time.Minute
	case o.Lateness < 0:
		o.Lateness = 0
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 1_000_000
	}
	if o.GenerationBytes == 0 {
		o.GenerationBytes = 96 << 20
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 4 * o.GenerationBytes
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = defaultMaxKeys
	}
	if o.KeyAge == 0 {
		o.KeyAge = defaultKeyAge
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 256 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
