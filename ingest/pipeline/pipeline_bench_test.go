package pipeline_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"freshet/ingest"
	"freshet/ingest/pipeline"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/stream/kv"
)

// nothing takes what is made, and keeps none of it.
type nothing struct{}

func (nothing) Point(*point.View)             {}
func (nothing) Record(string, string, []byte) {}
func (nothing) Mishap(pipeline.Mishap)        {}

// BenchmarkRun runs definitions on records, and reports records a second.
func BenchmarkRun(b *testing.B) {
	const view = `{"type":"view","at":%d,"url":"https://shop.example/products/%d","user":"user-%d","session":"0f3a77f0c1","geo":{"country":"NL","city":"Utrecht"},"took":0.25,"agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0","tags":["a","b"]}`
	for _, c := range []struct{ name, definition, record string }{
		{"fields", "filter = \"type == 'view'\"\n[[output]]\nmetric = \"page.views\"\ntype = \"counter\"\nts = \"at\"\nlabels.country = \"geo.country\"", view},
		{"expressions", "let.host = \"split(url, '/')[2]\"\n[[output]]\nmetric = \"page.took\"\ntype = \"distribution\"\nvalue = \"took * 1000\"\nlabels.host = \"host\"\nlabels.city = \"lower(geo.city)\"", view},
		{"whole", "[[output]]\nmetric = \"m\"\nvalue = \"len(_value)\"", view},
		{"logfmt", "decode = \"logfmt\"\n[[output]]\nmetric = \"m\"\nvalue = \"took\"\nlabels.route = \"route\"", `at=%d level=info route=/x/%d user=%d took=0.25 status=200 msg="it is done"`},
		{"csv", "decode = \"csv\"\ncsv.columns = [\"at\", \"route\", \"user\", \"took\"]\n[[output]]\nmetric = \"m\"\nvalue = \"took\"\nlabels.route = \"route\"", "%d,/x/%d,%d,0.25"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := compile(b, "stream = \"s\"\n"+c.definition)
			m := p.Machine()
			records := make([]pipeline.Input, 1000)
			for i := range records {
				records[i] = pipeline.Input{Data: fmt.Appendf(nil, c.record, arrived, i, i%100), Arrived: arrived}
			}
			var sink pipeline.Tried
			if o := m.Run(&records[0], &sink); o.Points != 1 || o.Mishaps != 0 {
				b.Fatalf("got %+v, %+v", o, sink.Errors)
			}
			out := nothing{}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Run(&records[i%len(records)], out)
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkCatchUp has a pipeline read a stream on disk from its beginning to its end, with
// so many records in each write of the log.
func BenchmarkCatchUp(b *testing.B) {
	for _, c := range []struct{ frames, records int }{{2000, 1}, {200, 500}} {
		b.Run(fmt.Sprint("together=", c.records), func(b *testing.B) {
			elapsed := time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				elapsed += catchUp(b, c.frames, c.records)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*c.frames*c.records)/elapsed.Seconds(), "records/s")
		})
	}
}

func catchUp(b *testing.B, frames, records int) time.Duration {
	b.Helper()
	log, err := stream.Open(stream.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var stages sync.WaitGroup
	defer stages.Wait()
	defer cancel()
	stages.Go(func() { _ = log.Run(ctx) })
	clicks, err := log.Create("clicks", 1)
	if err != nil {
		b.Fatal(err)
	}
	metrics, err := log.Create("metrics", 2)
	if err != nil {
		b.Fatal(err)
	}
	for i := range frames {
		var entries []stream.Entry
		for j := range records {
			entries = append(entries, stream.Entry{PartitionKey: "k", Data: fmt.Appendf(nil, `{"type":"view","at":%d,"shop":"s%d","url":"https://shop.example/products/%d"}`, arrived, j%100, i)})
		}
		if _, _, err := clicks.Put(ctx, entries); err != nil {
			b.Fatal(err)
		}
	}
	in, err := ingest.New(ingest.Options{Stream: metrics})
	if err != nil {
		b.Fatal(err)
	}
	defined, err := pipeline.Read([]byte("stream = \"clicks\"\nfilter = \"type == 'view'\"\n[[output]]\nmetric = \"page.views\"\ntype = \"counter\"\nts = \"at\"\nlabels.shop = \"shop\""), "p")
	if err != nil {
		b.Fatal(err)
	}
	pipes, err := pipeline.Open(ctx, pipeline.Options{Log: log, Ingest: in, Store: kv.NewMem(), Files: defined})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	stages.Go(func() { _ = pipes.Run(ctx) })
	for pipes.List()[0].Points < int64(frames*records) {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}
