package agent_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"freshet/ingest/agent"
	"freshet/ingest/point"
)

// gathered is a sink that keeps everything.
type gathered struct{ points []point.Point }

func (g *gathered) Add(p point.Point) { g.points = append(g.points, p) }

func (g *gathered) metric(name string) []point.Point {
	var list []point.Point
	for _, p := range g.points {
		if p.Metric == name {
			list = append(list, p)
		}
	}
	return list
}

func TestCollect(t *testing.T) {
	var g gathered
	c := agent.New(agent.Options{Sink: &g, Host: "here"})
	at := time.Now()
	c.Collect(t.Context(), at)
	if n := len(g.metric("host.cpu.usage")); n != 0 {
		t.Errorf("got %d CPU shares from the first reading, want none", n)
	}
	time.Sleep(50 * time.Millisecond)
	c.Collect(t.Context(), at.Add(time.Second))

	for _, p := range g.points {
		if p.Labels.Get("host") != "here" {
			t.Errorf("%s: got labels %v, want host=here", p.Metric, p.Labels)
		}
		if !slices.IsSortedFunc(p.Labels, func(a, b point.Label) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}) {
			t.Errorf("%s: labels %v are not sorted", p.Metric, p.Labels)
		}
		if p.Time != at.UnixMilli() && p.Time != at.Add(time.Second).UnixMilli() {
			t.Errorf("%s: got time %d", p.Metric, p.Time)
		}
		if p.Value < 0 {
			t.Errorf("%s: got %v, want at least 0", p.Metric, p.Value)
		}
	}
	for _, name := range []string{
		"host.load1", "host.load5", "host.load15", "host.memory.bytes", "host.memory.used_percent",
		"host.network.io", "host.processes", "host.uptime", "host.disk.used_percent",
	} {
		if len(g.metric(name)) == 0 {
			t.Errorf("there is no %s", name)
		}
	}
	var states []string
	for _, p := range g.metric("host.memory.bytes")[:4] {
		states = append(states, p.Labels.Get("state"))
	}
	if want := []string{"used", "cached", "buffers", "free"}; !slices.Equal(states, want) {
		t.Errorf("got memory states %v, want %v", states, want)
	}
	if n := len(g.metric("host.disk.used_percent")); n != len(unique(g.metric("host.disk.used_percent"), "mount")) {
		t.Errorf("file systems were read again within ten seconds")
	}
}

func unique(points []point.Point, label string) map[string]bool {
	values := map[string]bool{}
	for _, p := range points {
		values[p.Labels.Get(label)] = true
	}
	return values
}

func TestShares(t *testing.T) {
	names := []string{"user", "system", ""}
	for _, c := range []struct {
		name      string
		last, now []float64
		want      map[string]float64
	}{
		{"busy and idle", []float64{10, 5, 100}, []float64{11, 5.5, 102.5}, map[string]float64{"user": 25, "system": 12.5}},
		{"no time passed", []float64{10, 5, 100}, []float64{10, 5, 100}, map[string]float64{}},
		{"one runs backwards", []float64{10, 5, 100}, []float64{11, 4, 101}, map[string]float64{"user": 50, "system": 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := agent.Shares(names, c.last, c.now); !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestWholeDisks(t *testing.T) {
	got := agent.WholeDisks([]string{"sda", "sda1", "nvme0n1", "nvme0n1p2", "loop0", "dm-0", "vdb", "md0", "zram0"})
	if want := []string{"nvme0n1", "sda", "vdb"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOuterInterfaces(t *testing.T) {
	if got, want := agent.OuterInterfaces([]string{"lo", "eth0", "veth12", "docker0", "br-1"}), []string{"eth0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := agent.OuterInterfaces([]string{"lo"}), []string{"lo"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	var g gathered
	if err := agent.New(agent.Options{Sink: &g, Every: 10 * time.Millisecond}).Run(ctx); err != context.DeadlineExceeded {
		t.Errorf("got %v, want the context's error", err)
	}
	if len(g.metric("host.cpu.usage")) == 0 {
		t.Error("nothing was collected twice")
	}
}
