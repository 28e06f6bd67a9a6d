package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"freshet/aggregate/continuous"
	"freshet/ingest/pipeline"
	"freshet/stream/kv"
	"freshet/web"
)

// setPipelines reads the files that --pipelines names.
func (f *serverFlags) setPipelines(o *serverOptions) error {
	if f.Pipelines == "" {
		return nil
	}
	files := []string{f.Pipelines}
	info, err := os.Stat(f.Pipelines)
	if err == nil && info.IsDir() {
		files, err = filepath.Glob(filepath.Join(f.Pipelines, "*.toml"))
		sort.Strings(files)
	}
	if err != nil {
		return fmt.Errorf("--pipelines: %w", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--pipelines: %w", err)
		}
		found, err := pipeline.Read(text, strings.TrimSuffix(filepath.Base(file), ".toml"))
		if err != nil {
			return fmt.Errorf("--pipelines: %s: %w", file, err)
		}
		o.Pipelines = append(o.Pipelines, found...)
		queries, err := continuous.Read(text)
		if err != nil {
			return fmt.Errorf("--pipelines: %s: %w", file, err)
		}
		o.Continuous = append(o.Continuous, queries...)
	}
	return nil
}

// openPipelines opens the store of pipelines and continuous queries, and what it holds.
func (s *server) openPipelines(ctx context.Context, o serverOptions) error {
	store, err := kv.Open(s.data.file("pipelines.db"))
	if err != nil {
		return err
	}
	s.closers = append(s.closers, store.Close)
	s.continuous, err = continuous.Open(ctx, continuous.Options{Engine: s.engine, Log: s.log, Store: store, Queries: o.Continuous, Logger: o.Logger})
	if err != nil {
		return err
	}
	var edges []pipeline.Edge
	for _, q := range o.Continuous {
		edges = append(edges, pipeline.Edge{From: metricsStream, To: q.To, By: q.Name})
	}
	s.pipes, err = pipeline.Open(ctx, pipeline.Options{
		Log: s.log, Ingest: s.ingest, Metrics: metricsStream, Store: store, Files: o.Pipelines, Edges: edges, Logger: o.Logger,
	})
	return err
}

// readOr lets those who may read get, and those who may administer do the rest.
func readOr(read, admin func(http.Handler) http.Handler, h http.Handler) http.Handler {
	get, change := read(h), admin(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			get.ServeHTTP(w, r)
			return
		}
		change.ServeHTTP(w, r)
	})
}

// pipelineSamples returns what /metrics shows of pipelines.
func (s *server) pipelineSamples() []web.Sample {
	all := s.pipes.List()
	var out []web.Sample
	for _, m := range []struct {
		name, help string
		value      func(pipeline.Status) int64
	}{
		{"freshet_pipeline_records_total", "Records that a pipeline has read.", func(p pipeline.Status) int64 { return p.Records }},
		{"freshet_pipeline_points_total", "Points that a pipeline has made.", func(p pipeline.Status) int64 { return p.Points }},
		{"freshet_pipeline_made_total", "Records that a pipeline has made for other streams.", func(p pipeline.Status) int64 { return p.Made }},
		{"freshet_pipeline_filtered_total", "Events that a pipeline's filter left out.", func(p pipeline.Status) int64 { return p.Filtered }},
		{"freshet_pipeline_errors_total", "Records, events and outputs of a pipeline that became nothing.", func(p pipeline.Status) int64 { return p.Errors }},
		{"freshet_pipeline_trimmed_total", "Records that went past their retention before a pipeline read them.", func(p pipeline.Status) int64 { return p.Trimmed }},
		{"freshet_pipeline_behind_seconds", "How far a pipeline is behind its stream.", func(p pipeline.Status) int64 { return p.BehindMS / 1000 }},
	} {
		for _, p := range all {
			out = append(out, web.Sample{Name: m.name, Help: m.help, Label: "pipeline", Of: p.Name, Value: float64(m.value(p))})
		}
	}
	return out
}
