package pipeline_test

import (
	"fmt"
	"testing"

	"freshet/ingest/pipeline"
	"freshet/ingest/point"
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
