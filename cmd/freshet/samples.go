package main

import (
	"runtime/metrics"
	"slices"

	"freshet/web"
)

// samples returns what /metrics shows.
func (s *server) samples() []web.Sample {
	in, engine, loads, upkeep, hub := s.ingest.Stats(), s.engine.Stats(), s.loader.Stats(), s.upkeep.Stats(), s.hub.Stats()
	out := []web.Sample{
		{Name: "freshet_ingest_posts_total", Help: "Posts answered.", Value: float64(in.Posts)},
		{Name: "freshet_ingest_posts_failed_total", Help: "Posts answered with 429 or 503.", Value: float64(in.Failed)},
		{Name: "freshet_ingest_points_accepted_total", Help: "Points acknowledged.", Value: float64(in.Accepted)},
		{Name: "freshet_ingest_points_rejected_total", Help: "Points refused for what they are.", Value: float64(in.Rejected)},
		{Name: "freshet_ingest_body_bytes_total", Help: "Bodies of posts as sent.", Value: float64(in.BodyBytes)},
		{Name: "freshet_ingest_inflight_bytes", Help: "Bodies of posts under way.", Value: float64(in.InFlight)},
		{Name: "freshet_aggregate_points_total", Help: "Points folded.", Value: float64(engine.Points)},
		{Name: "freshet_aggregate_malformed_records_total", Help: "Records that hold no points.", Value: float64(engine.Malformed)},
		{Name: "freshet_aggregate_refused_points_total", Help: "Points of other records that may not be.", Value: float64(engine.Refused)},
		{Name: "freshet_aggregate_repeated_points_total", Help: "Points of posts that were sent again, not counted again.", Value: float64(engine.Repeated)},
		{Name: "freshet_aggregate_keys", Help: "Keys of posts that the shards remember.", Value: float64(engine.Keys)},
		{Name: "freshet_aggregate_series", Help: "Series in the dictionary.", Value: float64(engine.Series)},
		{Name: "freshet_aggregate_metrics", Help: "Metrics in the dictionary.", Value: float64(engine.Metrics)},
		{Name: "freshet_aggregate_overflow_total", Help: "Look-ups of series beyond the limit.", Value: float64(engine.Overflowed)},
		{Name: "freshet_aggregate_pending_bytes", Help: "Windows in memory that are not loaded.", Value: float64(engine.PendingBytes)},
		{Name: "freshet_aggregate_throttled", Help: "1 while posts are refused because windows in memory have reached their bound.", Value: flag(engine.Throttled)},
		{Name: "freshet_aggregate_generation", Help: "The generation that takes points.", Value: float64(engine.Open)},
		{Name: "freshet_aggregate_cache_hits_total", Help: "Blocks of loaded windows found in the cache.", Value: float64(engine.Cache.Hits)},
		{Name: "freshet_aggregate_cache_misses_total", Help: "Blocks of loaded windows not found in the cache.", Value: float64(engine.Cache.Misses)},
		{Name: "freshet_aggregate_cache_hit_ratio", Help: "Hits of the cache among all look-ups since the start.", Value: engine.Cache.Ratio()},
		{Name: "freshet_aggregate_cache_bytes", Help: "Blocks in the cache.", Value: float64(engine.Cache.Added - engine.Cache.Evicted)},
		{Name: "freshet_aggregate_cache_rejected_total", Help: "Blocks that the cache did not admit, because those in it are asked for more often.", Value: float64(engine.Cache.Rejected)},
		{Name: "freshet_aggregate_cache_evicted_bytes_total", Help: "Blocks that made room for others.", Value: float64(engine.Cache.Evicted)},
		{Name: "freshet_warehouse_generation", Help: "The last generation loaded.", Value: float64(engine.Loaded)},
		{Name: "freshet_warehouse_points_total", Help: "Points loaded.", Value: float64(loads.Points)},
		{Name: "freshet_warehouse_loads_total", Help: "Generations loaded.", Value: float64(loads.Loads)},
		{Name: "freshet_warehouse_failures_total", Help: "Loads that failed and were tried again.", Value: float64(loads.Failures)},
		{Name: "freshet_warehouse_merged_rows_total", Help: "Parts of windows that went into others.", Value: float64(upkeep.Merged)},
		{Name: "freshet_warehouse_expired_rows_total", Help: "Rows deleted for their age.", Value: float64(upkeep.Expired)},
		{Name: "freshet_warehouse_upkeep_failures_total", Help: "Rounds of upkeep that failed and were tried again.", Value: float64(upkeep.Failures)},
		{Name: "freshet_live_viewers", Help: "Websocket connections.", Value: float64(hub.Viewers)},
		{Name: "freshet_live_queries", Help: "Distinct queries watched.", Value: float64(hub.Feeds)},
		{Name: "freshet_live_skips_total", Help: "Times that a viewer fell behind.", Value: float64(hub.Skips)},
	}
	return slices.Concat(out, runtimeSamples(), s.shardSamples(), s.pipelineSamples())
}

// flag returns 1 for yes.
func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// shardSamples returns the samples with one value a shard.
func (s *server) shardSamples() []web.Sample {
	stats := s.log.Stats()
	var out []web.Sample
	for _, m := range []struct {
		name, help string
		value      func(i int) float64
	}{
		{"freshet_stream_records_total", "Records appended since the start.", func(i int) float64 { return float64(stats[i].Records) }},
		{"freshet_stream_bytes_total", "Bytes written since the start.", func(i int) float64 { return float64(stats[i].Written) }},
		{"freshet_stream_commits_total", "Group commits since the start.", func(i int) float64 { return float64(stats[i].Groups) }},
	} {
		for i := range stats {
			out = append(out, web.Sample{Name: m.name, Help: m.help, Label: "shard", Of: stats[i].Shard.String(), Value: m.value(i)})
		}
	}
	return out
}

// runtimeSamples returns what Go's runtime says of the process, without stopping it.
func runtimeSamples() []web.Sample {
	read := []metrics.Sample{{Name: "/sched/goroutines:goroutines"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(read)
	return []web.Sample{
		{Name: "go_goroutines", Help: "Goroutines.", Value: float64(read[0].Value.Uint64())},
		{Name: "go_heap_objects_bytes", Help: "Objects in the heap, DuckDB's memory not among them.", Value: float64(read[1].Value.Uint64())},
		{Name: "go_memory_bytes", Help: "Memory that Go's runtime has mapped.", Value: float64(read[2].Value.Uint64())},
		{Name: "go_gc_cycles_total", Help: "Garbage collections.", Value: float64(read[3].Value.Uint64())},
	}
}
